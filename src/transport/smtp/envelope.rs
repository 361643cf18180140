//! The envelope of one transaction as commands: MAIL, RCPT, DATA and their parameters (RFC 5321 4.1.1, 1870, 6152, 6531, 3461).
//!
//! In: values of `mail`, which cannot hold CR, LF or NUL, and what the server offers. Out: command lines that are safe to write
//! as they are (THREATS T-SMTP-2). Texts that the types do not guard (ENVID, ORCPT) are encoded or left out here. Pure.

use std::fmt::Write;
use std::ops::Range;

use super::capabilities::Capabilities;
use super::failure::Stage;
use mail::envelope::{Body, Recipient, Ret};
use mail::{ReversePath, limits, xtext};

/// One transaction: a message and some of its recipients, 100 at most by the caller's care (RFC 5321 4.5.3.1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in the order in which results come back.
    pub recipients: Vec<Recipient>,
    /// Octets of the content with everything that goes in front of it, without dot-stuffing (RFC 1870 3).
    pub size: u64,
    /// What the content holds.
    pub body: Body,
    /// True if the header section needs RFC 6531; addresses are looked at here.
    pub smtputf8: bool,
    /// RFC 3461 4.3.
    pub ret: Option<Ret>,
    /// RFC 3461 4.4, not yet xtext.
    pub envid: Option<String>,
}

impl Envelope {
    /// True if the message can only go to a server with SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        let paths = self.recipients.iter().map(|recipient| &recipient.address).chain(self.reverse_path.address());
        self.smtputf8 || paths.into_iter().any(|address| !address.is_ascii())
    }
}

/// One command of a group: its place in the bytes, and the stage that its reply belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub stage: Stage,
    pub bytes: Range<usize>,
    /// RSET in front of MAIL: its reply says nothing about the message.
    pub is_reset: bool,
}

/// The commands of one transaction up to DATA, ready to write at once or one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub bytes: Vec<u8>,
    pub steps: Vec<Step>,
    pub recipients: usize,
}

impl Group {
    /// The group for `envelope`; `reset` puts RSET in front, where an earlier transaction was left open.
    pub(crate) fn new(envelope: &Envelope, offer: &Capabilities, reset: bool) -> Self {
        let mut group = Group { recipients: envelope.recipients.len(), ..Group::default() };
        if reset {
            group.push(Stage::MailFrom, true, "RSET");
        }
        group.push(Stage::MailFrom, false, &mail(envelope, offer));
        let takes_utf8 = offer.smtputf8 && envelope.needs_smtputf8();
        for recipient in &envelope.recipients {
            group.push(Stage::RcptTo, false, &rcpt(recipient, offer, takes_utf8));
        }
        group.push(Stage::Data, false, "DATA");
        group
    }

    fn push(&mut self, stage: Stage, is_reset: bool, command: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(command.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
        self.steps.push(Step { stage, bytes: start..self.bytes.len(), is_reset });
    }
}

fn mail(envelope: &Envelope, offer: &Capabilities) -> String {
    let mut line = format!("MAIL FROM:<{}>", envelope.reverse_path);
    if offer.size.is_some() {
        // RFC 1870 3: a write to a String cannot fail, here and below.
        let _ = write!(line, " SIZE={}", envelope.size);
    }
    if offer.eight_bit_mime && envelope.body == Body::EightBitMime {
        line.push_str(" BODY=8BITMIME");
    }
    if offer.smtputf8 && envelope.needs_smtputf8() {
        line.push_str(" SMTPUTF8");
    }
    if offer.dsn {
        match envelope.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Hdrs) => line.push_str(" RET=HDRS"),
            None => {}
        }
        // A longer one may be refused (RFC 3461 5.4), and the message with it. Encoded, it can be three times as long as it came.
        let envid = envelope.envid.as_deref().map(xtext::encode);
        if let Some(envid) = envid.filter(|envid| (1..=limits::ENVID).contains(&envid.len())) {
            let _ = write!(line, " ENVID={envid}");
        }
    }
    line
}

/// `takes_utf8`: MAIL said SMTPUTF8, so that parameters may go beyond ASCII (RFC 6531 3.4).
fn rcpt(recipient: &Recipient, offer: &Capabilities, takes_utf8: bool) -> String {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if offer.dsn {
        if let Some(notify) = recipient.notify {
            let _ = write!(line, " NOTIFY={notify}");
        }
        // RFC 3461 5.2.1 (d): as it came, in the other form of RFC 6533 3 where this server needs that.
        if let Some((kind, address)) = recipient.orcpt.as_deref().and_then(xtext::orcpt) {
            let address = if takes_utf8 { address.to_owned() } else { xtext::to_ascii(address) };
            let value = format!("{kind};{address}");
            // The 7-bit form may have grown beyond what servers must take (RFC 3461 5.4), and a refusal would fail the recipient.
            if xtext::orcpt(&value).is_some() {
                let _ = write!(line, " ORCPT={value}");
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::Address;
    use mail::envelope::Notify;

    fn envelope() -> Envelope {
        let mut recipient = Recipient::new(Address::parse("\"a b\"@x.example").unwrap());
        recipient.notify = Notify::parse("failure,delay");
        recipient.orcpt = Some("rfc822;a+2Bb@x.example".to_owned());
        Envelope {
            reverse_path: ReversePath::Address(Address::parse("me@h.example").unwrap()),
            recipients: vec![recipient],
            size: 1234,
            body: Body::EightBitMime,
            smtputf8: false,
            ret: Some(Ret::Hdrs),
            envid: Some("a b+c=ü".to_owned()),
        }
    }

    fn lines(envelope: &Envelope, offer: &Capabilities, reset: bool) -> Vec<String> {
        let group = Group::new(envelope, offer, reset);
        group.steps.iter().map(|step| String::from_utf8(group.bytes[step.bytes.clone()].to_vec()).unwrap()).collect()
    }

    /// RFC 3461 5.2.1 and 5.2.2 (a)
    #[test]
    fn parameters_are_passed_where_they_are_offered() {
        let offer = Capabilities { size: Some(0), eight_bit_mime: true, smtputf8: true, dsn: true, ..Capabilities::default() };
        assert_eq!(
            lines(&envelope(), &offer, true),
            [
                "RSET\r\n",
                "MAIL FROM:<me@h.example> SIZE=1234 BODY=8BITMIME RET=HDRS ENVID=a+20b+2Bc+3D+C3+BC\r\n",
                "RCPT TO:<\"a b\"@x.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@x.example\r\n",
                "DATA\r\n"
            ]
        );
        let none = lines(&envelope(), &Capabilities::default(), false);
        assert_eq!(none, ["MAIL FROM:<me@h.example>\r\n", "RCPT TO:<\"a b\"@x.example>\r\n", "DATA\r\n"]);
    }

    /// RFC 3461 5.2.1 (d), RFC 6533 3
    #[test]
    fn an_orcpt_beyond_ascii_is_passed_as_it_is_only_where_smtputf8_was_said() {
        let offer = |smtputf8| Capabilities { smtputf8, dsn: true, ..Capabilities::default() };
        let mut envelope = envelope();
        envelope.recipients[0].notify = None;
        envelope.recipients[0].orcpt = Some("utf-8;gr\u{fc}n@x.example".to_owned());
        let ascii = "RCPT TO:<\"a b\"@x.example> ORCPT=utf-8;gr\\x{FC}n@x.example\r\n";
        assert_eq!(lines(&envelope, &offer(true), false)[1], ascii, "no address of this envelope needs SMTPUTF8");
        envelope.smtputf8 = true;
        assert_eq!(lines(&envelope, &offer(false), false)[1], ascii);
        assert_eq!(lines(&envelope, &offer(true), false)[1], "RCPT TO:<\"a b\"@x.example> ORCPT=utf-8;gr\u{fc}n@x.example\r\n");
        envelope.recipients[0].orcpt = Some(format!("utf-8;{}", "\u{fc}".repeat(200)));
        assert_eq!(lines(&envelope, &offer(false), false)[1], "RCPT TO:<\"a b\"@x.example>\r\n", "longer than 500");
    }

    /// RFC 3461 5.2.1 (a) to (d): what was not supplied is not made up.
    #[test]
    fn no_parameter_is_passed_that_did_not_come() {
        let offer = Capabilities { dsn: true, ..Capabilities::default() };
        let mut envelope = Envelope { ret: None, envid: None, ..envelope() };
        (envelope.recipients[0].notify, envelope.recipients[0].orcpt) = (None, None);
        assert_eq!(lines(&envelope, &offer, false), ["MAIL FROM:<me@h.example>\r\n", "RCPT TO:<\"a b\"@x.example>\r\n", "DATA\r\n"]);
    }

    /// RFC 3461 4.4, 5.4
    #[test]
    fn an_envelope_id_is_passed_that_every_server_must_take() {
        let offer = Capabilities { dsn: true, ..Capabilities::default() };
        for (envid, length) in [("x".repeat(100), 100), ("+".repeat(33), 99), ("+".repeat(34), 0), (String::new(), 0)] {
            let mail = &lines(&Envelope { ret: None, envid: Some(envid), ..envelope() }, &offer, false)[0];
            assert_eq!(mail.trim_end().split_once(" ENVID=").map_or(0, |(_, value)| value.len()), length, "{mail}");
        }
    }

    #[test]
    fn smtputf8_is_asked_for_only_where_it_is_needed() {
        let offer = Capabilities { smtputf8: true, ..Capabilities::default() };
        let mut envelope = Envelope { reverse_path: ReversePath::Null, ..envelope() };
        assert_eq!(lines(&envelope, &offer, false)[0], "MAIL FROM:<>\r\n");
        envelope.recipients.push(Recipient::new(Address::parse("grün@x.example").unwrap()));
        assert_eq!(lines(&envelope, &offer, false)[0], "MAIL FROM:<> SMTPUTF8\r\n");
    }

    #[test]
    fn t_smtp_2_no_text_can_add_a_command_or_a_parameter() {
        let offer = Capabilities { dsn: true, ..Capabilities::default() };
        let mut envelope = envelope();
        envelope.envid = Some("x\r\nRCPT TO:<y@z>".to_owned());
        for orcpt in
            ["rfc822;a\r\nDATA", "rfc822;a NOTIFY=NEVER", "rfc822", ";a", "rfc822;", "r f;a", "rfc822;a\u{e4}", "rfc822;a=b", "rfc822;a+b"]
        {
            envelope.recipients[0].orcpt = Some(orcpt.to_owned());
            let all = lines(&envelope, &offer, false);
            assert_eq!(all.len(), 3);
            assert!(all[0].ends_with("ENVID=x+0D+0ARCPT+20TO:<y@z>\r\n"), "{}", all[0]);
            assert_eq!(all[1], "RCPT TO:<\"a b\"@x.example> NOTIFY=FAILURE,DELAY\r\n", "{orcpt:?}");
        }
    }
}
