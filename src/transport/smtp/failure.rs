//! A failure in a session, as a value: stage, reply, status, peer.
//!
//! The outcome for the message is decided elsewhere, in one place that sees the failures of all hosts and attempts.

use std::fmt;

pub use mail::code::Stage;
use mail::code::{Cause, Subject};
use mail::{Diagnosis, EnhancedStatus, Reply, printable, sentence};

/// 4.3.0: a failure on our side.
pub(super) const OURS: EnhancedStatus = EnhancedStatus::new(4, 3, 0);
/// 4.5.0: the server violated the protocol.
pub(super) const PROTOCOL: EnhancedStatus = EnhancedStatus::new(4, 5, 0);

/// Characters of a cause. The reply itself is kept whole.
const CAUSE: usize = 500;

/// One failure, of a session or of one recipient in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where it happened.
    pub stage: Stage,
    /// The refusal (4yz or 5yz) that is the failure. None where the connection, the protocol or our own side failed.
    pub reply: Option<Reply>,
    /// The server's enhanced status, or ours where it gave none.
    pub status: EnhancedStatus,
    /// The peer, as in `mx.example[192.0.2.1]:25`.
    pub peer: String,
    /// Why, in one printable line of 500 characters at most.
    pub cause: String,
    /// True if the session can continue with another message; false if the connection is closed or no longer trusted.
    pub reusable: bool,
}

impl Failure {
    /// The server refused with `reply`. The session can continue unless the reply is 421, which announces its end (RFC 5321 3.8).
    pub(super) fn refused(stage: Stage, peer: &str, reply: Reply) -> Self {
        Failure {
            stage,
            status: reply.enhanced_or_generic(),
            peer: peer.to_owned(),
            cause: shorten(reply.to_string()),
            reusable: reply.code() != 421,
            reply: Some(reply),
        }
    }

    /// The connection, the protocol or our own side failed, and the connection with it.
    pub(super) fn lost(stage: Stage, peer: &str, status: EnhancedStatus, cause: impl Into<String>) -> Self {
        let cause = shorten(printable::text(&sentence::made(cause)));
        Failure { stage, reply: None, status, peer: peer.to_owned(), cause, reusable: false }
    }

    /// What it was and what it is about, in codes: from stage, reply and status, never from the text.
    pub fn diagnosis(&self) -> Diagnosis {
        let code = self.reply.as_ref().map(Reply::code);
        let (cause, subject) = match (self.stage, code) {
            // Replies about authentication are about us whenever they come (RFC 4954 6).
            (Stage::Auth, _) | (_, Some(530 | 534 | 535 | 538)) => (Cause::Login, Subject::Credential),
            (stage, Some(_)) if stage.is_route() => (Cause::Reply, Subject::Connection),
            (Stage::MailFrom, Some(_)) => (Cause::Reply, Subject::Sender),
            (Stage::RcptTo, Some(_)) => (Cause::Reply, Subject::Recipient),
            (_, Some(_)) => (Cause::Reply, Subject::Message),
            (Stage::Route | Stage::Connect | Stage::Greeting, None) => (Cause::Unreachable, Subject::Connection),
            (Stage::StartTls | Stage::Tls, None) => (Cause::Tls, Subject::Connection),
            (Stage::FinalDot, None) => (Cause::NoReply, Subject::Connection),
            (_, None) if self.status.class == 5 => (Cause::Capability, Subject::Message),
            (_, None) if self.status == OURS => (Cause::Internal, Subject::Host),
            (_, None) if self.status == PROTOCOL => (Cause::Protocol, Subject::Connection),
            (_, None) => (Cause::NoAnswer, Subject::Connection),
        };
        Diagnosis { cause: Some(cause), subject: Some(subject), stage: Some(self.stage), code }
    }

    /// True if it is unknown whether the server accepted the message: the end of data was sent, and no valid reply arrived.
    pub fn is_uncertain(&self) -> bool {
        self.stage == Stage::FinalDot && self.reply.is_none()
    }
}

/// A reply can have 64 KiB, and a certificate can name a hundred hosts: a line for people is cut after [`CAUSE`] characters.
fn shorten(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(CAUSE) {
        text.truncate(at);
        text.push('…');
    }
    text
}

impl fmt::Display for Failure {
    /// `mx.example[192.0.2.1]:25: RCPT TO: 550 5.1.1 no such user`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.peer, self.stage, self.cause)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_smtp_6_a_cause_is_one_line_of_bounded_length() {
        let reply = Reply::new(550, vec!["ä".repeat(2000); 20]);
        let failure = Failure::refused(Stage::Data, "mx.example", reply.clone());
        assert_eq!((failure.cause.chars().count(), failure.reply), (501, Some(reply)));
        let failure = Failure::lost(Stage::Data, "mx.example", EnhancedStatus::new(4, 0, 0), "a\r\nb");
        assert_eq!(failure.to_string(), "mx.example: DATA: a\\x0d\\x0ab");
    }
}
