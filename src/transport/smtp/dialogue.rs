//! One command and its reply, for the opening of a session and for its transactions.
//!
//! A reply counts for the command it answers, and only if it is what the step expects (RFC 5321 4.2.1, 4.3.2):
//! 4yz and 5yz are refusals. Any other unexpected reply means that the two sides are out of step, and ends the connection: from then
//! on a 250 could belong to any message (THREATS T-SMTP-4).

use super::connection::{Broken, Connection, WriteError};
use super::failure::{Failure, Stage};
pub(super) use super::failure::{OURS, PROTOCOL};
use super::timeouts::Timeouts;
use mail::{EnhancedStatus, Reply};

/// 4.4.1: no answer from the host.
pub(super) const NO_ANSWER: EnhancedStatus = EnhancedStatus::new(4, 4, 1);
/// 4.4.2: the connection was lost.
const BAD_CONNECTION: EnhancedStatus = EnhancedStatus::new(4, 4, 2);

/// What a step expects: any reply of the class 2yz, whatever its other digits (RFC 5321 4.2.1).
pub(super) const COMPLETED: u16 = 2;
/// What DATA expects: 354 and nothing else. A server that answers 334 is not reading mail data, and would run the lines of a
/// message as commands.
pub(super) const START_MAIL_INPUT: u16 = 354;
/// What a step of AUTH expects before the last (RFC 4954 4).
pub(super) const CHALLENGE: u16 = 334;

pub(super) struct Dialogue {
    pub connection: Connection,
    pub peer: String,
    pub timeouts: Timeouts,
}

impl Dialogue {
    /// The failure of a connection that broke in `stage`.
    pub(crate) fn lost(&self, stage: Stage, why: &Broken) -> Failure {
        let status = if matches!(why, Broken::Reply(_)) { PROTOCOL } else { BAD_CONNECTION };
        Failure::lost(stage, &self.peer, status, why.to_string())
    }

    /// Reads the answer to what was written for `stage`.
    pub(crate) async fn answer(&mut self, stage: Stage, expected: u16) -> Result<Reply, Failure> {
        match self.connection.read_reply(self.timeouts.of(stage)).await {
            Ok(reply) => self.judge(stage, expected, reply),
            Err(why) => Err(self.lost(stage, &why)),
        }
    }

    /// Writes one command and reads its answer.
    pub(crate) async fn command(&mut self, stage: Stage, line: &[u8], expected: u16) -> Result<Reply, Failure> {
        self.expect_silence(stage).await?;
        self.write(stage, line).await?;
        self.answer(stage, expected).await
    }

    /// Writes `bytes` whole.
    pub(crate) async fn write(&mut self, stage: Stage, bytes: &[u8]) -> Result<(), Failure> {
        match self.connection.write(bytes, self.timeouts.of(stage)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.cut_short(stage, &error).await),
        }
    }

    /// The failure of a write. A server that gives up usually sends a reply before it closes: that reason is preferred.
    pub(crate) async fn cut_short(&mut self, stage: Stage, error: &WriteError) -> Failure {
        match self.connection.unasked().await {
            Ok(Some(reply)) if reply.is_transient() || reply.is_permanent() => self.last_word(stage, reply),
            _ => self.lost(stage, &error.why),
        }
    }

    /// Makes sure that nothing has arrived that no command asked for: a 421 before the end of an idle connection is a refusal,
    /// anything else could be taken for the answer to what comes next.
    pub(crate) async fn expect_silence(&mut self, stage: Stage) -> Result<(), Failure> {
        match self.connection.unasked().await {
            Ok(None) => Ok(()),
            Ok(Some(reply)) if reply.is_transient() || reply.is_permanent() => Err(self.last_word(stage, reply)),
            Ok(Some(reply)) => Err(Failure::lost(stage, &self.peer, PROTOCOL, format!("the server sent `{reply}` before any command"))),
            Err(why) => Err(self.lost(stage, &why)),
        }
    }

    /// An unsolicited refusal: the connection is unusable.
    fn last_word(&self, stage: Stage, reply: Reply) -> Failure {
        Failure { reusable: false, ..Failure::refused(stage, &self.peer, reply) }
    }

    fn judge(&self, stage: Stage, expected: u16, reply: Reply) -> Result<Reply, Failure> {
        if reply.code() == expected || reply.code() / 100 == expected {
            return Ok(reply);
        }
        if reply.is_transient() || reply.is_permanent() {
            return Err(Failure::refused(stage, &self.peer, reply));
        }
        Err(Failure::lost(
            stage,
            &self.peer,
            PROTOCOL,
            format!("the server answered {stage} with `{reply}`, which is not a valid reply to it"),
        ))
    }
}
