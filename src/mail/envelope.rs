//! The envelope of a message: one JSON object, the first line of a spool file.
//!
//! In: bytes of a spool file that any local user may have written. Out: a value in which every text is checked.
//! The keys are an allow-list (THREATS PF26-2): a file with an unknown key is corrupt.

use serde::{Deserialize, Serialize};

use super::address::{Address, ReversePath};
use super::queue_id::QueueId;

/// The version of the spool file that this program writes and reads.
pub const VERSION: u32 = 1;

/// The first line of a spool file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Version of the format; a newer one is left in place with an alarm.
    pub v: u32,
    /// Equal to the file's name.
    pub id: QueueId,
    /// Bytes of the message after this line.
    pub size: u64,
    /// CRC-32 (IEEE) of the whole file with these eight hex digits as zeros, in lower case.
    pub crc32: String,
    /// When `sendmail` accepted it: RFC 3339, UTC, seconds.
    pub time: String,
    /// `""` is the null reverse-path.
    pub reverse_path: ReversePath,
    /// At least one.
    pub recipients: Vec<Recipient>,
    /// RFC 3461 4.3, RET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ret: Option<Ret>,
    /// RFC 3461 4.4, ENVID, not yet xtext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envid: Option<String>,
    /// What the body holds, found by looking at it.
    pub body: Body,
    /// True if an address needs RFC 6531.
    #[serde(default, skip_serializing_if = "is_false")]
    pub smtputf8: bool,
    /// RFC 2852: fail rather than deliver after this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_by: Option<String>,
    /// Not before this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<String>,
    /// -9 to 9 (RFC 6710); 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i8>,
    /// Warnings of injection about changes and problems, one short text each, for the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The caller, as reported by `sendmail`. Not trusted: the caller can write anything.
    #[serde(default)]
    pub caller: CallerInfo,
    /// The caller as reported by the kernel, for submissions over the socket. Only in files written by the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    /// The forward-path.
    pub address: Address,
    /// What the caller wrote, where an alias changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// RFC 3461 4.1, NOTIFY.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<Notify>,
    /// RFC 3461 4.2, ORCPT: `type;address`, the address still in xtext.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orcpt: Option<String>,
}

impl Recipient {
    /// A recipient with nothing but its address.
    pub fn new(address: Address) -> Self {
        Recipient { address, original: None, notify: None, orcpt: None }
    }
}

/// RFC 3461 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ret {
    /// The whole message comes back with a bounce.
    Full,
    /// The header section only.
    Hdrs,
}

/// RFC 3461 4.1: never, or any of three occasions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Notify {
    /// `SUCCESS`
    pub success: bool,
    /// `FAILURE`
    pub failure: bool,
    /// `DELAY`
    pub delay: bool,
}

impl Notify {
    /// `NEVER`
    pub const NEVER: Notify = Notify { success: false, failure: false, delay: false };
    /// The default without NOTIFY: failures and delays (RFC 3461 4.1 leaves delays to us).
    pub const UNSAID: Notify = Notify { success: false, failure: true, delay: true };

    /// The value of `-N` or `NOTIFY=`: `never`, or a comma list of `success`, `failure`, `delay`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("never") {
            return Some(Notify::NEVER);
        }
        let mut notify = Notify::NEVER;
        for word in text.split(',') {
            match word.trim() {
                w if w.eq_ignore_ascii_case("success") => notify.success = true,
                w if w.eq_ignore_ascii_case("failure") => notify.failure = true,
                w if w.eq_ignore_ascii_case("delay") => notify.delay = true,
                _ => return None,
            }
        }
        Some(notify)
    }
}

impl std::fmt::Display for Notify {
    /// The value of `NOTIFY=` (RFC 3461 4.1).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let words: Vec<&str> = set.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        f.write_str(if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }.as_str())
    }
}

impl TryFrom<String> for Notify {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // People may write blanks around the words; a file may not, least of all a line end (THREATS PF26-1).
        Notify::parse(&text).filter(|_| !text.contains(|c: char| c.is_control() || c.is_whitespace())).ok_or("not a NOTIFY value")
    }
}

impl From<Notify> for String {
    fn from(notify: Notify) -> String {
        notify.to_string()
    }
}

/// RFC 6152: what the octets of the body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// ASCII only.
    #[serde(rename = "7bit")]
    SevenBit,
    /// At least one byte above 127.
    #[serde(rename = "8bitmime")]
    EightBitMime,
}

/// The caller, as reported by itself. For display only; nothing depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerInfo {
    /// Group id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// Process id of the caller of `sendmail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The systemd unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// SO_PEERCRED of a submission over the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Effective user id at connect.
    pub uid: u32,
    /// Effective group id at connect.
    pub gid: u32,
    /// Process id at connect.
    pub pid: i32,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Envelope {
    /// Checks what the types cannot: its version was ever written, no text holds a control character (THREATS PF26-1), there is a
    /// recipient and not too many.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.v == 0 {
            return Err("version 0 does not exist");
        }
        if self.recipients.is_empty() {
            return Err("no recipients");
        }
        if self.recipients.len() > super::limits::RECIPIENTS {
            return Err("too many recipients");
        }
        let recipients = self.recipients.iter().flat_map(|r| [r.original.as_deref(), r.orcpt.as_deref()]);
        let claimed = [&self.caller.exe, &self.caller.cwd, &self.caller.unit].map(|text| text.as_deref());
        let others = [self.envid.as_deref(), self.deliver_by.as_deref(), self.hold_until.as_deref(), Some(self.time.as_str())];
        let mut texts = recipients.chain(claimed).chain(others).flatten().chain(self.warnings.iter().map(String::as_str));
        if texts.any(|text| text.chars().any(char::is_control)) {
            return Err("control character in the envelope");
        }
        if self.crc32.len() != 8 || !self.crc32.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("crc32 is not eight lower-case hex digits");
        }
        if self.envid.as_ref().is_some_and(|envid| envid.len() > super::limits::ENVID) {
            return Err("envid is too long");
        }
        if self.priority.is_some_and(|priority| !(-9..=9).contains(&priority)) {
            return Err("priority is not between -9 and 9");
        }
        let dates = [Some(&self.time), self.deliver_by.as_ref(), self.hold_until.as_ref()];
        if dates.into_iter().flatten().any(|date| super::date::parse_rfc3339(date).is_none()) {
            return Err("invalid time (RFC 3339 required)");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_never_or_a_list_in_any_case_and_prints_as_on_the_wire() {
        for (text, wire) in [
            ("never", "NEVER"),
            ("NEVER", "NEVER"),
            ("success", "SUCCESS"),
            ("Failure", "FAILURE"),
            ("delay", "DELAY"),
            ("delay, failure", "FAILURE,DELAY"),
            ("success,failure,delay", "SUCCESS,FAILURE,DELAY"),
        ] {
            let notify = Notify::parse(text).unwrap();
            assert_eq!((notify.to_string(), String::from(notify)), (wire.to_owned(), wire.to_owned()));
            assert_eq!(Notify::try_from(wire.to_owned()), Ok(notify), "{text}");
        }
        for text in ["", "always", "never,delay", "delay,", "success failure"] {
            assert_eq!(Notify::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn pf26_1_notify_in_a_file_has_no_blanks_and_no_line_ends() {
        for text in ["delay, failure", " DELAY", "DELAY\n", "NEVER\u{a0}"] {
            assert!(Notify::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    fn envelope() -> Envelope {
        Envelope {
            v: VERSION,
            id: QueueId::new(1, 2),
            size: 0,
            crc32: "0123abcd".into(),
            time: "2026-11-22T14:43:49Z".into(),
            reverse_path: ReversePath::Null,
            recipients: vec![Recipient::new(Address::new("a", "x.example").unwrap())],
            ret: None,
            envid: None,
            body: Body::SevenBit,
            smtputf8: false,
            deliver_by: None,
            hold_until: None,
            priority: None,
            warnings: Vec::new(),
            caller: CallerInfo::default(),
            peer: None,
        }
    }

    /// What is wrong with the envelope after `change`.
    fn wrong(change: impl Fn(&mut Envelope)) -> Option<&'static str> {
        let mut envelope = envelope();
        change(&mut envelope);
        envelope.check().err()
    }

    #[test]
    fn what_the_types_cannot_check_is_checked() {
        assert_eq!(wrong(|_| {}), None);
        assert_eq!(wrong(|e| e.v = 0), Some("version 0 does not exist"));
        assert_eq!(wrong(|e| e.recipients.clear()), Some("no recipients"));
        let times = |n: usize| move |e: &mut Envelope| e.recipients = vec![e.recipients[0].clone(); n];
        assert_eq!(wrong(times(crate::limits::RECIPIENTS)), None);
        assert_eq!(wrong(times(crate::limits::RECIPIENTS + 1)), Some("too many recipients"));
        for digits in ["", "0123abc", "0123abcde", "0123ABCD", "0123abcg"] {
            assert_eq!(wrong(|e| e.crc32 = digits.into()), Some("crc32 is not eight lower-case hex digits"), "{digits}");
        }
        assert_eq!(wrong(|e| e.envid = Some("x".repeat(crate::limits::ENVID))), None);
        assert_eq!(wrong(|e| e.envid = Some("x".repeat(crate::limits::ENVID + 1))), Some("envid is too long"));
        for (priority, is_good) in [(-10, false), (-9, true), (0, true), (9, true), (10, false)] {
            assert_eq!(wrong(|e| e.priority = Some(priority)).is_none(), is_good, "{priority}");
        }
    }

    #[test]
    fn pf26_1_every_text_is_looked_at_and_every_time_is_one() {
        let bad = "x\ny".to_owned();
        let control = [
            wrong(|e| e.recipients[0].original = Some(bad.clone())),
            wrong(|e| e.recipients[0].orcpt = Some(bad.clone())),
            wrong(|e| e.caller.exe = Some(bad.clone())),
            wrong(|e| e.caller.cwd = Some(bad.clone())),
            wrong(|e| e.caller.unit = Some(bad.clone())),
            wrong(|e| e.envid = Some(bad.clone())),
            wrong(|e| e.deliver_by = Some(bad.clone())),
            wrong(|e| e.hold_until = Some(bad.clone())),
            wrong(|e| e.time = bad.clone()),
            wrong(|e| e.warnings = vec![bad.clone()]),
        ];
        assert!(control.iter().all(|why| *why == Some("control character in the envelope")), "{control:?}");
        let time = |text: &str| {
            [wrong(|e| e.time = text.into()), wrong(|e| e.deliver_by = Some(text.into())), wrong(|e| e.hold_until = Some(text.into()))]
        };
        assert_eq!(time("yesterday"), [Some("invalid time (RFC 3339 required)"); 3]);
        assert_eq!(time("2027-01-01T00:00:00Z"), [None; 3]);
    }

    #[test]
    fn smtputf8_is_written_only_where_it_is_true() {
        assert!(is_false(&false) && !is_false(&true));
    }
}
