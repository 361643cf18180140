//! The rows of state.sqlite as values: a message, its recipients, and the lines of its history.

use rusqlite::Row;

use mail::envelope::{CallerInfo, Notify};
use mail::queue_id::QueueId;
use spool::layout;

/// Where a message's file is: the state of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueDir {
    /// `cur/`
    Cur = 0,
    /// `hold/`
    Hold = 1,
    /// `failed/`
    Failed = 2,
    /// Delivered or removed.
    Ended = 3,
}

impl QueueDir {
    pub(super) fn from_i64(value: i64) -> QueueDir {
        match value {
            0 => QueueDir::Cur,
            1 => QueueDir::Hold,
            2 => QueueDir::Failed,
            _ => QueueDir::Ended,
        }
    }

    /// The directory, if there is a file.
    pub fn directory(self) -> Option<&'static str> {
        match self {
            QueueDir::Cur => Some(layout::CUR),
            QueueDir::Hold => Some(layout::HOLD),
            QueueDir::Failed => Some(layout::FAILED),
            QueueDir::Ended => None,
        }
    }
}

/// How far one recipient has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not delivered yet.
    Deferred = 0,
    /// The next hop took responsibility.
    Relayed = 1,
    /// Failed for good.
    Failed = 2,
    /// The final dot was sent and no reply came: it may have been delivered.
    Uncertain = 3,
}

impl Progress {
    pub(super) fn from_i64(value: i64) -> Progress {
        match value {
            1 => Progress::Relayed,
            2 => Progress::Failed,
            3 => Progress::Uncertain,
            _ => Progress::Deferred,
        }
    }

    /// True while the recipient still has to be tried.
    pub fn is_open(self) -> bool {
        matches!(self, Progress::Deferred | Progress::Uncertain)
    }

    /// The word in JSON listings.
    pub fn word(self) -> &'static str {
        match self {
            Progress::Deferred => "deferred",
            Progress::Relayed => "relayed",
            Progress::Failed => "failed",
            Progress::Uncertain => "uncertain",
        }
    }
}

/// The row of a message. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Queue id.
    pub id: QueueId,
    /// Who submitted it: st_uid of the file.
    pub uid: u32,
    /// SHA-256 of the whole spool file, pinned at the claim.
    pub digest: Vec<u8>,
    /// Bytes of the message.
    pub size: u64,
    /// When it was accepted.
    pub accepted: i64,
    /// When it is given up.
    pub expires: i64,
    /// `""` for null.
    pub reverse_path: String,
    /// The Message-ID field's value, printable.
    pub message_id: String,
    /// Where the file is.
    pub place: QueueDir,
    /// Why it is held, or what the last attempt of the whole message said.
    pub reason: String,
    /// Attempts that reached a server.
    pub attempts: u32,
    /// The last one.
    pub last_attempt: Option<i64>,
    /// The next one; `None` while the daemon has it in hand.
    pub next_attempt: Option<i64>,
    /// A final dot may be under way.
    pub in_data: bool,
    /// When the last recipient ended.
    pub finished: Option<i64>,
}

/// The row of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientRow {
    /// Its place in the envelope, from 0.
    pub n: u32,
    /// The forward-path.
    pub address: String,
    /// What the caller wrote, where it differs.
    pub original: String,
    /// What its sender wants to be told (RFC 3461 4.1).
    pub notify: Notify,
    /// How far it has come.
    pub progress: Progress,
    /// Enhanced status of the last attempt.
    pub status: String,
    /// The reply, or the reason, of the last attempt. Printable.
    pub reply: String,
    /// The host that said it.
    pub relay: String,
    /// When.
    pub at: Option<i64>,
}

/// What one attempt found out about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientUpdate {
    /// Its place in the envelope.
    pub n: u32,
    /// The new progress.
    pub progress: Progress,
    /// Enhanced status.
    pub status: String,
    /// The reply, or the reason. Printable.
    pub reply: String,
    /// The host that said it.
    pub relay: String,
}

/// A line of a message's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unix seconds.
    pub at: i64,
    /// `accepted`, `relayed`, `delayed`, `failed`, `uncertain`, `held` …
    pub kind: String,
    /// The details, printable.
    pub text: String,
}

impl Event {
    /// An attempt as a line: who answered what to which recipient, over what.
    pub(super) fn of_attempt(attempt: &Attempt) -> Event {
        let kind = match attempt.progress {
            Progress::Deferred => "deferred",
            progress => progress.word(),
        };
        let remote_id = Some(&attempt.remote_id).filter(|id| !id.is_empty()).map(|id| format!("queued there as {id}"));
        let connect = attempt.connect_ms.map(|ms| format!("connected in {ms} ms"));
        let transaction = attempt.transaction_ms.map(|ms| format!("answered in {ms} ms"));
        let session = [Some(attempt.tls.clone()), Some(attempt.notes.clone()), remote_id, connect, transaction];
        let session: Vec<String> = session.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        let mut text = format!("{}  {}  {}", attempt.address, attempt.relay, attempt.reply);
        if !session.is_empty() {
            text.push_str(&format!(" ({})", session.join("; ")));
        }
        if attempt.times > 1 {
            text.push_str(&format!(" ({} times)", attempt.times));
        }
        Event { at: attempt.at, kind: kind.to_owned(), text }
    }
}

/// Where a message came from, beside the uid, which the kernel attests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// True if gid and pid are the kernel's word too (the submission socket); else they are claims, as the rest always is.
    pub attested: bool,
    /// gid, pid, executable, working directory and unit.
    pub caller: CallerInfo,
    /// What injection changed or noticed.
    pub warnings: Vec<String>,
}

/// What is known of the transaction that news of recipients come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// A server answered about the message. False where its route did not work, or something stopped it before.
    pub reached: bool,
    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384 verified`, or `in clear`; empty where there was no session.
    pub tls: String,
    /// What else the history should say, printable, may be empty.
    pub notes: String,
    /// Milliseconds from the first connection to a session that could take mail; `None` on a warm connection.
    pub connect_ms: Option<u32>,
    /// Milliseconds from MAIL to the last reply.
    pub transaction_ms: Option<u32>,
}

/// One attempt at one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The recipient's place in the envelope.
    pub n: u32,
    /// The forward-path.
    pub address: String,
    /// When it was first so, unix seconds; the same as `at` unless `times` is above 1.
    pub since: i64,
    /// When it ended, unix seconds.
    pub at: i64,
    /// How often in a row the same was found: above 1 only where no server was reached.
    pub times: u32,
    /// What became of the recipient.
    pub progress: Progress,
    /// Enhanced status.
    pub status: String,
    /// The reply, or the reason. Printable.
    pub reply: String,
    /// The host that said it.
    pub relay: String,
    /// The queue id that the next hop named when it took the message; empty where it named none.
    pub remote_id: String,
    /// TLS facts, as [`Transaction::tls`].
    pub tls: String,
    /// As [`Transaction::notes`].
    pub notes: String,
    /// As [`Transaction::reached`].
    pub reached: bool,
    /// As [`Transaction::connect_ms`].
    pub connect_ms: Option<u32>,
    /// As [`Transaction::transaction_ms`].
    pub transaction_ms: Option<u32>,
}

/// The columns of an attempt, in the order of [`Attempt::of`].
pub(super) const ATTEMPT_COLUMNS: &str = "attempt.n, recipient.address, attempt.since, attempt.at, attempt.times, attempt.state, attempt.status, attempt.reply, attempt.relay, attempt.remote_id, attempt.tls, attempt.notes, attempt.reached, attempt.connect_ms, attempt.transaction_ms";

impl Attempt {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Attempt> {
        Ok(Attempt {
            n: row.get(0)?,
            address: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            since: row.get(2)?,
            at: row.get(3)?,
            times: row.get(4)?,
            progress: Progress::from_i64(row.get(5)?),
            status: row.get(6)?,
            reply: row.get(7)?,
            relay: row.get(8)?,
            remote_id: row.get(9)?,
            tls: row.get(10)?,
            notes: row.get(11)?,
            reached: row.get(12)?,
            connect_ms: row.get(13)?,
            transaction_ms: row.get(14)?,
        })
    }
}

/// The columns of a message, in the order of [`message_of`].
pub(super) const COLUMNS: &str = "id, uid, digest, size, accepted, expires, reverse_path, message_id, place, reason, attempts, last_attempt, next_attempt, in_data, finished";

pub(super) fn message_of(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: QueueId::from_i64(row.get(0)?),
        uid: row.get(1)?,
        digest: row.get(2)?,
        size: u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
        accepted: row.get(4)?,
        expires: row.get(5)?,
        reverse_path: row.get(6)?,
        message_id: row.get(7)?,
        place: QueueDir::from_i64(row.get(8)?),
        reason: row.get(9)?,
        attempts: row.get(10)?,
        last_attempt: row.get(11)?,
        next_attempt: row.get(12)?,
        in_data: row.get(13)?,
        finished: row.get(14)?,
    })
}
