//! What was found out, as values: who did something, why a message is held, why a recipient is as it is.

use serde::{Deserialize, Serialize};

use super::code::{Cause, Code, Duplicate, FileFault, Happened, HoldCause, NoDsn, Op, Stage, Subject};

/// Somebody who changed something, with the name that the uid had then. The name is shown, never compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// As the kernel attests it.
    pub uid: u32,
    /// Printable.
    pub name: String,
}

/// Why a message is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Decides what releases it.
    pub cause: HoldCause,
    /// Who wanted it, if anybody did.
    pub by: Option<Actor>,
    /// More for people: the fault of a key, the numbers of a quota. Printable; shown, never read.
    pub detail: String,
}

impl Hold {
    /// For a cause that says all.
    pub fn of(cause: HoldCause) -> Hold {
        Hold::with(cause, String::new())
    }

    /// With more for people.
    pub fn with(cause: HoldCause, detail: impl Into<String>) -> Hold {
        Hold { cause, by: None, detail: detail.into() }
    }

    /// Because an operator wanted it.
    pub fn by(actor: Actor) -> Hold {
        Hold { cause: HoldCause::Operator, by: Some(actor), detail: String::new() }
    }
}

/// Why a recipient is deferred, uncertain or failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The cause; `None` before the first attempt, and for rows of relayed recipients.
    pub cause: Option<Cause>,
    /// What it is about.
    pub subject: Option<Subject>,
    /// How far the attempt had come.
    pub stage: Option<Stage>,
    /// The code of the reply, if a server gave one.
    pub code: Option<u16>,
}

impl Diagnosis {
    /// Of a cause and what it is about.
    pub const fn of(cause: Cause, subject: Subject) -> Diagnosis {
        Diagnosis { cause: Some(cause), subject: Some(subject), stage: None, code: None }
    }

    /// The same recipient given up for another cause: what the last attempt said stays.
    pub fn given_up(self, cause: Cause) -> Diagnosis {
        Diagnosis { cause: Some(cause), ..self }
    }

    /// True for what a server said about our login, at whatever stage (RFC 4954 6): it may hold the password.
    pub fn is_about_login(self) -> bool {
        self.cause == Some(Cause::Login) || self.stage == Some(Stage::Auth) || matches!(self.code, Some(530 | 534 | 535 | 538))
    }
}

/// The cause of a line of history: of the kind that the line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryCause {
    /// Of [`Happened::Held`].
    Hold(HoldCause),
    /// Of [`Happened::Asked`] and [`Happened::Completed`].
    Op(Op),
    /// Of [`Happened::Failed`].
    Recipient(Cause),
    /// Of [`Happened::Corrupt`].
    File(FileFault),
    /// Of [`Happened::Uncertain`] and [`Happened::Suspect`].
    Duplicate(Duplicate),
    /// Of [`Happened::NoDsn`].
    NoDsn(NoDsn),
}

impl HistoryCause {
    /// The cause of this number in a line of this kind; `None` where there is no such cause.
    pub fn of(kind: Happened, number: i64) -> Option<HistoryCause> {
        match kind {
            Happened::Held => HoldCause::of_number(number).map(HistoryCause::Hold),
            Happened::Asked | Happened::Completed => Op::of_number(number).map(HistoryCause::Op),
            Happened::Failed => Cause::of_number(number).map(HistoryCause::Recipient),
            Happened::Corrupt => FileFault::of_number(number).map(HistoryCause::File),
            Happened::Uncertain | Happened::Suspect => Duplicate::of_number(number).map(HistoryCause::Duplicate),
            Happened::NoDsn => NoDsn::of_number(number).map(HistoryCause::NoDsn),
            _ => None,
        }
    }

    /// Its number.
    pub fn number(self) -> i64 {
        match self {
            HistoryCause::Hold(code) => code.number(),
            HistoryCause::Op(code) => code.number(),
            HistoryCause::Recipient(code) => code.number(),
            HistoryCause::File(code) => code.number(),
            HistoryCause::Duplicate(code) => code.number(),
            HistoryCause::NoDsn(code) => code.number(),
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            HistoryCause::Hold(code) => code.word(),
            HistoryCause::Op(code) => code.word(),
            HistoryCause::Recipient(code) => code.word(),
            HistoryCause::File(code) => code.word(),
            HistoryCause::Duplicate(code) => code.word(),
            HistoryCause::NoDsn(code) => code.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_changes_the_cause_alone() {
        let last = Diagnosis { stage: Some(Stage::RcptTo), code: Some(450), ..Diagnosis::of(Cause::Reply, Subject::Message) };
        assert_eq!(last.given_up(Cause::Expired), Diagnosis { cause: Some(Cause::Expired), ..last });
    }

    #[test]
    fn what_a_server_says_about_our_login_is_known_by_cause_stage_or_code() {
        let reply = |stage, code| Diagnosis { stage, code, ..Diagnosis::of(Cause::Reply, Subject::Message) };
        assert!(Diagnosis::of(Cause::Login, Subject::Credential).is_about_login());
        assert!(reply(Some(Stage::Auth), Some(454)).is_about_login());
        assert!([530, 534, 535, 538].into_iter().all(|code| reply(Some(Stage::MailFrom), Some(code)).is_about_login()));
        assert!(!reply(Some(Stage::MailFrom), Some(550)).is_about_login() && !reply(None, None).is_about_login());
    }

    #[test]
    fn a_cause_of_history_is_of_the_kind_of_its_line() {
        let rows = [
            (Happened::Held, HistoryCause::Hold(HoldCause::Quota)),
            (Happened::Asked, HistoryCause::Op(Op::Requeue)),
            (Happened::Failed, HistoryCause::Recipient(Cause::Vanished)),
            (Happened::Corrupt, HistoryCause::File(FileFault::ALL[1])),
            (Happened::Uncertain, HistoryCause::Duplicate(Duplicate::PowerCut)),
            (Happened::Suspect, HistoryCause::Duplicate(Duplicate::PowerCut)),
            (Happened::NoDsn, HistoryCause::NoDsn(NoDsn::NoAdmin)),
        ];
        for (kind, cause) in rows {
            assert_eq!(HistoryCause::of(kind, cause.number()), Some(cause));
            assert_eq!(HistoryCause::of(kind, 99), None, "{kind:?}");
        }
        assert_eq!(HistoryCause::of(Happened::Accepted, 1), None);
        let words = rows.map(|(_, cause)| cause.word());
        assert_eq!(words, ["quota", "requeue", "vanished", FileFault::ALL[1].word(), "power_cut", "power_cut", "no_admin_address"]);
    }
}
