//! The timeouts of each step (RFC 5321 4.5.3.2). Each limit is for the whole step, so a server cannot extend it by sending one byte a
//! minute (THREATS PF26-5).

use std::time::Duration;

use super::failure::Stage;

/// The limits of one session. Every value is a whole step's: a reply with all its lines, or a write of one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the peer's kernel accepts the connection.
    pub connect: Duration,
    /// RFC 5321 4.5.3.2.1: until 220.
    pub greeting: Duration,
    /// EHLO, STARTTLS, AUTH, RSET: what RFC 5321 has no limit for.
    pub command: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// RFC 5321 4.5.3.2.2.
    pub mail: Duration,
    /// RFC 5321 4.5.3.2.3.
    pub rcpt: Duration,
    /// RFC 5321 4.5.3.2.4: the reply to DATA.
    pub data_initiation: Duration,
    /// RFC 5321 4.5.3.2.5: until the kernel has taken one piece of at most [`super::content::PIECE`] bytes.
    pub data_block: Duration,
    /// RFC 5321 4.5.3.2.6: the reply to the end of data. The longest, since a timeout here causes duplicates.
    pub data_termination: Duration,
    /// The reply to QUIT, which does not matter.
    pub quit: Duration,
}

impl Timeouts {
    /// The limits that follow from the two configured ones. With 5 minutes for `reply` they are those of RFC 5321.
    pub fn new(connect: Duration, reply: Duration) -> Self {
        Timeouts {
            connect,
            greeting: reply,
            command: reply,
            tls: reply.min(Duration::from_secs(60)),
            mail: reply,
            rcpt: reply,
            data_initiation: reply.min(Duration::from_secs(120)),
            data_block: reply.min(Duration::from_secs(180)),
            data_termination: reply.saturating_mul(2),
            quit: reply.min(Duration::from_secs(5)),
        }
    }

    /// The limit for an answer in `stage`.
    pub fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Route | Stage::Connect => self.connect,
            Stage::Greeting => self.greeting,
            Stage::Ehlo | Stage::StartTls | Stage::Auth => self.command,
            Stage::Tls => self.tls,
            Stage::MailFrom => self.mail,
            Stage::RcptTo => self.rcpt,
            Stage::Data => self.data_initiation,
            Stage::Body => self.data_block,
            Stage::FinalDot => self.data_termination,
            Stage::Quit => self.quit,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts::new(Duration::from_secs(30), Duration::from_secs(300))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_rfc_5321() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let t = Timeouts::default();
        assert_eq!((t.greeting, t.mail, t.rcpt), (minutes(5), minutes(5), minutes(5)));
        assert_eq!((t.data_initiation, t.data_block, t.data_termination), (minutes(2), minutes(3), minutes(10)));
    }

    #[test]
    fn a_short_reply_timeout_shortens_every_limit_that_waits_for_a_server() {
        let t = Timeouts::new(Duration::from_secs(1), Duration::from_secs(2));
        assert!([t.greeting, t.command, t.tls, t.mail, t.rcpt, t.data_initiation, t.data_block].iter().all(|d| d.as_secs() == 2));
        assert_eq!(t.data_termination.as_secs(), 4);
    }
}
