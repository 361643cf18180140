//! What must hold after the soak.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::sync::atomic::Ordering;

use spool::layout;

use super::world::{Sample, World};

/// What a daemon may have open, however long it runs: its files, its threads' eyes, the connections it is allowed.
const DESCRIPTORS: u64 = 256;
/// Memory of the second half over that of the first: the same within the noise of allocation.
const GROWTH: (u64, u64) = (5, 4);

/// The result. What is not asserted is printed.
#[derive(Debug, Default)]
#[allow(dead_code)]
pub(crate) struct Counts {
    pub promised: u64,
    pub lost: usize,
    pub half: usize,
    pub duplicates: usize,
    /// Duplicates that the log did not call possible.
    pub unannounced: usize,
    /// Messages that the log called possible duplicates.
    pub possible_duplicates: usize,
    /// Failures that their sender got two DSNs about.
    pub dsns_again: usize,
    pub kills: u64,
    pub injectors_killed: u64,
    pub refused: usize,
    /// Files that were left in the spool.
    pub left: Vec<String>,
    /// Most memory in KiB, and most descriptors, of the first half and of the second.
    pub first_half: (u64, u64),
    pub second_half: (u64, u64),
}

/// Compares what was promised with what arrived and with what the log says.
pub(crate) fn judge(world: &World) -> Counts {
    let (shared, arrived) = (&world.shared, &world.shared.arrived);
    let marked = possible_duplicates(world);
    let again = arrived.again.lock().unwrap();
    for half in arrived.half.lock().unwrap().iter().take(3) {
        println!("half: {half}");
    }
    for refused in shared.refused.lock().unwrap().iter().take(3) {
        println!("refused: {refused}");
    }
    for id in again.iter().filter(|id| !marked.contains(*id)).take(3) {
        println!("unannounced: {}", told_of(world, id));
    }
    let middle = world.samples.last().map_or(0.0, |last| last.second) / 2.0;
    let most = |samples: &dyn Fn(&&Sample) -> bool| {
        let chosen = || world.samples.iter().filter(samples);
        (chosen().map(|one| one.kibibytes).max().unwrap_or(0), chosen().map(|one| one.descriptors).max().unwrap_or(0))
    };
    Counts {
        promised: shared.promises.load(Ordering::SeqCst),
        lost: world.missing(),
        half: arrived.half.lock().unwrap().len(),
        duplicates: again.len(),
        unannounced: again.iter().filter(|id| !marked.contains(*id)).count(),
        possible_duplicates: marked.len(),
        dsns_again: arrived.reported_again(),
        kills: world.kills,
        injectors_killed: shared.cut.load(Ordering::SeqCst),
        refused: shared.refused.lock().unwrap().len(),
        left: left(world),
        first_half: most(&|one| one.second < middle),
        second_half: most(&|one| one.second >= middle),
    }
}

/// What the log and the database have of a message.
fn told_of(world: &World, id: &str) -> String {
    let log = std::fs::read_to_string(world.log()).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(id) || line.contains("is ready") || line.contains("fatal")).collect();
    let history = world.installation.mailchute(&["show", id]).stdout;
    format!("{id}\n{}\n{history}", lines.join("\n"))
}

/// The files in the spool.
pub(crate) fn left(world: &World) -> Vec<String> {
    let directories = [layout::NEW, layout::CUR, layout::HOLD, layout::CORRUPT];
    directories.iter().flat_map(|name| world.installation.spooled(name)).collect()
}

/// The queue ids that a line of the log, or the history of a message, calls possible duplicates.
fn possible_duplicates(world: &World) -> HashSet<String> {
    let lines = BufReader::new(std::fs::File::open(world.log()).unwrap()).lines().map_while(Result::ok);
    let warnings = lines.filter(|line| line.contains("possible_duplicate") || line.contains("a duplicate is possible"));
    let is_id = |word: &&str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let logged =
        warnings.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_id).map(str::to_owned).collect::<Vec<_>>());
    // Or an operator was the first to find it, between two daemons: that is in its history.
    let state = rusqlite::Connection::open(world.installation.paths.spool.join("state.sqlite")).unwrap();
    let mut query = state.prepare("SELECT DISTINCT message FROM history WHERE kind = (SELECT number FROM code WHERE code.kind = 'history' AND word = 'uncertain')").unwrap();
    let recorded = query.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(|id| format!("{:016X}", id.unwrap()));
    logged.chain(recorded).collect()
}

impl Counts {
    /// Nothing lost, nothing half, nothing twice without a word, nothing left, nothing grown.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!((self.lost, self.half, self.unannounced, self.dsns_again, self.refused), (0, 0, 0, 0, 0), "{self:?}");
        assert!(self.left.is_empty(), "{self:?}");
        assert!(self.first_half.1.max(self.second_half.1) <= DESCRIPTORS, "{self:?}");
        // A short soak has too few samples, of daemons that have hardly started.
        let is_flat = self.second_half.0 * GROWTH.1 <= self.first_half.0 * GROWTH.0;
        assert!(self.kills < 10 || is_flat, "{self:?}");
    }
}
