//! The differential test: the same command lines and messages given to the `sendmail` of Postfix, Sendmail and Exim and to ours.
//!
//! In: the two tables of cases, the unpacked packages. Each case runs as a user of its own, so that what arrives at the receivers
//! can be told apart by the user whom every system names in its `Received` field. Out: docs/COMPAT.md, which holds every difference
//! with its reason. A difference without a reason fails the test; so does one that the document does not have, and one that is gone.
//!
//! `UPDATE=1 cargo test compat` rewrites the document.

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
use crate::support::parts::{self, Missing};
use cases::{Case, Input};
use compare::Difference;
use outcome::Outcome;
use systems::{Exim, MailSystem, Ours, Postfix, Sendmail};

#[test]
fn every_difference_to_postfix_sendmail_and_exim_is_in_the_document_with_its_reason() {
    isolated!();
    let packages = [require!(parts::packages()), require!(parts::mail_system("sendmail")), require!(parts::mail_system("exim"))];
    systems::share_host_name_and_users(cases::all().len());
    let (mut document, mut differences) = require!(look(&packages));
    // On a busy machine a foreign system now and then keeps a DSN to itself. What is true is true twice.
    if !document::is_current(&document) {
        eprintln!("not what docs/COMPAT.md says; looking again");
        (document, differences) = require!(look(&packages));
    }
    let unexplained: Vec<&Difference> = differences.iter().filter(|one| reasons::of(one).is_none()).collect();
    let unused = reasons::unused(&differences);
    document::compare(&document);
    assert!(unexplained.is_empty(), "{} differences have no reason:\n{}", unexplained.len(), document::listing(&unexplained));
    assert!(unused.is_empty(), "these reasons explain nothing (any more): {unused:#?}");
}

/// The document as it should be, and the differences in it. An error where the packages are not of the versions that it is about.
fn look(packages: &[PathBuf; 3]) -> Result<(String, Vec<Difference>), Missing> {
    let begun = Instant::now();
    let ours = Ours::start();
    let postfix = Postfix::start(ForeignRoot::of(&packages[0]));
    let sendmail = Sendmail::start(ForeignRoot::of(&packages[1]));
    let exim = Exim::start(ForeignRoot::of(&packages[2]));
    let foreign: [&dyn MailSystem; 3] = [&postfix, &sendmail, &exim];
    for system in foreign {
        systems::version_is_known(system)?;
    }
    let versions = foreign.map(|system| format!("{} {}", system.name(), system.known_version()));
    let (own, others) = std::thread::scope(|scope| {
        let others = foreign.map(|system| scope.spawn(move || run_all(system)));
        (run_all(&ours), others.map(|running| running.join().unwrap()))
    });
    eprintln!("{} cases, {} systems, {:.1} s", cases::all().len(), 1 + others.len(), begun.elapsed().as_secs_f64());

    let differences = compare::all(&own, &foreign.map(MailSystem::name), &others);
    Ok((document::render(&versions, &differences), differences))
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
