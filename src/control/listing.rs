//! The listing of the queue: one [`Entry`] per message, in Postfix's long text layout and as JSON Lines with Postfix's keys
//! (SENDMAIL.md Q2, Q3). Scripts all over the world parse both; the last line of the text most of all.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use mail::code::{HoldCause, MessageEnd, Progress};
use mail::{Actor, date, printable};

use crate::state::QueueState;
use crate::why::WhyCodes;

/// One message. Postfix's keys come first, with Postfix's meaning. Readers must ignore unknown keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `incoming`, `active`, `deferred`, `hold` or `failed`; `finished`, `removed`, `corrupt` and `lost` in histories.
    pub queue_name: QueueState,
    /// Queue id.
    pub queue_id: String,
    /// Unix seconds.
    pub arrival_time: i64,
    /// Bytes.
    pub message_size: u64,
    /// The next attempt is the last one.
    pub forced_expire: bool,
    /// `""` is the null reverse-path.
    pub sender: String,
    /// Recipients that are open or failed.
    pub recipients: Vec<Recipient>,
    /// The uid of the submitter.
    pub uid: u32,
    /// The Message-ID field's value.
    #[serde(default)]
    pub message_id: String,
    /// Attempts so far.
    #[serde(default)]
    pub attempts: u32,
    /// Unix seconds.
    #[serde(default)]
    pub last_attempt: Option<i64>,
    /// Unix seconds.
    #[serde(default)]
    pub next_attempt: Option<i64>,
    /// The end of its queue lifetime, unix seconds.
    #[serde(default)]
    pub expires: Option<i64>,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<MessageEnd>,
    /// Why it is held, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldView>,
    /// The reason for the state of the whole message; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Why a message is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// The cause, which decides what releases it.
    pub cause: HoldCause,
    /// Who held it, where an operator did.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// More for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// One recipient of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The forward-path.
    pub address: String,
    /// The address as the caller wrote it, if it differs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub orig_address: String,
    /// Why it is deferred.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub delay_reason: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bounce_reason: String,
    /// `deferred`, `relayed`, `failed`, `uncertain`.
    pub status: Progress,
    /// Why, in codes.
    #[serde(flatten)]
    pub why: WhyCodes,
    /// Enhanced status of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dsn: String,
    /// The host of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub relay: String,
    /// The reply of the last attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote_reply: String,
}

impl Recipient {
    /// What there is to say of it: why it waits or failed, or what the last server answered.
    pub fn said(&self) -> &str {
        if self.reason().is_empty() { &self.remote_reply } else { self.reason() }
    }

    fn reason(&self) -> &str {
        if self.bounce_reason.is_empty() { &self.delay_reason } else { &self.bounce_reason }
    }
}

/// The last line without queued or held messages. Monitoring parses it.
const EMPTY: &str = "Mail queue is empty";

/// Prints entries in Postfix's long layout, one at a time.
pub(crate) struct TextListing<W: Write> {
    out: W,
    zone: TimeZone,
    detailed: bool,
    entries: u64,
    bytes: u64,
    if_empty: &'static str,
    /// The arrival time of the previous entry and its text: a full queue has many entries of the same second.
    shown_time: (i64, String),
}

impl<W: Write> TextListing<W> {
    /// A listing in the local time of `zone`.
    pub(crate) fn new(out: W, zone: TimeZone) -> Self {
        let shown_time = (0, date::mailq(0, &zone));
        TextListing { out, zone, detailed: false, entries: 0, bytes: 0, if_empty: EMPTY, shown_time }
    }

    /// The same with another text for an empty listing that is not the whole queue.
    pub(crate) fn if_empty(self, if_empty: &'static str) -> Self {
        TextListing { if_empty, ..self }
    }

    /// The same with more details of each message: uid, attempts, times, and the recipients before alias expansion.
    pub(crate) fn detailed(self) -> Self {
        TextListing { detailed: true, ..self }
    }

    /// Prints one message: its row, then its recipients. Each reason comes once, before the recipients it applies to.
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let row = if self.entries == 0 { "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n" } else { "\n" };
        self.out.write_all(row.as_bytes())?;
        self.entries += 1;
        self.bytes += entry.message_size;
        let mark = match entry.queue_name {
            QueueState::Active => "*",
            QueueState::Hold | QueueState::Failed => "!",
            _ if entry.forced_expire => "#",
            _ => "",
        };
        let sender = if entry.sender.is_empty() { "MAILER-DAEMON" } else { &entry.sender };
        let id = format!("{}{mark}", printable::column(&entry.queue_id));
        if self.shown_time.0 != entry.arrival_time {
            self.shown_time = (entry.arrival_time, date::mailq(entry.arrival_time, &self.zone));
        }
        writeln!(self.out, "{id:<17} {:>8} {:>19} {}", entry.message_size, self.shown_time.1, printable::column(sender))?;
        if self.detailed {
            self.reason(&self.detail(entry))?;
        }
        let mut shown = "";
        if !entry.reason.is_empty() {
            self.reason(&entry.reason)?;
        }
        for recipient in entry.recipients.iter().filter(|r| r.status != Progress::Relayed) {
            let reason = recipient.reason();
            if reason != shown && !reason.is_empty() && reason != entry.reason {
                self.reason(reason)?;
            }
            shown = reason;
            writeln!(self.out, "{} {}", blanks(46), printable::column(&recipient.address))?;
            if self.detailed && !recipient.orig_address.is_empty() {
                self.reason(&format!("for {}", recipient.orig_address))?;
            }
        }
        Ok(())
    }

    /// The details of `-v`, on one line that has the form of a reason, so parsers of the layout skip it.
    fn detail(&self, entry: &Entry) -> String {
        let mut parts = vec![format!("uid {}", entry.uid), format!("attempts {}", entry.attempts)];
        let times = [("last", entry.last_attempt), ("next", entry.next_attempt), ("expires", entry.expires)];
        parts.extend(times.iter().filter_map(|(what, time)| time.map(|time| format!("{what} {}", date::mailq(time, &self.zone)))));
        if !entry.message_id.is_empty() {
            parts.push(format!("id {}", entry.message_id));
        }
        parts.join(", ")
    }

    /// Prints `(reason)`, right-aligned to column 76. A longer reason starts at the left margin.
    fn reason(&mut self, reason: &str) -> io::Result<()> {
        let reason = printable::column(reason);
        writeln!(self.out, "{}({reason})", blanks(74_usize.saturating_sub(reason.chars().count())))
    }

    /// Prints the last line, which monitoring parses.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.entries == 0 {
            writeln!(self.out, "{}", self.if_empty)?;
        } else {
            let plural = if self.entries == 1 { "" } else { "s" };
            writeln!(self.out, "\n-- {} Kbytes in {} Request{plural}.", self.bytes / 1024, self.entries)?;
        }
        self.out.flush()
    }
}

/// `count` blanks, at most 76. The formatter pads one character at a time, which took a tenth of the time of a listing.
fn blanks(count: usize) -> &'static str {
    const BLANKS: &str = "                                                                            ";
    BLANKS.get(..count).unwrap_or(BLANKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let waiting = |address: &str, reason: &str| Recipient {
            address: address.into(),
            delay_reason: reason.into(),
            status: Progress::Deferred,
            ..Recipient::default()
        };
        Entry {
            queue_name: QueueState::Deferred,
            queue_id: "6921CE05000000AB".into(),
            arrival_time: 1_795_358_629,
            message_size: 290,
            forced_expire: false,
            sender: "alice@host.example".into(),
            recipients: vec![
                waiting("a@example.com", "connect to relay: refused"),
                waiting("b@example.org", "connect to relay: refused"),
                waiting("c@example.net", "450 4.2.1 busy"),
            ],
            uid: 1001,
            message_id: "<m@host.example>".into(),
            attempts: 1,
            last_attempt: Some(1),
            next_attempt: Some(2),
            expires: Some(3),
            end: None,
            hold: None,
            reason: String::new(),
        }
    }

    fn text(entries: &[Entry]) -> String {
        let mut out = Vec::new();
        let mut listing = TextListing::new(&mut out, TimeZone::UTC);
        entries.iter().for_each(|e| listing.entry(e).unwrap());
        listing.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn q2_the_text_is_postfix_s_long_layout() {
        let active = Entry { queue_name: QueueState::Active, sender: String::new(), message_size: 2048, recipients: vec![], ..entry() };
        assert_eq!(
            text(&[entry(), active]),
            "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n\
             6921CE05000000AB       290 Sun Nov 22 14:43:49 alice@host.example\n\
             \x20                                                (connect to relay: refused)\n\
             \x20                                              a@example.com\n\
             \x20                                              b@example.org\n\
             \x20                                                           (450 4.2.1 busy)\n\
             \x20                                              c@example.net\n\
             \n\
             6921CE05000000AB*     2048 Sun Nov 22 14:43:49 MAILER-DAEMON\n\
             \n\
             -- 2 Kbytes in 2 Requests.\n"
        );
        assert_eq!(text(&[]), "Mail queue is empty\n");
        let mut out = Vec::new();
        TextListing::new(&mut out, TimeZone::UTC).if_empty("no failed messages").finish().unwrap();
        assert_eq!(out, b"no failed messages\n", "an empty part of the queue does not mean an empty queue");
    }

    #[test]
    fn q2_the_mark_shows_the_state_of_a_message() {
        let mark = |queue_name, forced_expire| {
            let text = text(&[Entry { queue_name, forced_expire, ..entry() }]);
            text.lines().nth(1).and_then(|line| line.chars().nth(16)).unwrap_or_default()
        };
        let marks = [
            (QueueState::Active, true, '*'),
            (QueueState::Hold, true, '!'),
            (QueueState::Failed, false, '!'),
            (QueueState::Deferred, true, '#'),
            (QueueState::Deferred, false, ' '),
            (QueueState::Incoming, false, ' '),
        ];
        for (state, forced_expire, expected) in marks {
            assert_eq!(mark(state, forced_expire), expected, "{state:?} {forced_expire}");
        }
    }

    #[test]
    fn the_reason_of_a_recipient_is_the_bounce_then_the_delay_then_the_last_reply() {
        let mut recipient = Recipient { remote_reply: "250 ok".into(), ..Recipient::default() };
        assert_eq!(recipient.said(), "250 ok");
        recipient.delay_reason = "450 busy".into();
        assert_eq!(recipient.said(), "450 busy");
        recipient.bounce_reason = "550 unknown".into();
        assert_eq!(recipient.said(), "550 unknown");
    }

    #[test]
    fn option_v_shows_more_of_each_message_in_lines_that_look_like_reasons() {
        let aliased = Recipient { orig_address: "root".into(), ..entry().recipients.remove(0) };
        let entry = Entry { recipients: vec![aliased, entry().recipients.remove(1)], last_attempt: None, ..entry() };
        let mut out = Vec::new();
        let mut listing = TextListing::new(&mut out, TimeZone::UTC).detailed();
        listing.entry(&entry).unwrap();
        listing.finish().unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("\n(uid 1001, attempts 1, next Thu Jan  1 00:00:02, expires Thu Jan  1 00:00:03, id <m@host.example>)\n"),
            "{out}"
        );
        let lines: Vec<&str> = out.lines().map(str::trim).collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("(for ")).collect::<Vec<_>>(), [&"(for root)"]);
        assert!(out.ends_with("-- 0 Kbytes in 1 Request.\n"), "{out}");
    }

    #[test]
    fn q3_the_json_has_postfix_s_keys_first() {
        let json = serde_json::to_string(&entry()).unwrap();
        assert!(json.starts_with(r#"{"queue_name":"deferred","queue_id":"6921CE05000000AB","arrival_time":1795358629,"message_size":290,"forced_expire":false,"sender":"alice@host.example","recipients":[{"address":"a@example.com","delay_reason":"connect to relay: refused","status":"deferred"}"#), "{json}");
    }

    #[test]
    fn t_out_1_nothing_in_an_entry_reaches_a_terminal() {
        let hostile =
            Entry { queue_id: "6921\u{202e}\x1b".into(), sender: "a\x1b[2J\r\n@x".into(), reason: "\u{202e}evil\x07".into(), ..entry() };
        assert!(text(&[hostile]).chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'));
    }
}
