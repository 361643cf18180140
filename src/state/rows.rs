//! The rows of state.sqlite as values: a message, its recipients, and the lines of its history.

use rusqlite::Row;

use mail::code::{Cause, Code, Duplicate, Happened, HoldCause, MessageEnd, Progress, QueueDir, Trigger};
use mail::envelope::{CallerInfo, Notify};
use mail::queue_id::QueueId;
use mail::{Actor, Diagnosis, HistoryCause, Hold};

use crate::codes;

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
    pub dir: QueueDir,
    /// Why it is held: set while it is in `hold/`.
    pub hold: Option<HoldCause>,
    /// Who held or removed it.
    pub by: Option<Actor>,
    /// More of why it is held, or was lost. Printable; shown, never read.
    pub detail: String,
    /// Attempts that reached a server.
    pub attempts: u32,
    /// The last one.
    pub last_attempt: Option<i64>,
    /// The next one; `None` while the daemon has it in hand.
    pub next_attempt: Option<i64>,
    /// A final dot may be under way.
    pub in_data: bool,
    /// How it ended; `None` while a recipient is open.
    pub outcome: Option<MessageEnd>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Why its next attempt may be a second delivery, if that was not told yet.
    pub suspect: Option<Duplicate>,
}

impl Message {
    /// Why it is held, if it is.
    pub fn held(&self) -> Option<Hold> {
        self.hold.map(|cause| Hold { cause, by: self.by.clone(), detail: self.detail.clone() })
    }

    /// It is parked.
    pub fn park(&mut self, hold: Hold) {
        (self.dir, self.next_attempt) = (QueueDir::Hold, None);
        (self.hold, self.by, self.detail) = (Some(hold.cause), hold.by, hold.detail);
    }

    /// It is tried at `at`, and nothing is left of why it was held or of how it had ended.
    pub fn open(&mut self, at: i64) {
        (self.dir, self.next_attempt) = (QueueDir::Cur, Some(at));
        (self.hold, self.by, self.detail) = (None, None, String::new());
        (self.outcome, self.ended_at) = (None, None);
    }

    /// It has ended, with its file there. An end that it has already stays: removing what failed does not change that it failed.
    pub fn end(&mut self, dir: QueueDir, end: MessageEnd, at: i64) {
        (self.dir, self.next_attempt, self.in_data) = (dir, None, false);
        (self.hold, self.by, self.detail) = (None, None, String::new());
        if self.outcome.is_none() {
            (self.outcome, self.ended_at) = (Some(end), Some(at));
        }
    }
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
    /// Which DSNs its sender asks for (RFC 3461 4.1).
    pub notify: Notify,
    /// How far it has come.
    pub progress: Progress,
    /// Why.
    pub diagnosis: Diagnosis,
    /// Enhanced status of the last attempt.
    pub status: String,
    /// What the last attempt said: a reply, or words of ours. Printable; shown, never read.
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
    /// Why.
    pub diagnosis: Diagnosis,
    /// Enhanced status.
    pub status: String,
    /// What the attempt said: a reply, or words of ours. Printable; shown, never read.
    pub reply: String,
    /// The host that said it.
    pub relay: String,
}

/// A line of a message's history, beside its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine {
    /// Unix seconds.
    pub at: i64,
    /// What happened.
    pub kind: Happened,
    /// Why, in the codes of the kind.
    pub cause: Option<HistoryCause>,
    /// What made the system do it.
    pub trigger: Option<Trigger>,
    /// Who wanted it.
    pub by: Option<Actor>,
    /// More for people. Printable; shown, never read.
    pub detail: String,
}

impl HistoryLine {
    /// A line of this kind.
    pub fn new(at: i64, kind: Happened) -> HistoryLine {
        HistoryLine { at, kind, cause: None, trigger: None, by: None, detail: String::new() }
    }

    /// The line of a message that was parked.
    pub fn held(at: i64, hold: &Hold) -> HistoryLine {
        let cause = Some(HistoryCause::Hold(hold.cause));
        HistoryLine { cause, by: hold.by.clone(), detail: hold.detail.clone(), ..HistoryLine::new(at, Happened::Held) }
    }

    /// The same with its cause.
    pub fn because(self, cause: HistoryCause) -> HistoryLine {
        HistoryLine { cause: Some(cause), ..self }
    }

    /// The same with who wanted it.
    pub fn by(self, actor: &Actor) -> HistoryLine {
        HistoryLine { by: Some(actor.clone()), trigger: Some(Trigger::Operator), ..self }
    }

    /// The same with what made the system do it.
    pub fn on(self, trigger: Trigger) -> HistoryLine {
        HistoryLine { trigger: Some(trigger), ..self }
    }

    /// The same with more for people.
    pub fn with(self, detail: impl Into<String>) -> HistoryLine {
        HistoryLine { detail: detail.into(), ..self }
    }

    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<HistoryLine> {
        let kind: Happened = codes::get(row, 1)?;
        let number: Option<i64> = row.get(2)?;
        let cause = number.map(|number| HistoryCause::of(kind, number).ok_or_else(|| codes::no_code(Happened::KIND, number, 2)));
        Ok(HistoryLine {
            at: row.get(0)?,
            kind,
            cause: cause.transpose()?,
            trigger: codes::get_option(row, 3)?,
            by: actor_of(row, 4)?,
            detail: row.get(6)?,
        })
    }
}

impl From<RecipientRow> for RecipientUpdate {
    fn from(row: RecipientRow) -> Self {
        let RecipientRow { n, progress, diagnosis, status, reply, relay, .. } = row;
        RecipientUpdate { n, progress, diagnosis, status, reply, relay }
    }
}

/// How a message with these recipients ended: by the gravest of its failures. `None` while one is open.
pub fn end_of(recipients: &[RecipientRow]) -> Option<MessageEnd> {
    if recipients.iter().any(|recipient| recipient.progress.is_open()) {
        return None;
    }
    let ends = recipients.iter().map(|recipient| match (recipient.progress, recipient.diagnosis.cause) {
        (Progress::Relayed, _) => (0, MessageEnd::Relayed),
        (_, Some(Cause::Corrupt)) => (5, MessageEnd::Corrupt),
        (_, Some(Cause::Vanished)) => (4, MessageEnd::Vanished),
        (_, Some(Cause::Bounced)) => (3, MessageEnd::Bounced),
        (_, Some(Cause::Expired | Cause::ExpiredByOperator | Cause::DeliverBy)) => (2, MessageEnd::Expired),
        _ => (1, MessageEnd::Failed),
    });
    ends.max().map(|(_, end)| end)
}

/// The actor in column `at`, a uid or NULL, and the one behind it, the name.
pub(super) fn actor_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Actor>> {
    let name: String = row.get(at + 1)?;
    Ok(row.get::<_, Option<u32>>(at)?.map(|uid| Actor { uid, name }))
}

/// The diagnosis in four columns from `at` on: cause, subject, stage, code. Rows of relayed recipients have none, and rows from
/// before schema 3, whose words were not read, have an unknown one.
pub(super) fn diagnosis_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Diagnosis> {
    Ok(Diagnosis {
        cause: codes::get_option::<Cause>(row, at)?,
        subject: codes::get_option(row, at + 1)?,
        stage: codes::get_option(row, at + 2)?,
        code: row.get(at + 3)?,
    })
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
    /// Why.
    pub diagnosis: Diagnosis,
    /// Enhanced status.
    pub status: String,
    /// What the attempt said: a reply, or words of ours. Printable; shown, never read.
    pub reply: String,
    /// The host that said it.
    pub relay: String,
    /// The queue id that the next hop named when it took the message; empty where it named none.
    pub remote_id: String,
    /// TLS version and cipher, as [`Transaction::tls`].
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
pub(super) const ATTEMPT_COLUMNS: &str = "attempt.n, recipient.address, attempt.since, attempt.at, attempt.times, attempt.state, attempt.status, attempt.reply, attempt.relay, attempt.remote_id, attempt.tls, attempt.notes, attempt.reached, attempt.connect_ms, attempt.transaction_ms, attempt.cause, attempt.subject, attempt.stage, attempt.code";

impl Attempt {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Attempt> {
        Ok(Attempt {
            n: row.get(0)?,
            address: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            since: row.get(2)?,
            at: row.get(3)?,
            times: row.get(4)?,
            progress: codes::get(row, 5)?,
            diagnosis: diagnosis_of(row, 15)?,
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
pub(super) const COLUMNS: &str = "id, uid, digest, size, accepted, expires, reverse_path, message_id, dir, hold, by_uid, by_name, detail, attempts, last_attempt, next_attempt, in_data, outcome, ended_at, suspect";

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
        dir: codes::get(row, 8)?,
        hold: codes::get_option(row, 9)?,
        by: actor_of(row, 10)?,
        detail: row.get(12)?,
        attempts: row.get(13)?,
        last_attempt: row.get(14)?,
        next_attempt: row.get(15)?,
        in_data: row.get(16)?,
        outcome: codes::get_option(row, 17)?,
        ended_at: row.get(18)?,
        suspect: codes::get_option(row, 19)?,
    })
}
