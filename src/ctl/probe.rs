//! `mailchute test RCPT`: sends a message through `sendmail`, as an application would, and waits for the result.
//!
//! lettre composes the message, because it is an independent implementation. This module runs `sendmail` as lettre does, and reports
//! its error text and exit code unchanged.

use mail::code::{Code, Progress};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::output::print;
use config::Config;
use config::names::Names;
use control::client;
use control::protocol::{Detail, Request, Status};
use control::warnings;
use exit::{Exit, Failure};
use mail::printable;

/// Interval between requests to the daemon.
const ASK: Duration = Duration::from_millis(200);

/// Sends the message and prints the result.
///
/// Errors: EX_USAGE for a bad address, the exit code of `sendmail` if it refuses, EX_UNAVAILABLE if there is no result in time.
pub(super) fn probe(config: &Config, recipient: &str, wait: Duration) -> Result<(), Failure> {
    let to = recipient_of(recipient)?;
    let mailname = Names::load(config)?.mailname;
    let message_id = format!("<test.{:016x}@{mailname}>", sys::clock::random().map_err(|e| Failure::new(Exit::OsErr, e.to_string()))?);
    let message = compose(&mailname, to, &message_id)?;
    submit(config, &message)?;
    print(&format!("accepted by {}, Message-ID {message_id}\n", config.paths.sendmail().display()))?;
    wait_for_outcome(config, &message_id, wait)
}

/// Parses the address with our own rules; lettre only has to accept the result.
fn recipient_of(text: &str) -> Result<Mailbox, Failure> {
    let refused = |why: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("{}: {why}", printable::text(text)));
    let address = mail::Address::parse(text).map_err(|why| refused(&why))?;
    let unfit = |e| refused(&format!("lettre cannot compose a message for it ({e}); use sendmail"));
    Ok(Mailbox::new(None, Address::new(address.local(), address.domain()).map_err(unfit)?))
}

/// Passes the message to `sendmail`.
///
/// Errors: the error line and exit code of `sendmail`.
fn submit(config: &Config, message: &Message) -> Result<(), Failure> {
    let sendmail = config.paths.sendmail();
    let unusable = |e: &dyn std::fmt::Display| Failure::new(Exit::Unavailable, format!("{}: {e}", sendmail.display()));
    let envelope = message.envelope();
    let mut command = Command::new(&sendmail);
    command.arg("-i").args(envelope.from().map(|from| format!("-f{from}"))).arg("--").args(envelope.to());
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = streams.spawn().map_err(|e| unusable(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        // If `sendmail` refuses without reading, its exit code reports that. The message fits into a pipe.
        let _ = stdin.write_all(&message.formatted());
    }
    let ended = child.wait_with_output().map_err(|e| unusable(&e))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("sendmail printed no error");
    let exit = ended.status.code().and_then(|code| u8::try_from(code).ok()).map_or(Exit::Unavailable, Exit::from_code);
    Err(Failure::new(exit, printable::text(line)))
}

fn compose(mailname: &str, to: Mailbox, message_id: &str) -> Result<Message, Failure> {
    let unfit = |e: &dyn std::fmt::Display| Failure::new(Exit::Config, format!("cannot compose a test message: {e}; check mailname"));
    let user = sys::process::user_name(sys::process::uid());
    let from = Mailbox::new(Some("mailchute test".to_owned()), Address::new(user, mailname).map_err(|e| unfit(&e))?);
    let text = format!("`mailchute test` on {mailname} sent this message.\n\nIf you can read it, mail from this host arrives.\n");
    let message =
        Message::builder().from(from).to(to).subject(format!("mailchute test from {mailname}")).message_id(Some(message_id.to_owned()));
    message.multipart(MultiPart::mixed().singlepart(SinglePart::plain(text))).map_err(|e| unfit(&e))
}

fn wait_for_outcome(config: &Config, message_id: &str, wait: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + wait;
    let mut shown = String::new();
    loop {
        let found: Vec<Detail> = client::ask(&config.paths, &Request::Find { message_id: message_id.to_owned() })?;
        if let Some(detail) = found.first() {
            for recipient in &detail.entry.recipients {
                let news = format!("{}: {} {} {}\n", recipient.address, recipient.status.word(), recipient.relay, recipient.said());
                if recipient.said() != shown {
                    print(&printable_lines(&news))?;
                    recipient.said().clone_into(&mut shown);
                }
                match recipient.status {
                    Progress::Relayed => return Ok(()),
                    Progress::Failed => {
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
            let why = pause_reason(config).map_or_else(String::new, |why| format!(": {why}"));
            return Err(Failure::new(
                Exit::Unavailable,
                format!("no result within {} s{why}; the message stays queued: `mailchute show {id}`", wait.as_secs()),
            ));
        }
        std::thread::sleep(ASK);
    }
}

/// The pause warning, if delivery is paused.
fn pause_reason(config: &Config) -> Option<String> {
    let statuses: Vec<Status> = client::ask(&config.paths, &Request::Status {}).ok()?;
    statuses.first().filter(|status| !status.paused.is_empty()).map(|status| printable::text(&warnings::paused(&status.paused)))
}

fn printable_lines(text: &str) -> String {
    format!("{}\n", printable::text(text.trim_end()))
}
