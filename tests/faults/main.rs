//! The whole rig: `tests/faults/run [PART…]` builds and runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
// Of what the scenarios share, it needs a part.
#![allow(dead_code, unused_macros)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
#[path = "mod.rs"]
mod faults;

use std::time::Instant;

use faults::report::Report;
use faults::{Binaries, Choice};

/// A part of the rig.
type Part = (&'static str, fn(&Binaries, Choice, &Report));

const PARTS: &[Part] = &[
    ("injector-kill", faults::injector::killed),
    ("injector-errno", faults::injector::refused),
    ("injector-short", faults::injector::shortened),
    ("daemon-kill", faults::daemon::killed),
    ("daemon-errno", faults::daemon::refused),
    ("daemon-short", faults::daemon::shortened),
    ("full", faults::full::all),
    ("trials", faults::trials::all),
    ("power-injector", faults::power::of_injection),
    ("mutants", faults::mutants::all),
    ("power-daemon", faults::power::of_delivery),
];

fn main() {
    let (strides, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|argument| argument.parse::<usize>().is_ok());
    let stride = strides.first().map_or(1, |stride| stride.parse().unwrap());
    let (binaries, report) = (Binaries::built(), Report::default());
    for (name, run) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.starts_with(part.as_str()))) {
        let (began, before) = (Instant::now(), report.violations());
        run(&binaries, Choice { stride, ..Choice::WHOLE }, &report);
        println!("{name}: {:.0} s, {} violations", began.elapsed().as_secs_f64(), report.violations() - before);
    }
    println!("{:#?}", report.counts());
    println!("{}", report.words());
    std::process::exit(i32::from(report.violations() > 0));
}
