//! The differential test: the same command lines and messages given to the `sendmail` of Postfix, Sendmail and Exim and to ours.
//!
//! In: the two tables of cases, the unpacked packages. Each case runs as a user of its own, so that what arrives at the receivers
//! can be told apart by the user whom every system names in its `Received` field. Out: docs/COMPAT.md, which holds every difference
//! with its reason, and ours.txt beside this file, which holds what ours does.
//!
//! What ours does is judged wherever the test runs. The others are judged with the versions that the document was made with: a
//! difference without a reason fails the test; so does one that the document does not have, and one that is gone. With other versions
//! whatever is different now is recorded.
//!
//! `UPDATE=1 cargo test compat` rewrites both files.

mod cases;
mod commands;
mod compare;
mod document;
mod messages;
mod outcome;
mod reasons;
mod session;
mod systems;

use std::path::PathBuf;
use std::time::Instant;

use crate::support::command::{self, Ended};
use crate::support::foreign_root::ForeignRoot;
use crate::support::parts;
use cases::{Case, Input};
use compare::Difference;
use outcome::Outcome;
use systems::{Exim, MailSystem, Ours, Postfix, Sendmail};

/// The packages that the other systems come from, in the order of the document.
const PACKAGES: [&str; 3] = ["postfix", "sendmail-bin", "exim4-daemon-light"];
/// Looks at the other systems, of which one must be as the document says: now and then one of them keeps a notice to itself.
const LOOKS: usize = 3;

#[test]
fn every_difference_to_postfix_sendmail_and_exim_is_in_the_document_with_its_reason() {
    isolated!();
    let packages = [require!(parts::packages()), require!(parts::mail_system("sendmail")), require!(parts::mail_system("exim"))];
    let versions = [0, 1, 2].map(|n| parts::version(&packages[n], PACKAGES[n]).unwrap_or_else(|| panic!("{} has no version", PACKAGES[n])));
    systems::share_host_name_and_users(cases::all().len());
    let is_known = document::is_made_with(&versions) || document::is_update();
    let mut looks: Vec<Look> = Vec::new();
    while looks.len() < if is_known { LOOKS } else { 1 } && !looks.last().is_some_and(|look| document::is_current(&look.document)) {
        looks.push(look(&packages, &versions));
        document::compare_own(&looks.last().unwrap().own);
    }
    let last = looks.last().unwrap();
    // What is true is true every time.
    let is_steady = looks.iter().all(|look| look.document == looks[0].document);
    if is_known && (is_steady || document::is_current(&last.document)) {
        last.judge();
    } else {
        parts::record(&format!("{}, {}", versions.join(", "), document::changes(&last.document)));
    }
}

/// What one look at all systems found.
struct Look {
    document: String,
    differences: Vec<Difference>,
    /// What ours did.
    own: String,
}

impl Look {
    fn judge(&self) {
        let unexplained: Vec<&Difference> = self.differences.iter().filter(|one| reasons::of(one).is_none()).collect();
        let unused = reasons::unused(&self.differences);
        document::compare(&self.document);
        assert!(unexplained.is_empty(), "{} differences have no reason:\n{}", unexplained.len(), document::listing(&unexplained));
        assert!(unused.is_empty(), "these reasons explain nothing (any more): {unused:#?}");
    }
}

fn look(packages: &[PathBuf; 3], versions: &[String; 3]) -> Look {
    let begun = Instant::now();
    let ours = Ours::start();
    let postfix = Postfix::start(ForeignRoot::of(&packages[0]));
    let sendmail = Sendmail::start(ForeignRoot::of(&packages[1]));
    let exim = Exim::start(ForeignRoot::of(&packages[2]));
    let foreign: [&dyn MailSystem; 3] = [&postfix, &sendmail, &exim];
    let (own, others) = std::thread::scope(|scope| {
        let others = foreign.map(|system| scope.spawn(move || run_all(system)));
        (run_all(&ours), others.map(|running| running.join().unwrap()))
    });
    eprintln!("{} cases, {} systems, {:.1} s", cases::all().len(), 1 + others.len(), begun.elapsed().as_secs_f64());

    let names = foreign.map(MailSystem::name);
    let differences = compare::all(&own, &names, &others);
    let versions = [0, 1, 2].map(|n| format!("{} {}", names[n], versions[n]));
    Look { document: document::render(&versions, &differences), differences, own: compare::listing(&own) }
}

/// Every case on one system: what came of it.
fn run_all(system: &dyn MailSystem) -> Vec<Outcome> {
    let cases = cases::all();
    let ended: Vec<_> = cases.iter().enumerate().map(|(index, case)| run(system, systems::uid(index), case)).collect();
    let arrived = system.arrived();
    let outcome = |(index, ended)| Outcome::of(index, ended, &cases[index], &arrived);
    ended.iter().enumerate().map(outcome).collect()
}

fn run(system: &dyn MailSystem, uid: u32, case: &Case) -> Ended {
    let mut command = system.command(uid, case.called);
    command.args(&case.argv);
    match &case.input {
        Input::Whole(bytes) => command::run(&mut command, bytes),
        Input::Dialogue(steps) => session::run(&mut command, steps),
    }
}
