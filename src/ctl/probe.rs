//! `mailchute test RCPT`: sends a message as an application would, through the real `sendmail`, and waits for its outcome.
//!
//! lettre composes and submits it: an independent program's view of our `sendmail`.

use std::time::{Duration, Instant};

use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message, SendmailTransport, Transport};

use super::print;
use crate::config::Config;
use crate::config::names::Names;
use crate::control::client;
use crate::control::protocol::{Detail, Request};
use crate::exit::{Exit, Failure};
use crate::mail::printable;
use crate::sys;

/// How often the daemon is asked.
const ASK: Duration = Duration::from_millis(200);

/// Sends the message and tells what became of it.
///
/// Errors: EX_USAGE for the address, EX_UNAVAILABLE where `sendmail` refused or nothing was heard in time, EX_TEMPFAIL never.
pub(super) fn probe(config: &Config, recipient: &str, wait: Duration) -> Result<(), Failure> {
    let to: Mailbox = recipient.parse().map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", printable::text(recipient))))?;
    let mailname = Names::load(config)?.mailname;
    let message_id = format!("<test.{:016x}@{mailname}>", sys::clock::random().map_err(|e| Failure::new(Exit::OsErr, e.to_string()))?);
    let message = compose(&mailname, to, &message_id)?;
    let sendmail = config.paths.sendmail();
    let transport = SendmailTransport::new_with_command(&sendmail);
    transport
        .send(&message)
        .map_err(|e| Failure::new(Exit::Unavailable, format!("{} refused the test message: {e}", sendmail.display())))?;
    print(&format!("accepted by {}, Message-ID {message_id}\n", sendmail.display()))?;
    wait_for_outcome(config, &message_id, wait)
}

fn compose(mailname: &str, to: Mailbox, message_id: &str) -> Result<Message, Failure> {
    let unfit = |e: &dyn std::fmt::Display| Failure::new(Exit::Config, format!("cannot compose a test message: {e}; check mailname"));
    let user = sys::process::user_name(sys::process::uid());
    let from = Mailbox::new(Some("mailchute test".to_owned()), Address::new(user, mailname).map_err(|e| unfit(&e))?);
    let text = format!("This message was sent by `mailchute test` on {mailname}.\n\nIf you can read it, mail from this host arrives.\n");
    let message =
        Message::builder().from(from).to(to).subject(format!("mailchute test from {mailname}")).message_id(Some(message_id.to_owned()));
    message.multipart(MultiPart::mixed().singlepart(SinglePart::plain(text))).map_err(|e| unfit(&e))
}

fn wait_for_outcome(config: &Config, message_id: &str, wait: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + wait;
    let mut told = String::new();
    loop {
        let found: Vec<Detail> = client::ask(&config.paths, &Request::Find { message_id: message_id.to_owned() })?;
        if let Some(detail) = found.first() {
            for recipient in &detail.entry.recipients {
                let news = format!("{}: {} {} {}\n", recipient.address, recipient.status, recipient.relay, recipient.remote_reply);
                if recipient.remote_reply != told {
                    print(&printable_lines(&news))?;
                    told.clone_from(&recipient.remote_reply);
                }
                match recipient.status.as_str() {
                    "relayed" => return Ok(()),
                    "failed" => {
                        return Err(Failure::new(
                            Exit::Unavailable,
                            format!("the test message failed; see `mailchute show {}`", detail.entry.queue_id),
                        ));
                    }
                    _ => {}
                }
            }
        }
        if Instant::now() >= deadline {
            let id = found.first().map_or("", |detail| detail.entry.queue_id.as_str());
            return Err(Failure::new(
                Exit::Unavailable,
                format!("no outcome within {} s; it stays queued: `mailchute show {id}`", wait.as_secs()),
            ));
        }
        std::thread::sleep(ASK);
    }
}

fn printable_lines(text: &str) -> String {
    format!("{}\n", printable::text(text.trim_end()))
}
