//! Transactions of an open session, with one round trip for each message on a warm connection (RFC 2920 3.1).
//!
//! ```text
//!   Idle ──send_envelope──▶ Envelope ──read_envelope_replies──▶ Content ──send_content──▶ Final ──read_final──▶ Idle
//!                              ▲                │ nobody accepted: Idle                    │ the next group went
//!                              │                ▼                                          │ with the content
//!                              └───────────────────────────────────────────────────────────┘
//! ```
//! Each call takes the phase and stores the next one. A future that is dropped midway, or a failure after which the two sides are out of
//! step, leaves the session closed. A group sent after a content affects no message: if the connection is lost before its replies, that
//! message was not tried.

use super::connection::Broken;
use super::content::Content;
use super::dialogue::{COMPLETED, OURS, PROTOCOL, START_MAIL_INPUT};
use super::envelope::{Envelope, Group, Step};
use super::failure::{Failure, Stage};
use super::phase::Phase;
use super::session::{Protocol, Session};
use super::{content, wire};
use mail::envelope::Body;
use mail::{EnhancedStatus, Reply};

/// The answers to one envelope.
#[derive(Clone, Debug)]
pub struct EnvelopeReplies {
    /// To MAIL.
    pub mail: Result<Reply, Failure>,
    /// One for each recipient, in the order of the envelope. `Ok` means that the content is sent for it: if MAIL, DATA or the
    /// connection failed, the failure is here too.
    pub recipients: Vec<Result<Reply, Failure>>,
    /// To DATA.
    pub data: Result<Reply, Failure>,
}

impl EnvelopeReplies {
    /// True if [`Session::send_content`] is next.
    pub fn any_accepted(&self) -> bool {
        self.recipients.iter().any(Result::is_ok)
    }

    fn end_the_session(&self) -> bool {
        let mut all = self.recipients.iter().chain([&self.mail, &self.data]);
        all.any(|reply| reply.as_ref().is_err_and(|failure| !failure.reusable))
    }

    /// Applies a failure of MAIL or DATA to the recipients.
    fn spread_failures(&mut self) {
        if let Err(failure) = &self.mail {
            self.recipients.fill(Err(failure.clone()));
            self.data = Err(failure.clone());
        }
        if let Err(failure) = &self.data {
            for recipient in self.recipients.iter_mut().filter(|recipient| recipient.is_ok()) {
                *recipient = Err(failure.clone());
            }
        }
    }
}

impl Session {
    /// Whether this server can take `envelope` at all.
    ///
    /// Errors, all of the stage MAIL FROM and without harm to the session: 5.6.7 (needs SMTPUTF8, RFC 6531 3.5), 5.3.4 (larger than
    /// the server's SIZE, RFC 1870 6.1).
    pub fn check(&self, envelope: &Envelope) -> Result<(), Failure> {
        let refuse = |status, cause| {
            let failure = Failure::lost(Stage::MailFrom, self.peer(), status, cause);
            Err(Failure { reusable: true, ..failure })
        };
        if envelope.needs_smtputf8() && !self.capabilities.smtputf8 {
            let cause = "an address or header field needs SMTPUTF8, which the server does not offer".to_owned();
            return refuse(EnhancedStatus::new(5, 6, 7), cause);
        }
        match self.capabilities.size {
            Some(limit) if limit > 0 && envelope.size > limit => {
                let cause = format!("the message has {} bytes, but the server accepts at most {limit}", envelope.size);
                refuse(EnhancedStatus::new(5, 3, 4), cause)
            }
            _ => Ok(()),
        }
    }

    /// True if `envelope` announces 8-bit content that goes to this server without BODY=8BITMIME, because it offers none.
    pub fn sends_unlabelled_8bit(&self, envelope: &Envelope) -> bool {
        envelope.body == Body::EightBitMime && !self.capabilities.eight_bit_mime
    }

    /// True if an envelope is on its way already: it went with the content before, or [`Session::send_envelope`] was called.
    pub fn has_envelope(&self) -> bool {
        matches!(self.phase, Phase::Envelope(_))
    }

    /// Sends MAIL, all RCPT and DATA in one write. Without PIPELINING they go one by one, with their replies.
    ///
    /// Errors: those of [`Session::check`], which leave the session as it is; the connection.
    pub async fn send_envelope(&mut self, envelope: &Envelope) -> Result<(), Failure> {
        self.check(envelope)?;
        match self.take_phase() {
            Phase::Idle => {}
            _ => return Err(self.misuse(Stage::MailFrom)),
        }
        let group = Group::new(envelope, &self.capabilities, self.left_open);
        self.dialogue.expect_silence(Stage::MailFrom).await?;
        if self.capabilities.pipelining {
            self.dialogue.write(Stage::MailFrom, &group.bytes).await?;
        }
        self.start(group);
        Ok(())
    }

    fn start(&mut self, group: Group) {
        (self.left_open, self.transactions) = (false, self.transactions.saturating_add(1));
        self.phase = Phase::Envelope(group);
    }

    /// Reads the replies to the envelope. Every recipient gets one, whatever happens to the connection.
    pub async fn read_envelope_replies(&mut self) -> EnvelopeReplies {
        let Phase::Envelope(group) = self.take_phase() else {
            let failure = self.misuse(Stage::MailFrom);
            return EnvelopeReplies { mail: Err(failure.clone()), recipients: Vec::new(), data: Err(failure) };
        };
        let mut replies = self.collect(&group).await;
        let accepted = replies.recipients.iter().filter(|reply| reply.is_ok()).count();
        if !replies.end_the_session() {
            self.phase = match (&replies.mail, accepted, &replies.data) {
                (_, 0, Ok(_)) => self.end_empty_data().await,
                (Ok(_), accepted, Ok(_)) => Phase::Content { accepted },
                // MAIL refused, recipients accepted: a lone end of data might send them an empty message.
                (Err(_), _, Ok(_)) => Phase::Closed,
                (mail, _, Err(_)) => {
                    self.left_open = mail.is_ok();
                    Phase::Idle
                }
            };
        }
        replies.spread_failures();
        replies
    }

    /// Each reply as it came.
    async fn collect(&mut self, group: &Group) -> EnvelopeReplies {
        let unsent =
            || Failure { reusable: true, ..Failure::lost(Stage::Data, &self.dialogue.peer, PROTOCOL, "no recipient was accepted") };
        let mut replies = EnvelopeReplies { mail: Err(unsent()), recipients: Vec::with_capacity(group.recipients), data: Err(unsent()) };
        let mut lost: Option<Failure> = None;
        for step in &group.steps {
            let reply = match &lost {
                Some(failure) => Err(failure.clone()),
                None if self.capabilities.pipelining => self.dialogue.answer(step.stage, expected(step)).await,
                None => match unneeded(step, &replies) {
                    Some(failure) => Err(failure),
                    None => self.take_step(group, step).await,
                },
            };
            // After RSET failed, nobody knows to which transaction MAIL would belong.
            if let Err(failure) = &reply
                && (!failure.reusable || step.is_reset)
            {
                lost.get_or_insert_with(|| Failure { reusable: false, ..failure.clone() });
            }
            match step.stage {
                Stage::MailFrom if step.is_reset => {}
                Stage::MailFrom => replies.mail = reply,
                Stage::RcptTo => replies.recipients.push(reply),
                _ => replies.data = reply,
            }
        }
        replies
    }

    async fn take_step(&mut self, group: &Group, step: &Step) -> Result<Reply, Failure> {
        let line = group.bytes.get(step.bytes.clone()).unwrap_or_default();
        self.dialogue.command(step.stage, line, expected(step)).await
    }

    /// RFC 2920 3.1: after 354 without an accepted recipient, the end of data and nothing else; its reply is of no interest.
    async fn end_empty_data(&mut self) -> Phase {
        // RFC 2033 4.2: LMTP replies once for each recipient; without recipients, servers differ.
        if self.protocol == Protocol::Lmtp || self.dialogue.write(Stage::Data, b".\r\n").await.is_err() {
            return Phase::Closed;
        }
        match self.dialogue.connection.read_reply(self.dialogue.timeouts.data_termination).await {
            Ok(reply) if reply.code() != 421 => Phase::Idle,
            _ => Phase::Closed,
        }
    }

    /// Sends the content, the end of data, and the group of `next` in the last write, where PIPELINING allows and the server can
    /// take it; [`Session::has_envelope`] tells after [`Session::read_final`].
    ///
    /// Errors: all of the stage Body, and the session is closed: the end of data was not sent, so the server does not have the message.
    /// If the end of data may have been sent, this succeeds and [`Session::read_final`] returns the result.
    pub async fn send_content(&mut self, content: &Content, next: Option<&Envelope>) -> Result<(), Failure> {
        let Phase::Content { accepted } = self.take_phase() else { return Err(self.misuse(Stage::Body)) };
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.stream(content, &mut out).await?;
        let end = out.len();
        let next = next.filter(|next| self.pipelines(next)).map(|next| Group::new(next, &self.capabilities, false));
        out.extend_from_slice(next.as_ref().map_or(&[][..], |group| &group.bytes));
        // A reply that arrives before the end of data does not answer it (THREATS T-SMTP-4).
        self.dialogue.expect_silence(Stage::Body).await?;
        match self.dialogue.connection.write(&out, self.dialogue.timeouts.data_block).await {
            Err(error) if error.accepted < end => return Err(self.dialogue.cut_short(Stage::Body, &error).await),
            // Broken after the end of data: the final reply may still have arrived.
            _ => self.phase = Phase::Final { accepted, next },
        }
        self.out = out;
        Ok(())
    }

    /// Encodes the content into `out` and writes all but the last piece and the end of data, which are left there.
    async fn stream(&mut self, content: &Content, out: &mut Vec<u8>) -> Result<(), Failure> {
        let (mut encoder, mut pieces) = (wire::Encoder::default(), content.pieces());
        let peer = self.dialogue.peer.clone();
        let unreadable = |e| Failure::lost(Stage::Body, &peer, OURS, format!("the message could not be read to its end: {e}"));
        let malformed = |e| {
            let cause = format!("the message was not sent: it contains {e}");
            Failure::lost(Stage::Body, &peer, EnhancedStatus::new(5, 6, 0), cause)
        };
        while let Some(piece) = pieces.next().await.map_err(unreadable)? {
            if out.len() >= content::PIECE {
                self.dialogue.write(Stage::Body, out).await?;
                out.clear();
            }
            encoder.encode(piece, out).map_err(malformed)?;
        }
        encoder.finish(out).map_err(malformed)
    }

    /// True if the group of `next` may follow an end of data in the same write.
    fn pipelines(&self, next: &Envelope) -> bool {
        self.capabilities.pipelining && self.has_transactions_left() && self.check(next).is_ok()
    }

    /// Reads the final reply: one result for each recipient that was accepted, in their order. Over SMTP the server gives one for
    /// all of them, over LMTP one for each (RFC 2033 4.2).
    ///
    /// [`Failure::is_uncertain`] marks a result that cannot be known.
    pub async fn read_final(&mut self) -> Vec<Result<Reply, Failure>> {
        let Phase::Final { accepted, next } = self.take_phase() else { return vec![Err(self.misuse(Stage::FinalDot))] };
        let mut results = Vec::with_capacity(accepted);
        let mut is_lost = false;
        let replies = if self.protocol == Protocol::Lmtp { accepted } else { 1 };
        for _ in 0..replies {
            let result = match is_lost {
                true => Err(self.dialogue.lost(Stage::FinalDot, &Broken::Closed)),
                false => self.dialogue.answer(Stage::FinalDot, COMPLETED).await,
            };
            is_lost |= result.as_ref().is_err_and(|failure| !failure.reusable);
            results.push(result);
        }
        if self.protocol == Protocol::Smtp
            && let Some(one) = results.first().cloned()
        {
            results.resize(accepted, one);
        }
        if !is_lost {
            self.phase = Phase::Idle;
            if let Some(group) = next {
                self.start(group);
            }
        }
        results
    }

    fn take_phase(&mut self) -> Phase {
        std::mem::replace(&mut self.phase, Phase::Closed)
    }

    /// A call that the phase does not allow, or a session that is closed already.
    fn misuse(&self, stage: Stage) -> Failure {
        Failure::lost(stage, self.peer(), OURS, "the session is closed, or was not ready for this step")
    }
}

/// RFC 5321 4.3.2: the reply to each command on success.
fn expected(step: &Step) -> u16 {
    if step.stage == Stage::Data { START_MAIL_INPUT } else { COMPLETED }
}

/// Without PIPELINING, a pointless command is not sent. Returns the failure in place of its reply.
fn unneeded(step: &Step, replies: &EnvelopeReplies) -> Option<Failure> {
    match (step.stage, &replies.mail) {
        (Stage::RcptTo | Stage::Data, Err(failure)) => Some(failure.clone()),
        (Stage::Data, Ok(_)) if !replies.any_accepted() => replies.data.as_ref().err().cloned(),
        _ => None,
    }
}
