//! The protocol of the submission socket `submit.sock`, for callers that cannot write to the drop directory.
//!
//! ```text
//!   client   the envelope line, without `id`, `size`, `crc32` and `peer`; ends with LF
//!            any number of: u32 length, big endian, 1 to CHUNK; that many bytes of the message in wire form
//!            u32 0; u32 CRC-32 (IEEE) of the envelope line and of the message
//!   daemon   one JSON line: {"id":"6921CE0500000007"}  or  {"exit":69,"text":"…"}
//! ```
//! An end of file before the checksum aborts the submission; the daemon keeps nothing. The daemon identifies the client by
//! SO_PEERCRED, never by anything in the request.

use serde::{Deserialize, Serialize};

use super::refusal::{RefusalCode, SubmitError};
use exit::{Exit, Failure, Report};
use mail::envelope;
use mail::envelope::Envelope;
use mail::{QueueId, limits, printable};

/// Maximum size of a chunk in bytes.
pub const CHUNK: usize = 1 << 20;
/// Maximum size of the daemon's line in bytes.
pub const REPLY: usize = 4 << 10;
/// Maximum characters of its text.
const TEXT_CHARS: usize = 500;
/// The members before `time` in the envelope of a spool file. The daemon fills them in.
const DAEMON_FIELDS: &str = r#""id":"0000000000000000","size":0,"crc32":"00000000","#;

/// Encodes the envelope line of a submission, LF included.
///
/// Errors: the line exceeds the limit of the spool file, or the daemon could not parse it.
pub fn encode_offer(envelope: &Envelope) -> Result<Vec<u8>, Failure> {
    let unfit = |why: &dyn std::fmt::Display| Failure::new(Exit::IoErr, format!("the envelope cannot be encoded: {why}"));
    let blank = Envelope { id: QueueId::new(0, 0), size: 0, crc32: "00000000".to_owned(), peer: None, ..envelope.clone() };
    let text = serde_json::to_string(&blank).map_err(|e| unfit(&e))?;
    let (before, after) = text.split_once(DAEMON_FIELDS).ok_or_else(|| unfit(&"it has another form"))?;
    let line = format!("{before}{after}\n");
    if line.len() > limits::ENVELOPE_LINE { Err(unfit(&"it is larger than 8 MiB")) } else { Ok(line.into_bytes()) }
}

/// Decodes the envelope line of a submission and checks it like the envelope of a file. `id`, `size` and `crc32` are inserted first;
/// a client that sends one of them sends a duplicate key, which is an error like any unknown key.
///
/// Errors: EX_DATAERR; EX_UNAVAILABLE for another version of the protocol.
pub fn decode_offer(line: &[u8]) -> Result<Envelope, Failure> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let bad = |why: String| Failure::new(Exit::DataErr, format!("invalid envelope: {}", printable::text(&why)));
    let version: Version = serde_json::from_slice(line).map_err(|e| bad(e.to_string()))?;
    if version.v != envelope::VERSION {
        let text = format!(
            "the envelope has version {}, and mailchuted supports version {}; check that sendmail and mailchuted have the same version",
            version.v,
            envelope::VERSION
        );
        return Err(Failure::new(Exit::Unavailable, text));
    }
    let rest = line.strip_prefix(b"{").ok_or_else(|| bad("it does not start with `{`".to_owned()))?;
    let whole = [b"{", DAEMON_FIELDS.as_bytes(), rest].concat();
    let envelope: Envelope = serde_json::from_slice(&whole).map_err(|e| bad(e.to_string()))?;
    if envelope.peer.is_some() {
        return Err(bad("a client must not set `peer`".to_owned()));
    }
    envelope.check().map_err(|why| bad(why.to_owned()))?;
    Ok(envelope)
}

/// The daemon's reply line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// The message is accepted.
    Accepted {
        /// The queue id.
        id: QueueId,
    },
    /// The message is refused.
    Refused {
        /// The exit code for `sendmail`.
        exit: u8,
        /// The kind of the refusal.
        #[serde(default)]
        code: RefusalCode,
        /// The reason, one line.
        text: String,
    },
}

impl Reply {
    /// A refusal with a printable, truncated text.
    pub fn refused(error: &SubmitError) -> Reply {
        let text = printable::text(&error.to_string()).chars().take(TEXT_CHARS).collect();
        Reply::Refused { exit: error.exit().code(), code: error.kind(), text }
    }

    /// The encoded line, LF included.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::envelope::{Body, CallerInfo, Peer, Recipient};
    use mail::{Address, ReversePath};

    fn sample() -> Envelope {
        Envelope {
            v: envelope::VERSION,
            id: QueueId::new(1, 2),
            size: 77,
            crc32: "deadbeef".into(),
            time: "2026-11-22T14:43:49Z".into(),
            reverse_path: ReversePath::Null,
            recipients: vec![Recipient::new(Address::parse("\"size\\\":0\"@b.example").unwrap())],
            ret: None,
            envid: Some(DAEMON_FIELDS.chars().take(90).collect()),
            body: Body::EightBitMime,
            smtputf8: true,
            deliver_by: None,
            hold_until: None,
            priority: Some(-3),
            warnings: vec![DAEMON_FIELDS.into()],
            caller: CallerInfo::default(),
            peer: Some(Peer { uid: 0, gid: 0, pid: 1 }),
        }
    }

    #[test]
    fn an_offer_is_an_envelope_without_what_the_daemon_decides() {
        let line = encode_offer(&sample()).unwrap();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.starts_with("{\"v\":1,\"time\":") && text.ends_with("}\n") && !text.contains("peer"), "{text}");
        let expected = Envelope { id: QueueId::new(0, 0), size: 0, crc32: "00000000".into(), peer: None, ..sample() };
        assert_eq!(decode_offer(&line).unwrap(), expected);
    }

    #[test]
    fn pf26_2_a_client_cannot_say_what_the_daemon_decides_nor_anything_unknown() {
        let line = String::from_utf8(encode_offer(&sample()).unwrap()).unwrap();
        let with = |key: &str| decode_offer(line.replace("\"v\":1,", &format!("\"v\":1,{key},")).as_bytes());
        for key in [
            "\"id\":\"0000000000000001\"",
            "\"size\":1",
            "\"crc32\":\"00000001\"",
            "\"peer\":{\"uid\":0,\"gid\":0,\"pid\":1}",
            "\"relay\":\"evil\"",
            "\"body\":\"7bit\"",
        ] {
            assert_eq!(with(key).map_err(|e| e.exit).err(), Some(Exit::DataErr), "{key}");
        }
        let newer = decode_offer(line.replace("\"v\":1", "\"v\":2").as_bytes());
        assert_eq!(newer.map_err(|e| e.exit).err(), Some(Exit::Unavailable));
        for garbage in ["", "{", "{}", "[]", "null", "{\"v\":1}", "{\"v\":1,\"time\":\"\\u000a\"}", " {\"v\":1}", &"[".repeat(9000)] {
            assert_eq!(decode_offer(garbage.as_bytes()).map_err(|e| e.exit).err(), Some(Exit::DataErr), "{garbage}");
        }
    }

    #[test]
    fn a_reply_is_one_line_and_read_as_it_was_written() {
        for reply in [Reply::Accepted { id: QueueId::new(1, 2) }, Reply::refused(&Failure::new(Exit::Unavailable, "no\nspace").into())] {
            let line = reply.line();
            assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            assert_eq!(serde_json::from_slice::<Reply>(&line).unwrap(), reply);
        }
        let long = Reply::refused(&Failure::new(Exit::DataErr, "\u{1}".repeat(9000)).into());
        assert!(long.line().len() < REPLY);
    }
}
