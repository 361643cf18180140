//! `sendmail`: turns argv and standard input of an untrusted caller into one durable file.
//!
//! ```text
//!   argv ──▶ cli ─────────────┐ (an Order)
//!   stdin ─▶ body::Lines ─▶ message::Intake ─▶ head ─▶ recipients, sender ─▶ fixup ─▶ spool_writer ─▶ spool/new
//! ```
//!
//! It runs as the caller, without privileges, and starts no other program. It opens only files named by its configuration and build:
//! the configuration, /etc/mailname, the alias file, /etc/localtime, the spool. Exit code 0 means that the message is in the spool.
//! Every error is one line on standard error and a code of sysexits.h (SENDMAIL.md section 6).

pub mod aliases;
pub mod body;
pub mod bs;
pub mod caller;
pub mod cli;
mod fixup;
pub mod head;
mod local;
pub mod message;
mod query;
mod recipients;
mod report;
mod sender;
mod spool_writer;
mod upload;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use body::{DotRule, Lines};
use caller::Caller;
use cli::{Call, Class, Mode, Value};
use message::{Accepted, Intake, Order, RecipientSource, Site};

use config::{Config, Names};
use control::refusal::SubmitError;
use exit::{Exit, Failure};
use mail::ReversePath;
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// Size of a read from standard input.
const PIECE: usize = 64 << 10;

/// Runs the program `sendmail`.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        // Never 101 and never a partial success: a panic before the commit leaves nothing, and no code can panic after it.
        let _ = writeln!(std::io::stderr(), "sendmail: fatal: internal error: {info}");
        std::process::exit(i32::from(Exit::Software.code()));
    }));
    let Ended { exit, accepted } = run(&std::env::args_os().collect::<Vec<_>>());
    // The lock on the file lasts until the process ends, so the daemon never sends an unacknowledged message.
    std::mem::forget(accepted);
    exit.into()
}

/// The result of a run.
pub struct Ended {
    /// The exit code.
    pub exit: Exit,
    /// The injected message. Its file is locked until this value is dropped.
    pub accepted: Option<Accepted>,
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Ended {
        Ended { exit, accepted: None }
    }
}

/// Runs the program with `argv` and standard input. It has reported every error when it returns.
pub fn run(argv: &[OsString]) -> Ended {
    sys::process::prepare();
    let caller = Caller::of_this_process();
    if sys::process::euid() != caller.uid {
        // The spool file would belong to another user than the caller.
        let text = "sendmail must not be installed set-user-id; run `chmod u-s` on it";
        report::fatal(&caller, &Failure::new(Exit::NoPerm, text), false);
        return Exit::NoPerm.into();
    }
    let call = match cli::parse(argv, caller.uid == 0) {
        Ok(call) => call,
        Err(refusal) => {
            report::refused(&caller, &refusal);
            if refusal.reads_stdin {
                report::drain_stdin();
            }
            return refusal.failure.exit.into();
        }
    };
    match perform(&call, &caller) {
        Ok(ended) => ended,
        Err(failure) => {
            report::fatal(&caller, &failure, call.quiet_errors);
            if call.mode.reads_stdin() {
                report::drain_stdin();
            }
            failure.exit.into()
        }
    }
}

fn perform(call: &Call, caller: &Caller) -> Result<Ended, Failure> {
    let exit = match &call.mode {
        Mode::Inject => return inject(call, caller),
        Mode::Nothing => Ok(Exit::Ok),
        Mode::Version => answer(&version()),
        Mode::Help => answer(&help()),
        Mode::Daemon => Err(Failure::new(Exit::Unavailable, "sendmail has no network listener; mailchuted.service delivers the mail")),
        Mode::List => query::list(&load(call)?.paths, call.json, call.verbose).map(|()| Exit::Ok),
        Mode::Count => answer(&format!("{}\n", query::count(&load(call)?.paths)?)),
        Mode::Flush(what) => query::flush(&load(call)?.paths, what).map(|()| Exit::Ok),
        Mode::Smtp => speak_smtp(call, caller),
        Mode::Verify => verify(call, caller),
        Mode::Aliases => check_aliases(call),
    };
    exit.map(Ended::from)
}

fn answer(text: &str) -> Result<Exit, Failure> {
    report::print(text);
    Ok(Exit::Ok)
}

fn version() -> String {
    format!("mailchute sendmail {}\n", env!("CARGO_PKG_VERSION"))
}

/// `--help`: the honoured options, folded to 80 columns.
fn help() -> String {
    let mut out = String::from("Usage: sendmail [option...] [--] [recipient...] <message\n\n");
    for option in cli::OPTIONS.iter().filter(|option| option.class == Class::Honour) {
        let value = match option.value {
            Value::None => String::new(),
            Value::Attached => format!("[{}]", option.metavar),
            Value::Required => format!(" {}", option.metavar),
        };
        out.push_str(&help_item(&format!("-{}{value}", option.letter), option.prose));
    }
    out.push_str("\nSee sendmail(8) for all options, mailq(1) and mailchute(8) for the queue.\n");
    out
}

/// An option and its text, which starts in column 22 and is folded at blanks.
fn help_item(option: &str, prose: &str) -> String {
    const WIDTH: usize = 80;
    let mut out = String::new();
    let mut line = format!("  {option:<18}");
    for word in prose.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{line}\n"));
            line = " ".repeat(20);
        }
        line.push(' ');
        line.push_str(word);
    }
    format!("{out}{line}\n")
}

/// Loads the configuration of the installation, or for root the file of `-C`.
fn load(call: &Call) -> Result<Config, Failure> {
    let Some(file) = &call.config_file else { return Config::load() };
    let path = Path::new(file);
    let refused = |why: &str| Failure::new(Exit::Usage, format!("-C {}: {why}", path.display()));
    if !path.is_absolute() {
        return Err(refused("the path must be absolute"));
    }
    let metadata = std::fs::symlink_metadata(path).map_err(|e| refused(&e.to_string()))?;
    if !metadata.is_file() || metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        return Err(refused("the file must belong to root and be writable by root only"));
    }
    let bytes = std::fs::read(path).map_err(|e| refused(&e.to_string()))?;
    let mut paths = config::Paths::of_this_process();
    path.clone_into(&mut paths.config_file);
    Ok(Config { params: config::parse(&bytes, path)?, paths })
}

/// `-bs`. It ignores `-f` (P7).
fn speak_smtp(call: &Call, caller: &Caller) -> Result<Exit, Failure> {
    let config = load(call)?;
    let names = Names::load(&config)?;
    let site = Site { config: &config, names: &names, caller };
    bs::serve(&site, call.full_name.as_deref(), std::io::BufWriter::new(std::io::stdout()))
}

/// `-bv`. It checks the sender policy too.
fn verify(call: &Call, caller: &Caller) -> Result<Exit, Failure> {
    let config = load(call)?;
    let names = Names::load(&config)?;
    if call.operands.is_empty() {
        return Err(Failure::new(Exit::Usage, "-bv needs at least one address as an operand"));
    }
    let own = sender::own_address(caller, &names)?;
    let sender = match &call.sender {
        Some(value) => sender::parse(value, &names)?,
        None => ReversePath::Address(own.clone()),
    };
    sender::check_policy(&sender, &own, caller, &config.params)?;
    verify::addresses(&call.operands, &config, &names, &mut std::io::stdout())
}

/// `-bi`, `newaliases`.
fn check_aliases(call: &Call) -> Result<Exit, Failure> {
    let config = load(call)?;
    let file = call.alias_file.as_deref().map_or_else(|| local::alias_file(&config), Path::new);
    verify::alias_file(file, &mut std::io::stdout(), &mut std::io::stderr())
}

/// `-bm`: the message on standard input.
fn inject(call: &Call, caller: &Caller) -> Result<Ended, Failure> {
    let config = load(call)?;
    let names = Names::load(&config)?;
    let site = Site { config: &config, names: &names, caller };
    let order = order(call, &names)?;
    let accepted = take(call, &site, order).map_err(|error| spool_writer::failure(error, &config.params))?;
    syslog::send(Facility::Mail, Severity::Info, &accepted.line);
    if let Some(kept) = accepted.kept.as_ref().filter(|_| call.verbose) {
        report::print(&format!("queued as {}\n", kept.id));
    }
    Ok(Ended { exit: Exit::Ok, accepted: Some(accepted) })
}

fn take(call: &Call, site: &Site, order: Order) -> Result<Accepted, SubmitError> {
    let params = &site.config.params;
    spool_writer::admit(site.config, site.caller.uid)?;
    let mut intake = Intake::new(site, order);
    let mut lines = Lines::new(DotRule::of(call.ignore_dots, params.dot));
    let mut buffer = [0; PIECE];
    while !(lines.ended() || lines.holds_dot() && sys::stdin::is_terminal()) {
        let read = sys::stdin::read(&mut buffer);
        let read = read.map_err(|e| Failure::new(Exit::IoErr, format!("cannot read standard input: {}", e.desc())))?;
        if read == 0 {
            break;
        }
        lines.feed(buffer.get(..read).unwrap_or_default(), |piece| intake.take(piece))?;
    }
    let changes = lines.finish(|piece| intake.take(piece))?;
    sys::process::block_hangup();
    intake.finish(changes)
}

fn order<'a>(call: &'a Call, names: &Names) -> Result<Order<'a>, Failure> {
    let now = sys::clock::now();
    let mut warnings = Vec::new();
    if call.sender_repeated {
        warnings.push("-f was given more than once; the last one was used".to_owned());
    }
    Ok(Order {
        recipients: RecipientSource::CommandLine { operands: &call.operands, from_header: call.from_header, notify: call.notify },
        sender: call.sender.as_deref().map(|value| sender::parse(value, names)).transpose()?,
        full_name: call.full_name.as_deref(),
        ret: call.ret,
        envid: call.envid.clone(),
        deliver_by: call.deliver_by.map(|when| when.from(now)),
        hold_until: call.hold_until.map(|when| when.from(now)),
        priority: call.priority,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn help_fits_a_terminal_of_80_columns() {
        assert!(super::help().lines().all(|line| line.chars().count() <= 80), "{}", super::help());
    }
}
