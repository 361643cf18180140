//! The commands that modify messages, with the output of postsuper.

use mail::{Actor, words};
use std::io::Write;
use std::ops::ControlFlow;

use super::offline::Offline;
use super::select::Selection;
use admin::op::AdminOp;
use config::Config;
use control::client;
use control::client::{ClientError, Down};
use control::protocol::{Act, Done, Request};
use exit::{Exit, Failure};
use mail::printable;
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// Counts the results.
#[derive(Default)]
struct Tally {
    count: u64,
    later: u64,
    refused: u64,
}

impl Tally {
    fn all(&self) -> u64 {
        self.count + self.later + self.refused
    }

    fn add(&mut self, done: &Done) {
        *match (done.done, done.later) {
            (true, false) => &mut self.count,
            (true, true) => &mut self.later,
            (false, _) => &mut self.refused,
        } += 1;
        say(&format!("{}: {}", printable::text(&done.id), printable::text(&done.text)));
    }
}

/// Applies `act` to the selected messages. Prints one line per message and a total to stderr, like postsuper.
///
/// Errors: 1 if a message was not found or the operation failed for it.
pub(super) fn act(config: &Config, act: Act, selection: &Selection, dry_run: bool) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let ended = ask(config, act, selection, dry_run, &mut tally);
    let all = tally.all();
    let Tally { count, later, refused } = tally;
    if ended.is_ok() || all > 0 {
        let headline = if dry_run { would(act) } else { act.total() };
        let after = match later {
            0 => String::new(),
            1 => ", 1 after its delivery attempt".to_owned(),
            later => format!(", {later} after their delivery attempts"),
        };
        say(&format!("{headline}: {}{after}", messages(count)));
    }
    ended?;
    if refused == 0 { Ok(()) } else { Err(Failure::new(Exit::NotFound, format!("failed for {refused} of {all} messages"))) }
}

/// `1 message`, `2 messages`.
fn messages(count: u64) -> String {
    printable::counted(usize::try_from(count).unwrap_or(usize::MAX), "message")
}

/// The heading of the total of a dry run.
fn would(act: Act) -> &'static str {
    match act {
        Act::Hold => "Would place on hold",
        Act::Release => "Would release from hold",
        Act::Remove => "Would delete",
        Act::Requeue => "Would requeue",
        Act::Expire => "Would expire",
        Act::Bounce => "Would bounce",
        Act::Flush => "Would schedule for retry",
    }
}

fn ask(config: &Config, act: Act, selection: &Selection, dry_run: bool, tally: &mut Tally) -> Result<(), Failure> {
    for ids in selection.requests() {
        let request = Request::Act { act, ids, filter: selection.filter.clone(), dry_run };
        let answered = client::ask_lines(&config.paths, &request, |line| {
            tally.add(&client::parse(line)?);
            Ok(ControlFlow::Continue(()))
        });
        match answered {
            // No result yet, so the daemon was stopped before the request.
            Err(ClientError::Down(down)) if tally.all() == 0 && act != Act::Flush => {
                return without_daemon(config, act, selection, dry_run, tally, down);
            }
            // Each of them had a line of its own.
            Ok(_) | Err(ClientError::Unknown(_)) => {}
            Err(error) => return Err(error.of_change("mailchute show ID")),
        }
    }
    Ok(())
}

fn without_daemon(config: &Config, act: Act, selection: &Selection, dry_run: bool, tally: &mut Tally, down: Down) -> Result<(), Failure> {
    // Before root takes the ids of the owner of the spool.
    let by = who();
    let mut offline = Offline::open(config, down)?;
    let queue_lifetime = i64::try_from(config.params.queue_lifetime.0.as_secs()).unwrap_or(i64::MAX / 4);
    let op = AdminOp { act, by, dry_run, now: sys::clock::now(), queue_lifetime };
    let ended = offline.act(&op, selection, |done| tally.add(&done));
    if !dry_run && tally.count > 0 {
        log(&format!(
            "{} {} while the daemon was stopped: {}, {}",
            act.done(),
            words::of_actor(&op.by),
            messages(tally.count),
            selection.filter
        ));
    }
    ended
}

/// The user of this command, for histories.
pub(super) fn who() -> Actor {
    let uid = sys::process::uid();
    Actor { uid, name: sys::process::user_name(uid) }
}

/// Writes one line to syslog, because the daemon does not log this operation.
pub(super) fn log(text: &str) {
    syslog::send_as("mailchute", Facility::Mail, Severity::Info, text);
}

/// Writes one line to stderr. If stderr is closed, the exit code is all that is left.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "mailchute: {line}");
}
