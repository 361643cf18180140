//! What the unit tests of several stages share: a setup and a daemon in a scratch spool.

use std::path::Path;
use std::sync::Arc;

use super::alarms::Board;
use super::daemon::{Daemon, Outlets, Stop};
use super::hooks::Hooks;
use super::ledger::Ledger;
use super::outlet::Reloader;
use super::recover::STATE_FILE;
use super::setup::Setup;
use crate::config::paths::Mode;
use crate::config::{Config, Paths};
use crate::spool::state::State;
use crate::spool::testing::Scratch;

/// The paths of a spool with its keys and sockets inside.
fn paths(scratch: &Scratch) -> Paths {
    let inside = |name: &str| scratch.path().join(name);
    let system = Paths::system(scratch.path());
    Paths { mode: Mode::Rootless, keys: inside("keys"), spool: scratch.path().to_owned(), run: scratch.path().to_owned(), ..system }
}

/// What this configuration means, with the keys in `keys/` of the spool.
pub(crate) fn setup(scratch: &Scratch, toml: &str) -> Setup {
    let toml = format!("mailname = \"sender.example\"\nhostname = \"host.sender.example\"\n{toml}");
    let params = crate::config::parse(toml.as_bytes(), Path::new("mailchute.toml")).unwrap();
    let paths = paths(scratch);
    std::fs::create_dir_all(&paths.keys).unwrap();
    Setup::new(&Config { params, paths }).unwrap()
}

/// A daemon none of whose tasks runs.
pub(crate) fn daemon(scratch: &Scratch, toml: &str) -> Arc<Daemon> {
    let state = State::open(&scratch.path().join(STATE_FILE)).unwrap();
    let store = Arc::new(scratch.store());
    let (alarms, _) = Board::load(scratch.path());
    let outlets = Outlets { counters: Arc::default(), outlet: Reloader::default(), hooks: Hooks::new(scratch.path()), alarms };
    let (ledger, _) = Ledger::start(state, Arc::clone(&store), |_| {}).unwrap();
    Arc::new(Daemon::new(paths(scratch), store, ledger, setup(scratch, toml), Arc::new(Stop::default()), outlets))
}
