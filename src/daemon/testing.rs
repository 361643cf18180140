//! What the unit tests of several stages share: a setup and a daemon in a scratch spool.

use std::path::Path;
use std::sync::Arc;

use super::setup::Setup;
use super::state_writer::StateWriter;
use crate::database::STATE_FILE;
use crate::stop::Stop;
use crate::wire::{Base, EventSinks, Parts};
use config::paths::Mode;
use config::{Config, Paths};
use observe::alarms::AlarmManager;
use observe::dispatcher::Handle;
use observe::hooks::Hooks;
use state::State;
use testing::Scratch;

/// The paths of a spool with its keys and sockets inside.
fn paths(scratch: &Scratch) -> Paths {
    let inside = |name: &str| scratch.path().join(name);
    let system = Paths::system(scratch.path());
    Paths { mode: Mode::Rootless, keys: inside("keys"), spool: scratch.path().to_owned(), run: scratch.path().to_owned(), ..system }
}

/// What this configuration means, with the keys in `keys/` of the spool.
pub(crate) fn setup(scratch: &Scratch, toml: &str) -> Setup {
    let toml = format!("mailname = \"sender.example\"\nhostname = \"host.sender.example\"\n{toml}");
    let params = config::parse(toml.as_bytes(), Path::new("mailchute.toml")).unwrap();
    let paths = paths(scratch);
    std::fs::create_dir_all(&paths.keys).unwrap();
    Setup::new(&Config { params, paths }).unwrap()
}

/// A daemon none of whose parts runs.
pub(crate) struct Idle {
    pub(crate) base: Base,
    pub(crate) parts: Parts,
}

/// A daemon in this spool, with this configuration.
pub(crate) fn idle(scratch: &Scratch, toml: &str) -> Idle {
    let state = State::open(&scratch.path().join(STATE_FILE)).unwrap();
    let store = Arc::new(scratch.store());
    let (alarms, _) = AlarmManager::load(scratch.path());
    let sinks = EventSinks { counters: Arc::default(), dispatcher: Handle::default(), hooks: Hooks::new(scratch.path()), alarms };
    let (state_writer, _) = StateWriter::start(state, Arc::clone(&store), || (), |_| {}).unwrap();
    let base = Base { paths: paths(scratch), store, state_writer, stop: Arc::new(Stop::default()) };
    let parts = Parts::new(&base, setup(scratch, toml), sinks);
    Idle { base, parts }
}
