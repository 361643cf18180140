//! What `sendmail` and the daemon say to each other over `submit.sock`, the door for callers to whom the drop directory is closed.
//!
//! ```text
//!   client   the envelope line, without `id`, `size`, `crc32` and `peer`; ends with LF
//!            any number of: u32 length, big endian, 1 to CHUNK; so many bytes of the message in wire form
//!            u32 0; u32 CRC-32 (IEEE) of the envelope line and of the message
//!   daemon   one JSON line: {"id":"6921CE0500000007"}  or  {"exit":69,"text":"…"}
//! ```
//! An end of file before the checksum is an abort: nothing is kept. Who sends is SO_PEERCRED's word, never the client's.

use serde::{Deserialize, Serialize};

use exit::{Exit, Failure};
use mail::envelope;
use mail::envelope::Envelope;
use mail::{QueueId, limits, printable};

/// Bytes of one chunk at most.
pub const CHUNK: usize = 1 << 20;
/// Bytes of the daemon's line at most.
pub const REPLY: usize = 4 << 10;
/// Characters of its text.
const TEXT_CHARS: usize = 500;
/// What stands in an envelope before `time`, where it is in a file. The daemon fills it in.
const DAEMON_FIELDS: &str = r#""id":"0000000000000000","size":0,"crc32":"00000000","#;

/// The envelope line of an offer, LF included.
///
/// Errors: a line over the limit of the spool file; or one that the parser of the other side would not take.
pub fn encode_offer(envelope: &Envelope) -> Result<Vec<u8>, String> {
    let blank = Envelope { id: QueueId::new(0, 0), size: 0, crc32: "00000000".to_owned(), peer: None, ..envelope.clone() };
    let text = serde_json::to_string(&blank).map_err(|e| e.to_string())?;
    let (before, after) = text.split_once(DAEMON_FIELDS).ok_or("an envelope of another form")?;
    let line = format!("{before}{after}\n");
    if line.len() > limits::ENVELOPE_LINE { Err("the envelope is larger than 8 MiB".to_owned()) } else { Ok(line.into_bytes()) }
}

/// The envelope of an offer's line, checked as that of a file is. `id`, `size` and `crc32` are not yet known; a client that names one
/// of them names it twice, which is refused like any unknown key.
///
/// Errors: EX_DATAERR, EX_UNAVAILABLE for the version of another program.
pub fn decode_offer(line: &[u8]) -> Result<Envelope, Failure> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let bad = |why: String| Failure::new(Exit::DataErr, format!("not an envelope: {}", printable::text(&why)));
    let version: Version = serde_json::from_slice(line).map_err(|e| bad(e.to_string()))?;
    if version.v != envelope::VERSION {
        let text = format!("an envelope of version {}; this daemon knows {}: are both of one version?", version.v, envelope::VERSION);
        return Err(Failure::new(Exit::Unavailable, text));
    }
    let rest = line.strip_prefix(b"{").ok_or_else(|| bad("no `{` at its beginning".to_owned()))?;
    let whole = [b"{", DAEMON_FIELDS.as_bytes(), rest].concat();
    let envelope: Envelope = serde_json::from_slice(&whole).map_err(|e| bad(e.to_string()))?;
    if envelope.peer.is_some() {
        return Err(bad("`peer` is not the client's to say".to_owned()));
    }
    envelope.check().map_err(|why| bad(why.to_owned()))?;
    Ok(envelope)
}

/// The daemon's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// The message is accepted.
    Accepted {
        /// Its queue id.
        id: QueueId,
    },
    /// It is not.
    Refused {
        /// What `sendmail` ends with; 75 means that the daemon is busy now.
        exit: u8,
        /// Why, one line.
        text: String,
    },
}

impl Reply {
    /// A refusal, its text made printable and short.
    pub fn refused(failure: &Failure) -> Reply {
        Reply::Refused { exit: failure.exit.code(), text: printable::text(&failure.text).chars().take(TEXT_CHARS).collect() }
    }

    /// The line, LF included.
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
        for reply in [Reply::Accepted { id: QueueId::new(1, 2) }, Reply::refused(&Failure::new(Exit::Unavailable, "no\nspace"))] {
            let line = reply.line();
            assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            assert_eq!(serde_json::from_slice::<Reply>(&line).unwrap(), reply);
        }
        let long = Reply::refused(&Failure::new(Exit::DataErr, "\u{1}".repeat(9000)));
        assert!(long.line().len() < REPLY);
    }
}
