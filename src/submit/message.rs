//! Submits one message to the spool.
//!
//! In: the caller and its options ([`Order`]), and the message in wire form, in pieces. Out: a durable file, or an error line and no
//! file. The header section is buffered until it is complete. The body is not buffered, so memory does not grow with it.

use std::ffi::OsString;

use super::body::Changes;
use super::caller::{self, Caller};
use super::fixup::{self, Additions, Missing};
use super::head::{Collected, Collector, Head};
use super::local::Resolver;
use super::spool_writer::{CommittedMessage, MessageWriter};
use super::{recipients, sender};
use config::{Config, Names};
use control::refusal::SubmitError;
use exit::{Exit, Failure};
use mail::address_list::Spec;
use mail::envelope::{Body, Envelope, Notify, Recipient, Ret, VERSION};
use mail::{Address, QueueId, ReversePath, date, limits};

/// The context of every message of this process.
#[derive(Debug)]
pub struct Site<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The names of this host.
    pub names: &'a Names,
    /// The caller.
    pub caller: &'a Caller,
}

/// The source of the recipients.
#[derive(Clone, Debug)]
pub enum RecipientSource<'a> {
    /// The command line and, with `-t`, the header.
    CommandLine {
        /// The operands.
        operands: &'a [OsString],
        /// `-t`
        from_header: bool,
        /// `-N`, for each recipient.
        notify: Option<Notify>,
    },
    /// An SMTP session: already resolved.
    Resolved(Vec<Recipient>),
}

/// The options of one message.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The recipients.
    pub recipients: RecipientSource<'a>,
    /// `-f`; `None` means the caller's own address.
    pub sender: Option<ReversePath>,
    /// `-F`
    pub full_name: Option<&'a [u8]>,
    /// `-R`
    pub ret: Option<Ret>,
    /// `-V`
    pub envid: Option<String>,
    /// Unix seconds.
    pub deliver_by: Option<i64>,
    /// Unix seconds.
    pub hold_until: Option<i64>,
    /// -9 to 9
    pub priority: Option<i8>,
    /// Warnings about the command line, for the history.
    pub warnings: Vec<String>,
}

/// An accepted message.
pub struct Accepted {
    /// The message, locked until this value is dropped; `None` if aliases discard every recipient.
    pub kept: Option<CommittedMessage>,
    /// The log line.
    pub line: String,
}

/// A message being submitted.
pub struct Intake<'a> {
    site: &'a Site<'a>,
    order: Order<'a>,
    stage: Stage,
    eight_bit: bool,
    empty: bool,
    line: String,
}

enum Stage {
    Header(Collector),
    Body(Box<MessageWriter>),
    /// Aliases discard every recipient.
    Discarded,
}

impl<'a> Intake<'a> {
    /// Starts a message.
    pub fn new(site: &'a Site<'a>, order: Order<'a>) -> Intake<'a> {
        Intake { site, order, stage: Stage::Header(Collector::default()), eight_bit: false, empty: true, line: String::new() }
    }

    /// Takes the next piece of the wire form. Every CRLF is a piece of its own.
    ///
    /// Errors: see [`Intake::finish`]. After an error nothing is in the spool.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), SubmitError> {
        self.empty = false;
        match &mut self.stage {
            Stage::Header(collector) => {
                if collector.feed(piece)? {
                    let collected = std::mem::take(collector).finish();
                    self.begin(&collected)?;
                }
                Ok(())
            }
            Stage::Body(_) => self.write(piece),
            Stage::Discarded => Ok(()),
        }
    }

    /// Ends the message and makes it durable.
    ///
    /// Errors: EX_USAGE without recipients, EX_DATAERR for an invalid message, EX_NOPERM, and those of [`MessageWriter`].
    pub fn finish(mut self, changes: Changes) -> Result<Accepted, SubmitError> {
        if let Stage::Header(collector) = &mut self.stage {
            let collected = std::mem::take(collector).finish();
            self.begin(&collected)?;
        }
        let mut warnings = warnings_of(&changes);
        if self.empty {
            warnings.push("standard input was empty".to_owned());
        }
        let Stage::Body(writer) = self.stage else {
            return Ok(Accepted { kept: None, line: format!("discarded by aliases: {}", self.line) });
        };
        let size = writer.written();
        let eight_bit = self.eight_bit;
        let mut logged = Vec::new();
        let complete = |envelope: &mut Envelope| {
            envelope.body = if eight_bit { Body::EightBitMime } else { Body::SevenBit };
            envelope.warnings.extend(warnings);
            logged.clone_from(&envelope.warnings);
        };
        let kept = writer.commit(complete)?;
        let mut line = format!("{}: {} size={size}", kept.id, self.line);
        if !logged.is_empty() {
            line.push_str(&format!(" warnings=\"{}\"", logged.join("; ")));
        }
        Ok(Accepted { kept: Some(kept), line })
    }

    /// The header section is complete: decides everything about the message, and opens the writer.
    fn begin(&mut self, collected: &Collected) -> Result<(), SubmitError> {
        let head = collected.head();
        head.check()?;
        let recipients = self.recipients(&head)?;
        let own = sender::own_address(self.site.caller, self.site.names)?;
        let sender = self.sender(&head, &own)?;
        self.line = format!("uid={} user={} from=<{sender}> nrcpt={}", self.site.caller.uid, self.site.caller.name, recipients.len());
        if recipients.is_empty() {
            self.stage = Stage::Discarded;
            return Ok(());
        }
        let now = sys::clock::now();
        let header = self.header(&head, &sender, &own, now)?;
        let mut envelope = self.envelope(sender, recipients, now);
        envelope.warnings.extend(head.duplicates());
        envelope.smtputf8 |= !header.is_ascii() && std::str::from_utf8(&header).is_ok();
        self.stage = Stage::Body(Box::new(MessageWriter::open(self.site.config, envelope)?));
        self.write(&header)?;
        self.write(b"\r\n")?;
        self.write(collected.body())
    }

    fn recipients(&mut self, head: &Head) -> Result<Vec<Recipient>, Failure> {
        let params = &self.site.config.params;
        let (operands, from_header, notify) = match &mut self.order.recipients {
            RecipientSource::Resolved(recipients) => return Ok(std::mem::take(recipients)),
            RecipientSource::CommandLine { operands, from_header, notify } => (*operands, *from_header, *notify),
        };
        let wanted = recipients::wanted(operands, from_header.then_some(head), params.t_arguments)?;
        let mut resolver = Resolver::new(self.site.config, self.site.names);
        let limit = params.recipient_limit.clamp(1, limits::RECIPIENTS);
        let recipients = recipients::resolve(&wanted, notify, limit, |wanted| Ok(resolver.resolve(wanted)?))?;
        self.order.warnings.extend(resolver.take_warnings());
        Ok(recipients)
    }

    /// S2, S3, S5.
    fn sender(&mut self, head: &Head, own: &Address) -> Result<ReversePath, Failure> {
        let params = &self.site.config.params;
        let sender = match self.order.sender.take() {
            Some(sender) => sender,
            None => {
                let author = params.sender_from_header.then(|| first_author(head, self.site.names)).flatten();
                ReversePath::Address(author.unwrap_or_else(|| own.clone()))
            }
        };
        sender::check_policy(&sender, own, self.site.caller, params)?;
        Ok(sender)
    }

    /// The fixed header section.
    fn header(&self, head: &Head, sender: &ReversePath, own: &Address, now: i64) -> Result<Vec<u8>, Failure> {
        let missing = Missing::of(head);
        // The zone needs a file and the id needs random bytes, so they are made only if needed.
        let date = match missing.date || missing.resent_date {
            true => date::rfc5322(now, &sys::clock::local_zone()),
            false => String::new(),
        };
        let message_id = match missing.message_id || missing.resent_message_id {
            true => format!("<{}.{:016x}@{}>", date::compact(now), random()?, self.site.names.mailname),
            false => String::new(),
        };
        // H3: never `<>`.
        let author = sender.address().unwrap_or(own);
        let display_name = match missing.from || missing.resent_from {
            true => self.display_name(author == own),
            false => None,
        };
        let undisclosed = self.site.config.params.undisclosed_recipients;
        let additions = Additions { date, message_id, display_name: display_name.as_deref(), author, undisclosed };
        Ok(fixup::fix(head, &self.site.names.mailname, missing, &additions))
    }

    /// H3: `-F`; else, for the caller's own address, `NAME` or the GECOS name.
    fn display_name(&self, is_own: bool) -> Option<Vec<u8>> {
        match self.order.full_name {
            Some(name) => Some(name.to_vec()),
            None if is_own => Some(self.site.caller.full_name()),
            None => None,
        }
    }

    fn envelope(&mut self, reverse_path: ReversePath, recipients: Vec<Recipient>, now: i64) -> Envelope {
        let smtputf8 = !reverse_path.address().is_none_or(Address::is_ascii) || !recipients.iter().all(|r| r.address.is_ascii());
        Envelope {
            v: VERSION,
            id: QueueId::new(0, 0),
            size: 0,
            crc32: String::new(),
            time: date::rfc3339(now),
            reverse_path,
            recipients,
            ret: self.order.ret,
            envid: self.order.envid.take(),
            body: Body::SevenBit,
            smtputf8,
            deliver_by: self.order.deliver_by.map(date::rfc3339),
            hold_until: self.order.hold_until.map(date::rfc3339),
            priority: self.order.priority,
            warnings: std::mem::take(&mut self.order.warnings),
            caller: caller::caller_info(),
            peer: None,
        }
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), SubmitError> {
        let Stage::Body(writer) = &mut self.stage else { return Ok(()) };
        let limit = self.site.config.params.message_size_limit.0;
        if limit > 0 && writer.written() + piece.len() as u64 > limit {
            return Err(SubmitError::TooLarge { limit, parameter: Some("message_size_limit") });
        }
        self.eight_bit = self.eight_bit || !piece.is_ascii();
        writer.write(piece)
    }
}

fn random() -> Result<u64, Failure> {
    sys::clock::random().map_err(|e| Failure::new(Exit::OsErr, format!("cannot read random bytes: {e}")))
}

/// `sender_from_header`: the first address in From.
fn first_author(head: &Head, names: &Names) -> Option<Address> {
    let field = head.named(&["From"]).next()?;
    match &field.list.as_ref()?.mailboxes.first()?.spec {
        Ok(Spec::Full(address)) => Some(address.clone()),
        Ok(Spec::Bare { local, .. }) => Address::new(local, &names.mailname).ok(),
        _ => None,
    }
}

/// Warnings about changed lines, for the history.
fn warnings_of(changes: &Changes) -> Vec<String> {
    let counts = [
        (changes.nuls, "NUL bytes removed"),
        (changes.bare_crs, "CRs without LF replaced by blanks"),
        (changes.dots_kept, "lines with a single dot kept as data"),
    ];
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}
