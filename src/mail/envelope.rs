//! The envelope: everything about a message that is not the message. One JSON object, the first line of a spool file.
//!
//! In: bytes of a spool file that any local user may have written. Out: a value in which every text is checked.
//! The keys are an allow-list (THREATS PF26-2): an unknown one makes the file corrupt.

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
    /// What injection changed or noticed, one short text each, for the history.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What `sendmail` says of its caller. A claim: the caller can write what it likes.
    #[serde(default)]
    pub caller: CallerInfo,
    /// The kernel's word on a caller that used the socket. Only in files that the daemon wrote itself.
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
    /// What a sender means who says nothing (RFC 3461 4.1 leaves delays to us: they are told).
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

/// What `sendmail` says of its caller; shown as a claim, never decided upon.
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
            return Err("there is no version 0");
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
            return Err("a control character in the envelope");
        }
        if self.crc32.len() != 8 || !self.crc32.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("crc32 is not eight lower-case hex digits");
        }
        if self.envid.as_ref().is_some_and(|envid| envid.len() > super::limits::ENVID) {
            return Err("envid is too long");
        }
        if self.priority.is_some_and(|priority| !(-9..=9).contains(&priority)) {
            return Err("priority is not within -9 to 9");
        }
        let dates = [Some(&self.time), self.deliver_by.as_ref(), self.hold_until.as_ref()];
        if dates.into_iter().flatten().any(|date| super::date::parse_rfc3339(date).is_none()) {
            return Err("a time that is not RFC 3339");
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

    #[test]
    fn smtputf8_is_written_only_where_it_is_true() {
        assert!(is_false(&false) && !is_false(&true));
    }
}
