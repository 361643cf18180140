//! Requests and replies of the control socket. A request is one JSON line of at most 64 KiB. A reply is any number of JSON lines;
//! the last one has the key `end`.

use mail::code::{Answer, Op};
use mail::{sentence, words};
use serde::{Deserialize, Serialize};

pub use super::detail::{Detail, Happening};
use super::filter::Filter;
pub use super::status::{AlarmLine, NEAR_LIMIT, Severity, Status, Suspended, UserUsage};
pub use spool::file::Part;

/// Buffer size of either side in bytes: a listing is many short lines.
pub const BUFFER: usize = 64 << 10;

/// A request to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// List the messages that the client may see: one [`super::listing::Entry`] per line.
    List {
        /// Only these ids; empty means all.
        #[serde(default)]
        ids: Vec<String>,
        /// Only messages that match.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
    },
    /// Count the messages that the client may see: one [`Count`].
    Count {
        /// Only these ids; empty means all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ids: Vec<String>,
        /// Only messages that match.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
    },
    /// Show one message with its history: one [`Detail`].
    Show {
        /// The queue id.
        id: String,
    },
    /// Find the messages with this Message-ID: one [`Detail`] for each.
    Find {
        /// The value of the field, with its angle brackets.
        message_id: String,
    },
    /// Find the latest messages with this queue id, address or Message-ID: one [`Detail`] for each.
    Trace {
        /// A queue id, address or Message-ID.
        subject: String,
        /// The maximum number of messages.
        limit: usize,
    },
    /// Explain a message, an address, a domain or a route: one [`super::history::WhyInputs`].
    Why {
        /// A queue id, address, domain or route.
        subject: String,
    },
    /// Take a snapshot of the daemon: one [`super::history::DaemonSnapshot`].
    Snapshot {},
    /// Print a message: one [`Text`] per piece.
    Cat {
        /// The queue id.
        id: String,
        /// The part of the message.
        part: Part,
    },
    /// Retry messages now: one [`Count`] of the messages that became due.
    Flush {
        /// The messages.
        select: Select,
    },
    /// Modify messages: one [`Done`] for each message.
    Act {
        /// The operation.
        act: Act,
        /// Queue ids; empty means all messages that the client may modify.
        #[serde(default)]
        ids: Vec<String>,
        /// Only messages that match.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
        /// Report what would happen, without doing it.
        #[serde(default)]
        dry_run: bool,
    },
    /// Pause or resume delivery, persistent over restarts: one [`Text`] with the new state.
    Pause {
        /// True to pause.
        on: bool,
    },
    /// Open or close admission, persistent over restarts: one [`Text`] with the new state.
    Admission {
        /// True to open.
        open: bool,
        /// The reason for closing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// Daemon status: one [`Status`].
    Status {},
    /// Queue and throughput statistics: one [`super::stats::Stats`].
    Stats {},
    /// Statistics for the report page: one [`super::overview::Overview`].
    Overview {},
    /// The route of each address: one [`Text`] for each.
    Route {
        /// Addresses.
        addresses: Vec<String>,
    },
}

/// The messages of a flush (SENDMAIL.md section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Select {
    /// All messages.
    All {},
    /// By queue id or its prefix.
    Id {
        /// The id or its prefix.
        text: String,
        /// Invert the selection.
        #[serde(default)]
        except: bool,
    },
    /// By part of a recipient's address, case-insensitive.
    Recipient {
        /// Part of the address.
        text: String,
        /// Invert the selection.
        #[serde(default)]
        except: bool,
    },
    /// By part of the reverse-path, case-insensitive.
    Sender {
        /// Part of the address.
        text: String,
        /// Invert the selection.
        #[serde(default)]
        except: bool,
    },
}

/// An operation on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Hold the message: no delivery attempt until it is released.
    Hold,
    /// Release a held message.
    Release,
    /// Remove the message; its file stays in `trash/` for 24 hours.
    Remove,
    /// Retry from scratch with a new queue lifetime, including failed and held messages, and removed ones that are still in `trash/`.
    Requeue,
    /// Make the next attempt the last one. If it fails, the sender gets a bounce.
    Expire,
    /// Bounce the message now, without another attempt.
    Bounce,
    /// Retry the message now.
    Flush,
}

impl Act {
    /// The operation in the past tense, in Postfix's words.
    pub fn done(self) -> &'static str {
        words::of_op(self.op())
    }

    /// Its code.
    pub fn op(self) -> Op {
        match self {
            Act::Hold => Op::Hold,
            Act::Release => Op::Release,
            Act::Remove => Op::Remove,
            Act::Requeue => Op::Requeue,
            Act::Expire => Op::Expire,
            Act::Bounce => Op::Bounce,
            Act::Flush => Op::Flush,
        }
    }

    /// The heading of the total, in Postfix's words.
    pub fn total(self) -> &'static str {
        match self {
            Act::Hold => "Placed on hold",
            Act::Release => "Released from hold",
            Act::Remove => "Deleted",
            Act::Requeue => "Requeued",
            Act::Expire => "Expired",
            Act::Bounce => "Bounced",
            Act::Flush => "Scheduled for retry",
        }
    }
}

/// The result of an operation for one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The queue id as it was given.
    pub id: String,
    /// The result, as a code.
    pub answer: Answer,
    /// True if the operation succeeded.
    pub done: bool,
    /// True if the operation follows after the current delivery attempt, and may then have no effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
    /// The result or the reason for a refusal.
    pub text: String,
}

impl Done {
    /// The answer about `id`, with what is said of it.
    pub fn new(id: String, answer: Answer, text: impl Into<String>) -> Done {
        let later = matches!(answer, Answer::Later | Answer::WouldLater);
        Done { id, answer, done: answer.is_success(), later, text: sentence::made(text) }
    }
}

/// The last line of every reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code for the client; 0 means success.
    pub end: u8,
    /// One line: the error, or a warning if `end` is 0. May be empty.
    #[serde(default)]
    pub text: String,
}

impl End {
    /// Parses `line` if it is the last line. Only that line has `end` as its first member, so no other line is parsed twice.
    pub fn parse(line: &str) -> Option<End> {
        line.starts_with("{\"end\"").then(|| serde_json::from_str(line).ok()).flatten()
    }
}

/// The number of messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Messages.
    pub messages: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

/// A piece of text. Bytes that are not UTF-8 are hex-encoded in `hex`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// UTF-8.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Other bytes, two hex digits each.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hex: String,
}

impl Text {
    /// Encodes any bytes.
    pub fn new(bytes: &[u8]) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text { text: text.to_owned(), hex: String::new() },
            Err(_) => Text { text: String::new(), hex: bytes.iter().map(|b| format!("{b:02x}")).collect() },
        }
    }

    /// Decodes the bytes. Decoding stops at invalid hex.
    pub fn bytes(&self) -> Vec<u8> {
        if self.hex.is_empty() {
            return self.text.clone().into_bytes();
        }
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        self.hex.as_bytes().chunks(2).map_while(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_line_and_unknown_keys_are_refused() {
        let flush = Request::Flush { select: Select::Id { text: "6921".into(), except: true } };
        let line = serde_json::to_string(&flush).unwrap();
        assert_eq!(line, r#"{"verb":"flush","select":{"by":"id","text":"6921","except":true}}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), flush);
        assert!(serde_json::from_str::<Request>(r#"{"verb":"list","uid":0}"#).is_err());
    }

    #[test]
    fn any_bytes_travel() {
        for bytes in [b"caf\xc3\xa9\r\n".as_slice(), b"\xff\x00", b""] {
            assert_eq!(Text::new(bytes).bytes(), bytes);
        }
    }
}
