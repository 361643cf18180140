//! The administrator's command: `mailchute`, and `mailq`, which is a link to it.
//!
//! In: what a person typed. Out: text or JSON on stdout, one line on stderr where something failed, an exit code of sysexits. Asks
//! the daemon; what the asker may see and do is decided there. Where the daemon is stopped, root reads the spool itself, after
//! taking the ids of its owner and its lock ([`offline`]).

mod act;
mod args;
mod check;
pub mod dkim;
mod monitor;
mod offline;
mod probe;
mod queue;
mod range;
mod show;
mod status;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::config::Config;
use crate::config::paths::Mode;
use crate::control::client;
use crate::control::printer::written;
use crate::control::protocol::{Act, Count, Request, Select};
use crate::exit::{Exit, Failure};
use crate::spool::layout;
use args::{Arguments, Dkim, Verb};

/// The program.
pub fn program() -> ExitCode {
    let mut words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if is_mailq(words.first()) {
        words.insert(1, "mailq".into());
    }
    let is_monitor = words.get(1).is_some_and(|word| word == "monitor");
    match Arguments::try_parse_from(words) {
        Ok(Arguments { verb: Verb::Monitor(options) }) => monitor::program(&options),
        Ok(arguments) => finish(run(arguments.verb)),
        Err(e) if e.use_stderr() && is_monitor => monitor::usage(),
        Err(e) if !e.use_stderr() => finish(print(&e.to_string())),
        Err(e) => {
            // Where stderr is closed there is nobody to tell; the exit code remains.
            let _ = write!(std::io::stderr(), "{e}");
            Exit::Usage.into()
        }
    }
}

fn is_mailq(name: Option<&std::ffi::OsString>) -> bool {
    name.and_then(|name| std::path::Path::new(name).file_name()).is_some_and(|name| name == "mailq")
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

/// Writes to stdout.
fn print(text: &str) -> Result<(), Failure> {
    written(std::io::stdout().write_all(text.as_bytes()))
}

fn run(verb: Verb) -> Result<(), Failure> {
    if matches!(verb, Verb::Motd) {
        return monitor::motd();
    }
    let config = Config::load()?;
    match verb {
        Verb::List { json, ids } => queue::list(&config, json, ids),
        Verb::Mailq { json, .. } => queue::list(&config, json, Vec::new()),
        Verb::Count => queue::count(&config),
        Verb::Show { id, json } => show::show(&config, &id, json),
        Verb::Cat { id, part } => show::cat(&config, &id, part.into()),
        Verb::Flush { ids } => flush(&config, ids),
        Verb::Hold(chosen) => act::act(&config, Act::Hold, chosen.ids, chosen.dry_run),
        Verb::Release(chosen) => act::act(&config, Act::Release, chosen.ids, chosen.dry_run),
        Verb::Remove(chosen) => act::act(&config, Act::Remove, chosen.ids, chosen.dry_run),
        Verb::Requeue(chosen) => act::act(&config, Act::Requeue, chosen.ids, chosen.dry_run),
        Verb::Status { json } => status::status(&config, json),
        // Done above: the one has exit codes of its own, the other never fails.
        Verb::Monitor(_) | Verb::Motd => Ok(()),
        Verb::Check => check::check(&config),
        Verb::Setup => setup(&config),
        Verb::Test { recipient, wait } => probe::probe(&config, &recipient, wait.0),
        Verb::Config { defaults } => print(&configuration(&config, defaults)),
        Verb::Dkim { verb: Dkim::Keygen { domain, selector, ed25519, bits } } => {
            print(&dkim::keygen(&config, &domain, &selector, dkim::kind(ed25519, bits)?)?)
        }
        Verb::Dkim { verb: Dkim::Dns { domain } } => print(&dkim::dns(&config, &domain)?),
    }
}

/// Tries all messages now, or those whose ids begin so.
fn flush(config: &Config, ids: Vec<String>) -> Result<(), Failure> {
    let selects =
        if ids.is_empty() { vec![Select::All {}] } else { ids.into_iter().map(|text| Select::Id { text, except: false }).collect() };
    let mut due = 0;
    for select in selects {
        let counts: Vec<Count> = client::ask(&config.paths, &Request::Flush { select })?;
        due += counts.iter().map(|count| count.messages).sum::<u64>();
    }
    print(&format!("{due} message{} made due now\n", if due == 1 { "" } else { "s" }))
}

/// Makes the spool of a rootless installation.
fn setup(config: &Config) -> Result<(), Failure> {
    if config.paths.mode == Mode::System {
        let text = "this is a system installation: its spool is made by install.sh, or by `systemd-tmpfiles --create mailchute.conf`";
        return Err(Failure::new(Exit::Usage, text));
    }
    layout::make_rootless(&config.paths.spool).map_err(|e| Failure::new(Exit::CantCreate, format!("cannot make the spool: {e}")))?;
    print(&format!("the spool is {}\n", config.paths.spool.display()))
}

/// Where the configuration is, or what applies where nothing is set.
fn configuration(config: &Config, defaults: bool) -> String {
    if defaults { crate::config::sample::text() } else { format!("{}\n", config.paths.config_file.display()) }
}
