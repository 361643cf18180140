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
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use fs2::FileExt as Lock;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::alarms::Board;
use super::daemon::{Daemon, Outlets, STALLED, Stop};
use super::hooks::Hooks;
use super::intake::{Admitted, Intake};
use super::ledger::Ledger;
use super::metrics::counters::Counters;
use super::outlet::{self, Outlet};
use super::plan::{Plan, Policy};
use super::queue::JobRecipient;
use super::recover::start::Started;
use super::recover::{self, Orphans, Recovery};
use super::setup::Setup;
use super::{admission, alarms, answer, door, history, metrics, notify, report, schedule, trial};
use crate::config::paths::Mode;
use crate::config::{Config, Paths};
use crate::control;
use crate::exit::{Exit, Failure};
use crate::log::events;
use crate::spool::store::{Claimed, Store};
use crate::spool::{ballast, layout};
use crate::sys;

const USAGE: &str = "\
mailchuted delivers what sendmail(8) has put into the spool. It runs in the foreground, as the owner of the spool,
and takes no arguments; see mailchuted(8) and mailchute.toml(5). With --check it only says what is wrong with them.
Signals: TERM ends it in order, HUP reads the configuration again.
";
/// How long deliveries may go on after SIGTERM. The promise is ten seconds for everything.
const GRACE: Duration = Duration::from_secs(6);
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
            Err(Failure::new(Exit::Usage, "takes no arguments but --check, --help and --version; everything else stands in mailchute.toml"))
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
    sys::process::settle();
    sys::process::keep_memory_private();
    let config = Config::load()?;
    let owner = std::fs::metadata(&config.paths.spool).map_or(0, |meta| meta.uid());
    if sys::process::euid() == 0 && owner != 0 {
        // Root may read and write what the daemon may not.
        return Err(Failure::new(Exit::Usage, "--check is for the owner of the spool; root runs `mailchute check`, which becomes it"));
    }
    let findings = trial::findings(&config);
    if findings.is_empty() {
        return Ok(());
    }
    say(&findings.iter().map(|finding| format!("{}\n", crate::mail::printable::text(finding))).collect::<String>())?;
    Err(Failure::new(Exit::Config, "the configuration has to be mended"))
}

/// Runs until it is told to stop.
fn daemon() -> Result<(), Failure> {
    sys::process::settle();
    sys::process::keep_memory_private();
    let config = Config::load()?;
    let feed = super::logging::start();
    let store = Arc::new(open_store(&config.paths)?);
    let _locked = lock(&store)?;
    let setup = Setup::new(&config)?;
    let hooks = Hooks::new(&config.paths.spool);
    let thread_failed = |e: std::io::Error| Failure::new(Exit::OsErr, format!("cannot start a thread: {e}"));
    // Before the first event is dealt out.
    hooks.settle(&setup).map_err(thread_failed)?;
    let (alarms, woken) = Board::load(&config.paths.spool);
    let counters = Arc::new(Counters::default());
    let listeners = vec![hooks.listener(), alarms.listener(), Counters::listener(&counters)];
    let outlet = Outlet::start(feed, outlet::Settings::of(&setup), listeners);
    let outlet = outlet.map_err(thread_failed)?;
    let outlets = Outlets { counters, outlet: outlet.reloader(), hooks: Arc::clone(&hooks), alarms: Arc::clone(&alarms) };
    let ended = deliver(config.paths, store, setup, (outlets, woken));
    // However it ended, the last events say why.
    alarms.end();
    hooks.end();
    outlet.end(LAST_EVENTS);
    ended
}

/// From the database to the end of the last delivery.
fn deliver(paths: Paths, store: Arc<Store>, setup: Setup, outlets: (Outlets, Receiver<()>)) -> Result<(), Failure> {
    // The start writes, too: on a full disk it needs the ballast.
    match ballast::settle(&paths.spool, setup.params.reserve()) {
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
    let ended = runtime.block_on(serve(paths, store, started, setup, outlets));
    // A thread that waits for a disk that does not answer must not keep the process: what it does is safe to be cut off.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

/// The spool, after every directory was checked against the layout table. A rootless one is made if it is missing.
fn open_store(paths: &Paths) -> Result<Store, Failure> {
    let rootless = paths.mode == Mode::Rootless;
    let uid = sys::process::euid();
    if rootless {
        layout::make_rootless(&paths.spool).map_err(|e| Failure::new(Exit::CantCreate, format!("cannot make the spool: {e}")))?;
    } else if uid == 0 {
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
fn lock(store: &Store) -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = store.path("lock");
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|e| Failure::new(Exit::CantCreate, format!("{}: {e}", path.display())))?;
    for _ in 0..LOCK_TRIES {
        if Lock::try_lock_exclusive(&file).is_ok() {
            return Ok(file);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Failure::new(Exit::Unavailable, format!("another mailchuted has locked {}", path.display())))
}

async fn serve(
    paths: Paths,
    store: Arc<Store>,
    started: Started,
    setup: Setup,
    (outlets, woken): (Outlets, Receiver<()>),
) -> Result<(), Failure> {
    let Started { state, recovered, orphans, how } = started;
    let thread_failed = |e: std::io::Error| Failure::new(Exit::OsErr, format!("cannot start a thread: {e}"));
    // Before anything shows that we run: who sees that may send a signal, and none may end us by its default.
    let signals = Signals::listen().map_err(|e| Failure::new(Exit::OsErr, format!("cannot listen for signals: {e}")))?;
    let stop = Arc::new(Stop::default());
    let paused = control::pause::read(&state).map_err(|e| Failure::new(Exit::IoErr, format!("state.sqlite: {e}")))?;
    let (ledger, ledger_thread) = Ledger::start(state, Arc::clone(&store), end_on_failure(Arc::clone(&stop))).map_err(thread_failed)?;
    let next_hop = setup.params.next_hop.to_string();
    let daemon = Arc::new(Daemon::new(paths, store, ledger, setup, Arc::clone(&stop), outlets));
    daemon.set_paused(paused);
    recovered.tell();
    // A stopped ledger ends the daemon by itself, with its reason.
    let _ = admission::begin(&daemon).await;
    daemon.release_dkim_holds();
    adopt(&daemon, orphans, how).map_err(thread_failed)?;
    // The control socket last: who finds it finds the other one, too.
    let taking = door::start(&daemon)?;
    let answering = answer::start(&daemon)?;
    let claims = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
    let claims = Arc::new(claims.map_err(|e| Failure::new(Exit::OsErr, format!("eventfd: {}", e.desc())))?);
    let intake = start_intake(&daemon, &stop, &claims).map_err(thread_failed)?;
    let scheduling = tokio::spawn(watch_scheduler(Arc::clone(&daemon), Arc::clone(&stop)));
    daemon.tasks.spawn(report::run(Arc::clone(&daemon)));
    let measuring = tokio::spawn(metrics::run(Arc::clone(&daemon)));
    let watching = tokio::spawn(admission::run(Arc::clone(&daemon)));
    let forgetting = tokio::spawn(history::run(Arc::clone(&daemon)));
    alarms::start(&daemon, woken).map_err(thread_failed)?;
    events::started(env!("CARGO_PKG_VERSION"), &daemon.paths.spool.display().to_string(), &next_hop);
    notify::tell("READY=1");
    wait_for_end(signals, &daemon, &stop).await;
    notify::tell("STOPPING=1");
    taking.abort();
    // A write to our own eventfd cannot fail; if it did, the thread would end with the process.
    let _ = claims.write(1);
    daemon.dispatch.wake.notify_one();
    daemon.dispatch.work.notify_waiters();
    daemon.notices.notify_one();
    let all_ended = tokio::time::timeout(GRACE, daemon.tasks.ended()).await.is_ok();
    answering.abort();
    measuring.abort();
    watching.abort();
    forgetting.abort();
    scheduling.abort();
    let _ = scheduling.await;
    let _ = measuring.await;
    finish(daemon, intake, ledger_thread, all_ended).await;
    events::stopped();
    stop.failure().map_or(Ok(()), Err)
}

/// The ledger cannot write: nothing may be sent any more, so everything ends.
fn end_on_failure(stop: Arc<Stop>) -> impl FnOnce(String) + Send {
    move |reason| {
        let text = format!("the spool or its database failed: {reason}; no mail was lost; start mailchuted again when the disk works");
        stop.now(Some(Failure::new(Exit::IoErr, text)));
    }
}

/// Files without a row get one meanwhile.
fn adopt(daemon: &Arc<Daemon>, orphans: Orphans, how: Recovery) -> std::io::Result<()> {
    let (asking, waking) = (Arc::clone(daemon), Arc::clone(daemon));
    let is_stopping = move || asking.is_stopping();
    let wake = move || waking.dispatch.wake.notify_one();
    recover::adopt::spawn(Arc::clone(&daemon.store), daemon.ledger.clone(), orphans, how, is_stopping, wake).map(drop)
}

/// Runs the scheduler. It ends early only where the ledger stopped, which ends the daemon by itself, or by a panic, which must.
async fn watch_scheduler(daemon: Arc<Daemon>, stop: Arc<Stop>) {
    let ended = tokio::spawn(schedule::run(daemon)).await;
    if ended.is_err() {
        stop.now(Some(Failure::new(Exit::Software, "internal error in the scheduler; please report it; no mail was lost")));
    }
}

/// What an administrator or systemd can send.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Signals and signs of life, until the end is told.
async fn wait_for_end(mut signals: Signals, daemon: &Arc<Daemon>, stop: &Stop) {
    let mut life = tokio::time::interval(notify::watchdog_interval().unwrap_or(Duration::from_secs(3600)));
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            () = stop.told() => break,
            _ = signals.hangup.recv() => daemon.reload(),
            _ = life.tick() => {
                daemon.dispatch.wake.notify_one();
                if daemon.stalled_for() < STALLED {
                    notify::tell("WATCHDOG=1");
                }
            }
        }
    }
    stop.now(None);
}

/// The thread that claims. What it admits goes to the queue at once, if memory has room.
fn start_intake(daemon: &Arc<Daemon>, stop: &Arc<Stop>, claims: &Arc<EventFd>) -> std::io::Result<JoinHandle<()>> {
    let (plan_daemon, admit_daemon) = (Arc::clone(daemon), Arc::clone(daemon));
    let runtime = tokio::runtime::Handle::current();
    let admitted = move |admitted: Admitted| {
        if admitted.plan.next_attempt.is_none() {
            let started = runtime.block_on(start_round(&admit_daemon, &admitted));
            // Then the ledger has stopped, which ends the daemon.
            let _ = started;
        } else {
            admit_daemon.dispatch.wake.notify_one();
        }
    };
    let intake = Intake {
        store: Arc::clone(&daemon.store),
        ledger: daemon.ledger.clone(),
        stop: Arc::clone(claims),
        plan: Box::new(move |claimed| plan(&plan_daemon, claimed)),
        admitted: Box::new(admitted),
    };
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("intake".to_owned()).spawn(move || {
        // A claim that has gone without a word would be a daemon that lets mail lie.
        let ended = catch_unwind(AssertUnwindSafe(|| intake.run()));
        if let Err(reason) = ended.unwrap_or_else(|_| Err("internal error; please report it".to_owned())) {
            stop.now(Some(Failure::new(Exit::IoErr, format!("cannot watch the drop directory: {reason}"))));
        }
    })
}

async fn start_round(daemon: &Arc<Daemon>, admitted: &Admitted) -> Result<(), super::ledger::Stopped> {
    let claimed = &admitted.claimed;
    let (message, rows, _) = super::ledger::rows_of(claimed, &admitted.plan);
    let recipients = rows.into_iter().map(|row| JobRecipient { n: row.n, address: row.address }).collect();
    schedule::start_round(daemon, message, recipients).await
}

/// What is decided of a message, and whether memory has room for it now.
fn plan(daemon: &Daemon, claimed: &Claimed) -> Plan {
    let now = sys::clock::now();
    let plan = Policy::of(&daemon.setup().params).plan(claimed, now);
    let later = plan.next_attempt.or_else(|| (daemon.dispatch.room() == 0).then_some(now));
    Plan { next_attempt: later, ..plan }
}

/// Ends the threads. If everything was settled, the next start knows that no outcome was lost.
async fn finish(daemon: Arc<Daemon>, intake: JoinHandle<()>, ledger: JoinHandle<()>, all_ended: bool) {
    let ended = tokio::task::spawn_blocking(move || intake.join());
    let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
    if all_ended && let Ok(done) = daemon.ledger.work(|state, _| state.set("clean_stop", "1")) {
        let _ = tokio::time::timeout(Duration::from_secs(1), done).await;
    }
    drop(daemon);
    // Tasks that did not end keep the ledger open; the process ends all the same.
    let _ = tokio::time::timeout(Duration::from_secs(1), tokio::task::spawn_blocking(move || ledger.join())).await;
}
