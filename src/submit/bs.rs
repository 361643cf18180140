//! `-bs`: SMTP on standard input and output (SENDMAIL.md section 8), for programs that speak SMTP over a pipe. It is not a network
//! service: the client is the user who started the process, with the same rights as on the command line.
//!
//! In: SMTP commands. Out: replies in Postfix's words, and one durable file for each message. The same fix-ups and the same policy
//! apply as for any other message. Client errors never end the session with an error, but an end of input within a message is exit
//! code 74.

mod command;
mod data;
mod input;

use std::collections::BTreeSet;
use std::io::Write;

use command::{Command, Mail, Rcpt, Refusal};
use data::Data;
use input::{Input, Next};

use super::body::{DotRule, Lines};
use super::local::Resolver;
use super::message::{Accepted, Intake, Order, RecipientSource, Site};
use super::recipients::Resolved;
use super::sender;
use super::spool_writer;
use control::refusal::{RefusalCode, SubmitError};
use exit::{Exit, Failure};
use mail::envelope::Recipient;
use mail::{limits, printable};
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// The number of refused commands that ends the session.
const ERRORS: u32 = 20;
/// The product name in `220` and HELP.
const PRODUCT: &str = "mailchute";

/// An SMTP session.
struct Session<'a, W: Write> {
    site: &'a Site<'a>,
    full_name: Option<&'a [u8]>,
    input: Input,
    out: W,
    transaction: Option<Transaction>,
    errors: u32,
}

/// A transaction, from MAIL to the end of data.
struct Transaction {
    mail: Mail,
    recipients: Vec<Recipient>,
    seen: BTreeSet<(String, String)>,
    /// Accepted RCPT commands; an alias may discard their mail.
    accepted: usize,
    warnings: Vec<String>,
}

/// The next step after a command.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    End,
}

/// Serves one session on standard input and `out`. `full_name` is `-F`.
///
/// Errors: EX_IOERR if the input ends within a message, or `out` is closed.
pub fn serve(site: &Site, full_name: Option<&[u8]>, out: impl Write) -> Result<Exit, Failure> {
    let mut session = Session { site, full_name, input: Input::default(), out, transaction: None, errors: 0 };
    session.say(220, &format!("{} ESMTP {PRODUCT}", site.names.mailname))?;
    loop {
        if session.input.must_wait() {
            // Replies to pipelined commands are sent together (RFC 2920 3.2).
            session.flush()?;
        }
        let flow = match session.input.line()? {
            Next::Line(line) => session.command(&line)?,
            Next::Bad(why) => session.refuse(&Refusal::new(500, why))?,
            Next::End => Flow::End,
            Next::Idle => {
                session.say(421, "4.4.2 Error: timeout exceeded")?;
                Flow::End
            }
        };
        if flow == Flow::End {
            session.flush()?;
            return Ok(Exit::Ok);
        }
    }
}

impl<W: Write> Session<'_, W> {
    fn say(&mut self, code: u16, text: &str) -> Result<(), Failure> {
        let text: String = printable::text(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        write!(self.out, "{code} {text}\r\n").map_err(|e| output_error(&e))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| output_error(&e))
    }

    fn refuse(&mut self, refusal: &Refusal) -> Result<Flow, Failure> {
        self.say(refusal.code, &refusal.text)?;
        self.errors += 1;
        if self.errors < ERRORS {
            return Ok(Flow::Next);
        }
        self.say(421, "4.7.0 Error: too many errors")?;
        Ok(Flow::End)
    }

    fn command(&mut self, line: &[u8]) -> Result<Flow, Failure> {
        let result = match command::parse(line, self.site.names) {
            Err(refusal) => Err(refusal),
            Ok(Command::Quit) => {
                self.say(221, "2.0.0 Bye")?;
                return Ok(Flow::End);
            }
            Ok(Command::Data) => match self.may_begin_data() {
                Ok(()) => return self.data(),
                Err(refusal) => Err(refusal),
            },
            Ok(Command::Ehlo) => {
                self.transaction = None;
                return self.extensions().map(|()| Flow::Next);
            }
            Ok(Command::Helo) => {
                self.transaction = None;
                Ok((250, self.site.names.mailname.clone()))
            }
            Ok(Command::Rset) => {
                self.transaction = None;
                Ok((250, "2.0.0 Ok".to_owned()))
            }
            Ok(Command::Noop) => Ok((250, "2.0.0 Ok".to_owned())),
            Ok(Command::Vrfy) => Ok((252, "2.0.0 send it and see".to_owned())),
            Ok(Command::Help) => Ok((214, format!("2.0.0 {PRODUCT}; see sendmail(8)"))),
            Ok(Command::Mail(mail)) => self.mail(mail),
            Ok(Command::Rcpt(rcpt)) => self.rcpt(&rcpt),
        };
        match result {
            Ok((code, text)) => self.say(code, &text).map(|()| Flow::Next),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// RFC 5321 4.1.1.1
    fn extensions(&mut self) -> Result<(), Failure> {
        let size = format!("SIZE {}", self.site.config.params.message_size_limit.0);
        let words = [self.site.names.mailname.as_str(), "PIPELINING", &size, "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"];
        for word in words {
            write!(self.out, "250-{word}\r\n").map_err(|e| output_error(&e))?;
        }
        self.say(250, "SMTPUTF8")
    }

    fn mail(&mut self, mail: Mail) -> Result<(u16, String), Refusal> {
        if self.transaction.is_some() {
            return Err(Refusal::new(503, "5.5.1 Error: nested MAIL command"));
        }
        let params = &self.site.config.params;
        let limit = params.message_size_limit.0;
        // RFC 1870 6.1
        if limit > 0 && mail.size > limit {
            return Err(Refusal::new(552, "5.3.4 Message size exceeds fixed limit"));
        }
        spool_writer::admit(self.site.config, self.site.caller.uid).map_err(|error| refusal_of(&error))?;
        let own = sender::own_address(self.site.caller, self.site.names).map_err(|failure| refusal_of(&failure.into()))?;
        sender::check_policy(&mail.sender, &own, self.site.caller, params).map_err(|failure| refusal_of(&failure.into()))?;
        self.transaction = Some(Transaction { mail, recipients: Vec::new(), seen: BTreeSet::new(), accepted: 0, warnings: Vec::new() });
        Ok((250, "2.1.0 Ok".to_owned()))
    }

    fn rcpt(&mut self, rcpt: &Rcpt) -> Result<(u16, String), Refusal> {
        let config = self.site.config;
        let Some(transaction) = &mut self.transaction else {
            return Err(Refusal::new(503, "5.5.1 Error: need MAIL command"));
        };
        let mut resolver = Resolver::new(config, self.site.names);
        let resolved = resolver.resolve(&rcpt.wanted).map_err(|e| refusal_of(&Failure::from(e).into()))?;
        let (addresses, original) = match resolved {
            Resolved::Address(address) => (vec![address], None),
            Resolved::Expanded(addresses) => (addresses, Some(rcpt.wanted.to_string())),
        };
        let limit = config.params.recipient_limit.clamp(1, limits::RECIPIENTS);
        if transaction.recipients.len() + addresses.len() > limit {
            return Err(Refusal::new(452, "4.5.3 Error: too many recipients"));
        }
        for address in addresses {
            if transaction.seen.insert((address.domain().to_ascii_lowercase(), address.local().to_owned())) {
                let (notify, orcpt) = (rcpt.notify, rcpt.orcpt.clone());
                transaction.recipients.push(Recipient { address, original: original.clone(), notify, orcpt });
            }
        }
        let new = resolver.take_warnings().into_iter().filter(|warning| !transaction.warnings.contains(warning)).collect::<Vec<_>>();
        transaction.warnings.extend(new);
        transaction.accepted += 1;
        Ok((250, "2.1.5 Ok".to_owned()))
    }

    fn may_begin_data(&self) -> Result<(), Refusal> {
        match &self.transaction {
            None => Err(Refusal::new(503, "5.5.1 Error: need RCPT command")),
            Some(transaction) if transaction.accepted == 0 => Err(Refusal::new(554, "5.5.1 Error: no valid recipients")),
            Some(_) => Ok(()),
        }
    }

    /// DATA: always reads to the end of data, so that no line of a message is ever parsed as a command.
    fn data(&mut self) -> Result<Flow, Failure> {
        let Some(transaction) = self.transaction.take() else { return Ok(Flow::Next) };
        self.say(354, "End data with <CR><LF>.<CR><LF>")?;
        self.flush()?;
        let site = self.site;
        let mut data = Data::new(self.input.line_end());
        let mut message = Message::new(Intake::new(site, order(transaction, self.full_name)));
        match self.input.data(&mut data, |bytes| message.take(bytes)) {
            Next::Line(()) => {}
            Next::Idle => {
                self.say(421, "4.4.2 Error: timeout exceeded")?;
                self.flush()?;
                return Err(Failure::new(Exit::IoErr, "no input for five minutes within a message; the message was discarded"));
            }
            Next::End | Next::Bad(_) => {
                return Err(Failure::new(Exit::IoErr, "the input ended within a message; the message was discarded"));
            }
        }
        if data.has_bare_lf() {
            return self.refuse(&Refusal::new(550, "5.5.2 bare LF in message data; lines end in CR LF in this session"));
        }
        match message.finish() {
            Ok(accepted) => self.accepted(&accepted),
            Err(failure) => {
                syslog::send(Facility::Mail, Severity::Error, &format!("-bs: {}({}): {failure}", site.caller.name, site.caller.uid));
                self.refuse(&refusal_of(&failure))
            }
        }
    }

    /// Sends the reply before the lock on the file ends, so that the daemon never sends an unacknowledged message.
    fn accepted(&mut self, accepted: &Accepted) -> Result<Flow, Failure> {
        syslog::send(Facility::Mail, Severity::Info, &accepted.line);
        match &accepted.kept {
            Some(kept) => self.say(250, &format!("2.0.0 Ok: queued as {}", kept.id))?,
            None => self.say(250, "2.0.0 Ok: discarded by aliases")?,
        }
        self.flush()?;
        Ok(Flow::Next)
    }
}

/// A message being received, or its first error.
struct Message<'a> {
    lines: Lines,
    intake: Result<Intake<'a>, SubmitError>,
}

impl<'a> Message<'a> {
    fn new(intake: Intake<'a>) -> Message<'a> {
        Message { lines: Lines::new(DotRule::Data), intake: Ok(intake) }
    }

    fn take(&mut self, bytes: &[u8]) {
        if let Ok(intake) = &mut self.intake
            && let Err(error) = self.lines.feed(bytes, |piece| intake.take(piece))
        {
            // Dropping the intake removes the partial file.
            self.intake = Err(error);
        }
    }

    fn finish(self) -> Result<Accepted, SubmitError> {
        let mut intake = self.intake?;
        let changes = self.lines.finish(|piece| intake.take(piece))?;
        intake.finish(changes)
    }
}

fn order(transaction: Transaction, full_name: Option<&[u8]>) -> Order<'_> {
    Order {
        recipients: RecipientSource::Resolved(transaction.recipients),
        sender: Some(transaction.mail.sender),
        full_name,
        ret: transaction.mail.ret,
        envid: transaction.mail.envid,
        deliver_by: None,
        hold_until: None,
        priority: None,
        warnings: transaction.warnings,
    }
}

/// The reply for an error: permanent for an error of the client, transient for a local problem (RFC 5321 4.2.3).
fn refusal_of(error: &SubmitError) -> Refusal {
    let code = match error.kind() {
        RefusalCode::TooLarge => 552,
        RefusalCode::Data | RefusalCode::Policy => 554,
        RefusalCode::NoUser => 550,
        // Every reason to refuse mail for lack of space is temporary.
        RefusalCode::NotAdmitted | RefusalCode::NoSpace => 452,
        RefusalCode::Usage | RefusalCode::Spool | RefusalCode::Busy | RefusalCode::Local => 451,
    };
    Refusal::new(code, format!("{} Error: {error}", error.kind().status()))
}

fn output_error(e: &std::io::Error) -> Failure {
    Failure::new(Exit::IoErr, format!("cannot write a reply: {e}"))
}
