//! The program `mailchuted`: starts its parts in the right order, and ends them in order.
//!
//! In: a configuration and a spool. Out: an exit code. Runs as the spool's owner, never as root, with no capability; opens no
//! network port.
//!
//! ```text
//!   verify the spool → lock → state.sqlite → reconcile → control socket → intake, scheduler → READY
//!   SIGTERM: stop claiming → finish what is on the wire, 6 s at most → clean_stop → end
//!   SIGHUP: read the configuration; only if it is good, it replaces the old one
//! ```

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::recover;
use super::setup::Setup;
use super::{admission, config_check};
use crate::database::STATE_FILE;
use crate::serve::{self, thread_failed};
use crate::wire::EventSinks;
use config::paths::Mode;
use config::{Config, Paths};
use exit::{Exit, Failure};
use log::events;
use observe::alarms::AlarmManager;
use observe::dispatcher::EventDispatcher;
use observe::hooks::Hooks;
use observe::metrics::counters::Counters;
use spool::layout;
use store::Store;
use store::ballast;
use store::lock::SpoolLock;

const USAGE: &str = "\
mailchuted delivers what sendmail(8) has put into the spool. It runs in the foreground, as the owner of the spool,
and takes no arguments; see mailchuted(8) and mailchute.toml(5). With --check it only says what is wrong with them.
Signals: TERM ends it in order, HUP reads the configuration again.
";
/// How long the last events may take to be written.
const LAST_EVENTS: Duration = Duration::from_secs(1);
/// Tenths of a second that a start waits for the daemon before it.
const LOCK_TRIES: u32 = 20;

/// The program `mailchuted`: no arguments but `--help` and `--version`.
pub fn program() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        // Whatever panics has said so; what remains is to end by a code that means something.
        [] => {
            catch_unwind(daemon).unwrap_or_else(|_| Err(Failure::new(Exit::Software, "internal error; please report it; no mail was lost")))
        }
        [flag] if flag == "--version" => say(concat!("mailchuted ", env!("CARGO_PKG_VERSION"), "\n")),
        [flag] if flag == "--check" => check(),
        [flag] if flag == "--help" => say(USAGE),
        _ => {
            Err(Failure::new(Exit::Usage, "takes no arguments but --check, --help and --version; all other settings are in mailchute.toml"))
        }
    };
    match result {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            // Where stderr is closed there is nobody to tell; the exit code remains.
            let _ = writeln!(std::io::stderr(), "mailchuted: fatal: {failure}");
            failure.exit.into()
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| Failure::new(Exit::IoErr, format!("cannot write: {e}")))
}

/// Tells what is wrong with the configuration, for the user whom the daemon runs as.
///
/// Errors: EX_CONFIG if there is something to tell.
fn check() -> Result<(), Failure> {
    sys::process::prepare();
    sys::process::keep_memory_private();
    let config = Config::load()?;
    let owner = std::fs::metadata(&config.paths.spool).map_or(0, |meta| meta.uid());
    if sys::process::euid() == 0 && owner != 0 {
        // Root may read and write what the daemon may not.
        return Err(Failure::new(Exit::Usage, "--check is for the owner of the spool; root runs `mailchute check`, which becomes it"));
    }
    let findings = config_check::findings(&config);
    if findings.is_empty() {
        return Ok(());
    }
    say(&findings.iter().map(|finding| format!("{}\n", mail::printable::text(finding))).collect::<String>())?;
    Err(Failure::new(Exit::Config, "the configuration must be fixed"))
}

/// Runs until it is told to stop.
fn daemon() -> Result<(), Failure> {
    // First of all: by default SIGHUP ends a process, and a reload may be asked for at any moment. SIGTERM may end a start; whatever
    // it has begun, the next start finishes.
    sys::process::block_hangup();
    sys::process::prepare();
    sys::process::keep_memory_private();
    let config = Config::load()?;
    let feed = observe::logging::start();
    let store = Arc::new(open_store(&config.paths)?);
    let _locked = lock(&config.paths.spool)?;
    let setup = Setup::new(&config)?;
    let hooks = Hooks::new(&config.paths.spool);
    // Before the first event is dealt out.
    hooks.apply(setup.webhook_settings()).map_err(thread_failed)?;
    let (alarms, woken) = AlarmManager::load(&config.paths.spool);
    let counters = Arc::new(Counters::default());
    let listeners = vec![alarms.listener(), Counters::listener(&counters)];
    let dispatcher = EventDispatcher::start(feed, setup.event_file_settings(), listeners, Arc::clone(&hooks));
    let dispatcher = dispatcher.map_err(thread_failed)?;
    let sinks = EventSinks { counters, dispatcher: dispatcher.handle(), hooks: Arc::clone(&hooks), alarms: Arc::clone(&alarms) };
    let ended = deliver(config.paths, store, setup, (sinks, woken));
    // However it ended, the last events say why.
    alarms.stop();
    hooks.stop();
    dispatcher.stop(LAST_EVENTS);
    ended
}

/// From the database to the end of the last delivery.
fn deliver(paths: Paths, store: Arc<Store>, setup: Setup, sinks: (EventSinks, Receiver<()>)) -> Result<(), Failure> {
    // The start writes, too: on a full disk it needs the ballast.
    match ballast::adjust(&paths.spool, setup.params.reserve()) {
        Ok(settled) => admission::tell_ballast(settled),
        Err(e) => events::storage_failed(ballast::NAME, &e.to_string()),
    }
    let started = recover::start::start(&store, &setup.params)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::OsErr, format!("cannot start threads: {e}")))?;
    let ended = runtime.block_on(serve::serve(paths, store, started, setup, sinks));
    // A thread that waits for a disk that does not answer must not keep the process: what it does is safe to be cut off.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

/// The spool, after every directory was checked against the layout table. A rootless one is made if it is missing.
fn open_store(paths: &Paths) -> Result<Store, Failure> {
    let rootless = paths.mode == Mode::Rootless;
    let uid = sys::process::euid();
    // Beside a database a missing directory is missing mail, which nobody may pass over: `mailchute setup` makes it.
    if rootless && !paths.spool.join(STATE_FILE).exists() {
        layout::make_rootless(&paths.spool).map_err(|e| Failure::new(Exit::CantCreate, format!("cannot make the spool: {e}")))?;
    }
    if !rootless && uid == 0 {
        let owner = std::fs::metadata(&paths.spool).map_or_else(|_| "mailchute".to_owned(), |meta| sys::process::user_name(meta.uid()));
        return Err(Failure::new(
            Exit::Config,
            format!(
                "does not run as root; start it as the owner of the spool: `systemctl start mailchuted`, or `setpriv --reuid {owner} …`"
            ),
        ));
    }
    let owner = layout::verify(&paths.spool, uid, rootless).map_err(|why| Failure::new(Exit::Config, why))?;
    Store::open(&paths.spool, owner, rootless).map_err(|e| Failure::new(Exit::Config, e.to_string()))
}

/// The lock for life: one daemon per spool. One that is just ending is waited for.
fn lock(spool: &Path) -> Result<SpoolLock, Failure> {
    for _ in 0..LOCK_TRIES {
        match SpoolLock::take(spool) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) => std::thread::sleep(Duration::from_millis(100)),
            Err(e) => return Err(Failure::new(Exit::CantCreate, e.to_string())),
        }
    }
    Err(Failure::new(Exit::Unavailable, format!("another mailchuted, or a command, has locked {}", spool.display())))
}
