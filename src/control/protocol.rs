//! The requests and replies of the control socket. A request is one JSON line of at most 64 KiB; the reply is any number of JSON
//! lines whose last one has the key `end`.

use serde::{Deserialize, Serialize};

pub use super::detail::{Detail, Happening};
use super::filter::Filter;
pub use super::status::{AlarmLine, Status, Suspended};
pub use spool::file::Part;

/// Bytes that either side gives to the kernel, or takes, at a time: a listing is many short lines.
pub const BUFFER: usize = 64 << 10;

/// What a program asks of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// All messages that the asker may see, one [`super::listing::Entry`] per line.
    List {
        /// Only these.
        #[serde(default)]
        ids: Vec<String>,
        /// Only such ones.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
    },
    /// How many messages there are that the asker may see: one [`Count`].
    Count {
        /// Only these.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ids: Vec<String>,
        /// Only such ones.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
    },
    /// One message with its history: one [`Detail`].
    Show {
        /// The queue id.
        id: String,
    },
    /// The message with this Message-ID, history included: one [`Detail`] for each.
    Find {
        /// The value of the field, with its angle brackets.
        message_id: String,
    },
    /// The latest messages that are meant by a queue id, an address or a Message-ID, history included: one [`Detail`] for each.
    Trace {
        /// What a person named.
        subject: String,
        /// At most so many.
        limit: usize,
    },
    /// What bears on a message, an address, a domain or a route: one [`super::history::WhyInputs`].
    Why {
        /// What a person named.
        subject: String,
    },
    /// How the daemon works: one [`super::history::DaemonSnapshot`].
    Snapshot {},
    /// The bytes of one message: one [`Text`] per piece.
    Cat {
        /// The queue id.
        id: String,
        /// Which part.
        part: Part,
    },
    /// Try messages now: one [`Count`] of those that are due now.
    Flush {
        /// Which.
        select: Select,
    },
    /// Do something to messages: one [`Done`] for each of them.
    Act {
        /// What.
        act: Act,
        /// Queue ids; none means all that the asker may steer.
        #[serde(default)]
        ids: Vec<String>,
        /// Only such ones.
        #[serde(default, skip_serializing_if = "Filter::is_everything")]
        filter: Filter,
        /// Only say what would be done.
        #[serde(default)]
        dry_run: bool,
    },
    /// Stop delivery, or let it go on, over restarts: one [`Text`] that says how it is now.
    Pause {
        /// True to stop.
        on: bool,
    },
    /// Take mail, or refuse it, over restarts: one [`Text`] that says how it is now.
    Admission {
        /// True to take it.
        open: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// How the daemon is: one [`Status`].
    Status {},
    /// What went through, and what is in the queue: one [`super::stats::Stats`].
    Stats {},
    /// What the report page shows: one [`super::overview::Overview`].
    Overview {},
    /// Where mail for these domains would go: one [`Text`] for each.
    Route {
        /// Addresses.
        addresses: Vec<String>,
    },
}

/// Which messages a flush means (SENDMAIL.md section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "lowercase", deny_unknown_fields)]
pub enum Select {
    /// All.
    All {},
    /// By queue id, whole or its beginning.
    Id {
        /// The id, or its beginning.
        text: String,
        /// All but these.
        #[serde(default)]
        except: bool,
    },
    /// By a part of a recipient's address, in any case.
    Recipient {
        /// The part.
        text: String,
        /// All but these.
        #[serde(default)]
        except: bool,
    },
    /// By a part of the reverse-path, in any case.
    Sender {
        /// The part.
        text: String,
        /// All but these.
        #[serde(default)]
        except: bool,
    },
}

/// What an operator does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Park it: no attempt until it is released.
    Hold,
    /// Let a held one go on.
    Release,
    /// Drop it; its file is kept in `trash/` for 24 hours.
    Remove,
    /// Begin anew: failed and held ones too, with a new give-up time; and removed ones, as long as `trash/` has them.
    Requeue,
    /// Its next attempt is its last one; then it is given up, and its sender told.
    Expire,
    /// Give it up now, without another attempt, and tell its sender.
    Bounce,
    /// Try it now.
    Flush,
}

impl Act {
    /// What was done, in Postfix's words.
    pub fn done(self) -> &'static str {
        match self {
            Act::Hold => "placed on hold",
            Act::Release => "released from hold",
            Act::Remove => "removed",
            Act::Requeue => "requeued",
            Act::Expire => "expired",
            Act::Bounce => "bounced",
            Act::Flush => "made due now",
        }
    }

    /// The headline of the total, in Postfix's words.
    pub fn total(self) -> &'static str {
        match self {
            Act::Hold => "Placed on hold",
            Act::Release => "Released from hold",
            Act::Remove => "Deleted",
            Act::Requeue => "Requeued",
            Act::Expire => "Expired",
            Act::Bounce => "Bounced",
            Act::Flush => "Made due now",
        }
    }
}

/// What became of one message that an operator named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The queue id, as it was named.
    pub id: String,
    /// True if it was done.
    pub done: bool,
    /// True if it is done only when the attempt under way has ended, and may come to nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
    /// What was done, or why not.
    pub text: String,
}

/// The last line of every reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The exit code for the asking program; 0 means all is well.
    pub end: u8,
    /// What went wrong, one line; where nothing did, what the asker should know besides, or nothing.
    #[serde(default)]
    pub text: String,
}

impl End {
    /// The last line, if `line` is one: the only line whose first member is `end`, so that a listing is read once and not twice.
    pub fn parse(line: &str) -> Option<End> {
        line.starts_with("{\"end\"").then(|| serde_json::from_str(line).ok()).flatten()
    }
}

/// A number of messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Messages.
    pub messages: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// A piece of text. Bytes that are not UTF-8 travel as base-16 in `hex`.
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
    /// Any bytes.
    pub fn new(bytes: &[u8]) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text { text: text.to_owned(), hex: String::new() },
            Err(_) => Text { text: String::new(), hex: bytes.iter().map(|b| format!("{b:02x}")).collect() },
        }
    }

    /// The bytes again; broken hex ends them.
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
