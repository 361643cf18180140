//! The administrator's command `mailchute`. `mailq` is a link to it; an administrator may add links with Postfix's names ([`postfix`]).
//!
//! In: a command line. Out: text or JSON on stdout, one line on stderr after an error, an exit code of sysexits.h. The command asks
//! the daemon, which checks permissions. While the daemon is stopped, root reads the spool directly, after taking the owner's ids
//! and the lock ([`offline`]).

mod act;
mod advice;
mod aliases;
mod args;
mod check;
mod failed;
mod json;
pub mod keys;
mod monitor;
mod numbers;
mod offline;
mod output;
mod pause;
mod postfix;
mod probe;
mod qshape;
mod queue;
mod range;
mod report;
mod select;
mod show;
mod status;
mod terminal;
mod top;
mod why;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Dkim, Modify, Verb};
use config::Config;
use config::paths::Mode;
use control::client;
use control::protocol::{Act, Count, Request, Select};
use exit::{Exit, Failure};
use mail::printable;
use output::print;
use select::Selection;
use spool::layout;

/// Runs the program.
pub fn program() -> ExitCode {
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let name = words.first().and_then(|name| std::path::Path::new(name).file_name()).unwrap_or_default().to_owned();
    if name == "mailq" {
        words.insert(1, "mailq".into());
    }
    let given = words.get(1..).unwrap_or_default();
    match postfix::translate(&name, given) {
        None => command(words),
        Some(Err(failure)) => finish(Err(failure)),
        // Every line runs, even after an error; the first error decides the exit code.
        Some(Ok(lines)) => {
            let run = |line: Vec<String>| command(std::iter::once("mailchute".into()).chain(line.into_iter().map(Into::into)).collect());
            postfix::each(lines, run)
        }
    }
}

/// Runs one command line.
fn command(words: Vec<std::ffi::OsString>) -> ExitCode {
    let is_monitor = words.get(1).is_some_and(|word| word == "monitor");
    match Arguments::try_parse_from(words) {
        Ok(Arguments { verb: Verb::Monitor(options) }) => monitor::program(&options),
        Ok(arguments) => finish(run(arguments.verb)),
        Err(e) if e.use_stderr() && is_monitor => monitor::usage(),
        Err(e) if !e.use_stderr() => finish(print(&e.to_string())),
        Err(e) => {
            // The text repeats arguments, which are untrusted (T-OUT-1).
            let text = e.to_string();
            let lines = text.split_inclusive('\n').map(|line| format!("{}\n", printable::text(line.trim_end())));
            // If stderr is closed, the exit code is all that is left.
            let _ = write!(std::io::stderr(), "{}", lines.collect::<String>());
            Exit::Usage.into()
        }
    }
}

fn finish(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "mailchute: {failure}");
            failure.exit.into()
        }
    }
}

fn run(verb: Verb) -> Result<(), Failure> {
    if matches!(verb, Verb::Motd) {
        return monitor::motd();
    }
    let config = Config::load()?;
    match verb {
        Verb::List { json, chosen } => queue::list(&config, &chosen.to_show(), json),
        Verb::Mailq { json, failed, .. } => queue::list(&config, &if failed { Selection::failed() } else { Selection::default() }, json),
        Verb::Count(chosen) => numbers::count(&config, &chosen.to_show()),
        Verb::Qshape { json, lines, chosen } => numbers::qshape(&config, &chosen.to_show(), lines, json),
        Verb::Stats { json } => numbers::stats(&config, json),
        Verb::Show { id, json } => show::show(&config, &id, json),
        Verb::Trace { subject, json, limit } => show::trace(&config, &subject, limit, json),
        Verb::Why { subject, json } => why::why(&config, &subject, json),
        Verb::Failed { json, chosen } => failed::failed(&config, chosen.to_show(), json),
        Verb::Top { json, count, delay } => top::top(&config, count, delay.0.max(std::time::Duration::from_millis(100)), json),
        Verb::Cat { id, part } => show::cat(&config, &id, part.into()),
        Verb::Flush(options) if options.chosen.is_empty() && !options.dry_run => flush(&config),
        Verb::Flush(options) => change(&config, Act::Flush, &options),
        Verb::Hold(options) => change(&config, Act::Hold, &options),
        Verb::Release(options) => change(&config, Act::Release, &options),
        Verb::Remove(options) => change(&config, Act::Remove, &options),
        Verb::Requeue(options) => change(&config, Act::Requeue, &options),
        Verb::Expire(options) => change(&config, Act::Expire, &options),
        Verb::Bounce(options) => change(&config, Act::Bounce, &options),
        Verb::Pause => pause::pause(&config, true),
        Verb::Resume => pause::pause(&config, false),
        Verb::Close { reason } => pause::admission(&config, Some(&reason)),
        Verb::Open => pause::admission(&config, None),
        Verb::Aliases { recipients } => aliases::aliases(&config, &recipients),
        Verb::Status { json } => status::status(&config, json),
        Verb::Report { html } => report::report(&config, html.as_deref()),
        // Handled above: `monitor` has its own exit codes, `motd` never fails.
        Verb::Monitor(_) | Verb::Motd => Ok(()),
        Verb::Check => check::check(&config),
        Verb::Setup => setup(&config),
        Verb::Test { recipient, wait } => probe::probe(&config, &recipient, wait.0),
        Verb::Config { defaults } => print(&configuration(&config, defaults)),
        Verb::Dkim { verb: Dkim::Keygen { domain, selector, ed25519, bits } } => {
            print(&keys::keygen(&config, &domain, &selector, keys::kind(ed25519, bits)?)?)
        }
        Verb::Dkim { verb: Dkim::Dns { domain } } => print(&keys::dns(&config, &domain)?),
    }
}

fn change(config: &Config, act: Act, options: &Modify) -> Result<(), Failure> {
    act::act(config, act, &options.chosen.to_change()?, options.dry_run)
}

/// Retries all messages now.
fn flush(config: &Config) -> Result<(), Failure> {
    let counts: Vec<Count> = client::ask(&config.paths, &Request::Flush { select: Select::All {} })?;
    let due = counts.iter().map(|count| count.messages).sum::<u64>();
    print(&format!("retrying {due} message{} now\n", if due == 1 { "" } else { "s" }))
}

/// Creates the spool of a rootless installation.
fn setup(config: &Config) -> Result<(), Failure> {
    if config.paths.mode == Mode::System {
        let text = "this is a system installation; create its spool with install.sh or `systemd-tmpfiles --create mailchute.conf`";
        return Err(Failure::new(Exit::Usage, text));
    }
    layout::make_rootless(&config.paths.spool).map_err(|e| Failure::new(Exit::CantCreate, format!("cannot create the spool: {e}")))?;
    print(&format!("the spool is {}\n", config.paths.spool.display()))
}

/// The path of the configuration file, or all defaults.
fn configuration(config: &Config, defaults: bool) -> String {
    if defaults { config::sample::text() } else { format!("{}\n", config.paths.config_file.display()) }
}
