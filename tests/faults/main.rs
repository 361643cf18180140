//! The whole rig: `tests/faults/run [PART…]` builds and runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
// Of what the scenarios share, it needs a part.
#![allow(dead_code, unused_macros, unused_imports)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
#[path = "mod.rs"]
mod faults;

use std::time::Instant;

use faults::report::Report;
use faults::{Binaries, Choice};

/// A part of the rig: its name, every how manieth trial it takes, and itself.
type Part = (&'static str, usize, fn(&Binaries, Choice, &Report));

/// A daemon comes to some two thousand boundaries in each scenario, and to ten errors at each call: of those, a part has to do.
const PARTS: &[Part] = &[
    ("injector-kill", 1, faults::injector::killed),
    ("injector-errno", 1, faults::injector::refused),
    ("injector-short", 1, faults::injector::shortened),
    ("trials", 1, faults::trials::all),
    ("full", 1, faults::full::all),
    ("power-injector", 1, faults::power::of_injection),
    ("power-daemon", 3, faults::power::of_delivery),
    ("blocklog", 2, faults::blocklog::all),
    ("daemon-kill", 4, faults::daemon::killed),
    ("verbs", 4, faults::verbs::killed),
    ("daemon-errno", 61, faults::daemon::refused),
    ("daemon-short", 5, faults::daemon::shortened),
    ("mutants", 1, faults::mutants::all),
];

/// The rows of the table, and the least that the whole must reach.
const ROWS: &[(&str, u64)] = &[
    ("kill points injector", 500),
    ("kill points daemon", 3000),
    ("kill points verbs", 1000),
    ("errno injections", 5000),
    ("errno injections injector", 0),
    ("errno injections daemon", 0),
    ("short writes", 100),
    ("power cuts ext4", 500),
    ("power cuts xfs", 500),
    ("block-log states ext4", 100),
    ("block-log states xfs", 100),
    ("block-log states btrfs", 100),
    ("torn and never acknowledged", 0),
    ("fill levels", 100),
    ("single trials", 6),
    ("mutants", 16),
    ("mutants caught", 16),
];

fn main() {
    let (programs, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|argument| argument.contains('='));
    let (strides, wanted): (Vec<String>, Vec<String>) = words.into_iter().partition(|argument| argument.parse::<usize>().is_ok());
    let stride = strides.first().map_or(1, |stride| stride.parse().unwrap());
    let (mut binaries, report) = (Binaries::built(), Report::default());
    for (name, path) in programs.iter().filter_map(|program| program.split_once('=')) {
        binaries.replace(name, path.into());
    }
    for (name, part, run) in
        PARTS.iter().filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|part| name.starts_with(part.as_str())))
    {
        let (began, before) = (Instant::now(), report.violations());
        // Seen at once: the whole takes half an hour.
        let words = report.words();
        run(&binaries, Choice { stride: part * stride, ..Choice::WHOLE }, &report);
        println!("{name}: {:.0} s, {} violations", began.elapsed().as_secs_f64(), report.violations() - before);
        println!("{}", report.words().trim_start_matches(&words));
    }
    let is_whole = wanted.is_empty() && strides.is_empty();
    let is_enough = table(&report, is_whole);
    println!("{}", report.words());
    std::process::exit(i32::from(report.violations() > 0 || !is_enough));
}

/// Prints the counts. False where the whole did less than it has to.
fn table(report: &Report, is_whole: bool) -> bool {
    let mut is_enough = true;
    println!("\n| what | count |\n|---|---|");
    for (what, least) in ROWS {
        let count = report.count(what);
        let is_short = is_whole && count < *least;
        is_enough &= !is_short;
        if count > 0 || is_short {
            println!("| {what} | {count} |{}", if is_short { format!(" less than {least}") } else { String::new() });
        }
    }
    let duplicates = faults::judge::TOLD_DUPLICATES.load(std::sync::atomic::Ordering::Relaxed);
    println!("| lost | {} |\n| half | {} |", report.violations_with("lost"), report.violations_with("half"));
    println!("| duplicates, all of them told | {duplicates} |\n| violations | {} |\n", report.violations());
    is_enough
}
