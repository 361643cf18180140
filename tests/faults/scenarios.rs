//! What a daemon goes through while it is tormented: messages, a receiver, and what an administrator does meanwhile.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use control::protocol::{Request, Select};
use nix::sys::signal::Signal;
use spool::layout;

use super::Binaries;
use super::tracer::Live;
use crate::support::certificates::Authority;
use crate::support::command::{self, PATIENCE};
use crate::support::installation::Installation;
use crate::support::scripted::{Receiver, Reply, Script};

/// What becomes of a recipient in the end, if nobody interferes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Fails,
}

/// A message of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    /// Stands in its body.
    pub name: &'static str,
    pub recipients: &'static [(&'static str, Fate)],
    /// It lies in `new/` before the daemon starts; else a step sends it.
    pub waits: bool,
}

const fn letter(name: &'static str, recipients: &'static [(&'static str, Fate)]) -> Letter {
    Letter { name, recipients, waits: true }
}

/// The message as `sendmail` gets it.
pub(crate) fn bytes(name: &str) -> Vec<u8> {
    format!("From: alice@sender.example\nSubject: test\n\nmessage {name}\n.the end\n").into_bytes()
}

/// What a receiver must have got of it, at the end.
pub(crate) fn ending(name: &str) -> Vec<u8> {
    format!("\r\n\r\nmessage {name}\r\n.the end\r\n").into_bytes()
}

/// A verb that an administrator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub letter: &'static str,
    pub verb: &'static str,
    /// The program said that it was done.
    pub answered: bool,
}

/// One scenario.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub name: &'static str,
    pub letters: &'static [Letter],
    /// The receiver while faults happen.
    pub script: fn() -> Script,
    /// Words behind `?` in the next hop.
    pub query: &'static str,
    /// More TOML.
    pub toml: &'static str,
    /// The receiver behind the restart, where it is not the same.
    pub after: Option<fn() -> Script>,
    /// Boundaries count from the start of the program, not only from its readiness.
    pub from_start: bool,
    pub steps: fn(&Driver),
}

use Fate::{Arrives, Fails};

const ONE: Letter = letter("one", &[("bob@receiver.example", Arrives)]);
const LIVE: Letter = Letter { name: "live", recipients: &[("bob@receiver.example", Arrives)], waits: false };
const MIXED: Letter =
    letter("mixed", &[("now@receiver.example", Arrives), ("later@receiver.example", Arrives), ("gone@receiver.example", Fails)]);
const OTHER: Letter = letter("other", &[("other@receiver.example", Arrives)]);
const GONE: Letter = letter("gone", &[("gone@receiver.example", Fails)]);

/// A receiver that takes all.
fn plain() -> Script {
    Script::new().offer("PIPELINING")
}

fn mixed() -> Script {
    let script = plain().say("RCPT TO:<gone@", "550 5.1.1 no such user");
    script.first(1, "RCPT TO:<later@", Reply::Lines("450 4.2.1 mailbox busy".into()))
}

fn with_tls() -> Script {
    plain().starttls(&Authority::new().identity(&["localhost"]))
}

fn gone() -> Script {
    plain().say("RCPT TO:<gone@", "550 5.1.1 no such user")
}

fn gone_once() -> Script {
    plain().first(1, "RCPT TO:<gone@", Reply::Lines("550 5.1.1 no such user".into()))
}

fn busy() -> Script {
    plain().say("RCPT", "450 4.2.1 mailbox busy")
}

/// All scenarios.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an empty spool",
        letters: &[],
        script: plain,
        query: "tls=none",
        toml: "",
        after: None,
        from_start: true,
        steps: |driver| {
            driver.stop();
        },
    },
    Scenario {
        name: "one recipient",
        letters: &[ONE],
        script: plain,
        query: "tls=none",
        toml: "",
        after: None,
        from_start: true,
        steps: |driver| {
            driver.until_drained();
            driver.stop();
        },
    },
    Scenario {
        name: "250, 450 and 550",
        letters: &[MIXED, OTHER],
        script: mixed,
        query: "tls=none",
        toml: "",
        after: None,
        from_start: false,
        steps: |driver| {
            driver.until_drained();
            driver.until(|driver| driver.has_dsn());
            driver.stop();
        },
    },
    Scenario {
        name: "TLS",
        letters: &[ONE, LIVE],
        script: with_tls,
        query: "tls=opportunistic",
        toml: "",
        after: None,
        from_start: false,
        steps: |driver| {
            driver.send(&LIVE);
            driver.until_drained();
            driver.stop();
        },
    },
    Scenario {
        name: "a notice",
        letters: &[GONE],
        script: gone,
        query: "tls=none",
        toml: "",
        after: None,
        from_start: false,
        steps: |driver| {
            driver.until(|driver| driver.has_dsn());
            driver.until_drained();
            driver.stop();
        },
    },
    Scenario {
        name: "hold, release, remove",
        letters: &[
            letter("released", &[("ann@receiver.example", Arrives)]),
            letter("held", &[("bob@receiver.example", Arrives)]),
            letter("removed", &[("cid@receiver.example", Arrives)]),
        ],
        script: busy,
        query: "tls=none",
        toml: "retry_min = \"1h\"\nretry_max = \"1h\"",
        after: Some(plain),
        from_start: false,
        steps: |driver| {
            driver.until(|driver| driver.log().matches("event=\"deferred\"").count() >= 3);
            driver.ask("hold", "released");
            driver.ask("hold", "held");
            driver.ask("remove", "removed");
            // What is told of an attempt is told before the attempt has ended: until then a verb is only noted.
            driver.settles("held", layout::HOLD);
            driver.settles("released", layout::HOLD);
            driver.settles("removed", layout::TRASH);
            driver.ask("release", "released");
            driver.settles("released", layout::CUR);
            driver.stop();
        },
    },
    Scenario {
        name: "requeue",
        letters: &[letter("requeued", &[("gone@receiver.example", Arrives)])],
        script: gone_once,
        query: "tls=none",
        toml: "retry_min = \"1h\"\nretry_max = \"1h\"",
        after: Some(plain),
        from_start: false,
        steps: |driver| {
            driver.until(|driver| driver.has_dsn());
            driver.ask("requeue", "requeued");
            driver.stop();
        },
    },
    Scenario {
        name: "reload",
        letters: &[ONE, LIVE],
        script: plain,
        query: "tls=none",
        toml: "",
        after: None,
        from_start: false,
        steps: |driver| {
            driver.live.signal(Signal::SIGHUP);
            driver.until(|driver| driver.log().contains("configuration reloaded"));
            driver.send(&LIVE);
            driver.until_drained();
            driver.stop();
        },
    },
];

/// How long the steps of a scenario under a fault, which may never come to an end, are given. They usually take a fraction of a second.
/// What has not happened by then is not judged, so a slow machine sees less and accuses nobody. An undisturbed run has [`PATIENCE`].
const UNDER_A_FAULT: Duration = Duration::from_secs(4);

/// How long a daemon may take to answer an administrator, before that one gives up.
const ANSWER: Duration = Duration::from_secs(1);

/// How long a move may take that was noted for the end of an attempt.
const MOVE: Duration = Duration::from_millis(250);

/// Who acts while the daemon is traced.
pub(crate) struct Driver<'a> {
    pub installation: &'a Installation,
    pub binaries: &'a Binaries,
    pub receiver: &'a Receiver,
    pub live: &'a Live,
    pub log: &'a Path,
    /// Ids of the letters.
    pub ids: &'a [(&'static str, String)],
    /// Letters that a step sent, and that were acknowledged.
    pub sent: Mutex<Vec<&'static str>>,
    pub asked: Mutex<Vec<Asked>>,
    /// Boundaries count from here on.
    pub armed: &'a AtomicBool,
    pub begun: Instant,
    /// A step ran out of time.
    pub late: AtomicBool,
}

impl Driver<'_> {
    /// Waits for the daemon, then goes through the steps. Each step does nothing once the daemon has ended.
    pub(crate) fn drive(&self, scenario: &Scenario) {
        self.until(|driver| driver.log().contains("mailchuted is ready"));
        self.armed.store(true, Ordering::SeqCst);
        (scenario.steps)(self);
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log).unwrap_or_default()
    }

    /// False where the daemon ended, or time ran out.
    fn until(&self, condition: impl Fn(&Self) -> bool) -> bool {
        loop {
            if condition(self) {
                return true;
            }
            if self.live.has_ended() {
                return false;
            }
            if self.begun.elapsed() > if self.live.was_struck() { UNDER_A_FAULT } else { PATIENCE } {
                self.late.store(true, Ordering::SeqCst);
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn until_drained(&self) {
        let flushed = Mutex::new(Instant::now());
        self.until(|driver| {
            let mut flushed = flushed.lock().unwrap();
            if flushed.elapsed() > Duration::from_millis(50) {
                *flushed = Instant::now();
                flush(driver.installation);
            }
            is_drained(driver.installation)
        });
    }

    fn has_dsn(&self) -> bool {
        has_dsn(self.receiver)
    }

    fn send(&self, letter: &Letter) {
        if self.live.has_ended() {
            return;
        }
        let mut command = self.installation.program(&self.binaries.sendmail);
        command.args(["-i", "-f", "alice@sender.example"]).args(letter.recipients.iter().map(|(address, _)| address));
        if command::run(&mut command, &bytes(letter.name)).code == Some(0) {
            self.sent.lock().unwrap().push(letter.name);
        }
    }

    /// An administrator's verb, by the shipped program.
    fn ask(&self, verb: &'static str, letter: &'static str) {
        if self.live.has_ended() {
            return;
        }
        let id = &self.ids.iter().find(|(name, _)| *name == letter).unwrap().1;
        let mut command = self.installation.program(&self.binaries.mailchute);
        let mut child = command.args([verb, id]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A daemon under a fault may never answer, and who never got an answer was told nothing.
        let ended = command::wait(&mut child, ANSWER);
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.asked.lock().unwrap().push(Asked { letter, verb, answered: ended.is_some_and(|status| status.success()) });
    }

    /// Waits for the letter's file in the directory; not long under a fault, for which the daemon may have refused the move.
    fn settles(&self, letter: &str, directory: &str) {
        let id = &self.ids.iter().find(|(name, _)| *name == letter).unwrap().1;
        let path = self.installation.paths.spool.join(directory).join(id);
        let since = Instant::now();
        self.until(|driver| path.exists() || (driver.live.was_struck() && since.elapsed() > MOVE));
    }

    /// SIGTERM, and the time that a daemon has for it.
    fn stop(&self) {
        self.live.signal(Signal::SIGTERM);
        self.until(|driver| driver.live.has_ended());
    }
}

/// Nothing is in `new/` or `cur/`.
pub(crate) fn is_drained(installation: &Installation) -> bool {
    [layout::NEW, layout::CUR].iter().all(|directory| installation.spooled(directory).is_empty())
}

/// A DSN has arrived.
pub(crate) fn has_dsn(receiver: &Receiver) -> bool {
    receiver.messages().iter().any(|message| message.mail.starts_with("<>"))
}

/// Makes everything due, if the daemon listens.
pub(crate) fn flush(installation: &Installation) {
    let Ok(mut socket) = UnixStream::connect(installation.paths.control_socket()) else { return };
    let mut request = serde_json::to_vec(&Request::Flush { select: Select::All {} }).unwrap();
    request.push(b'\n');
    let _ = socket.set_read_timeout(Some(ANSWER));
    let _ = socket.set_write_timeout(Some(ANSWER));
    let _ = socket.write_all(&request).and_then(|()| socket.read(&mut [0; 1]));
}
