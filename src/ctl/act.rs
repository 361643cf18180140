//! The verbs that change messages: the same for all, in the words of postsuper.

use std::io::Write;

use super::offline::Offline;
use super::select::Selection;
use admin::op::AdminOp;
use config::Config;
use control::client;
use control::protocol::{Act, Done, Request};
use exit::{Exit, Failure};
use mail::printable;
use sys::syslog;
use sys::syslog::{Facility, Severity};

/// What was said of the messages so far.
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

/// Does `act` to what was chosen. One line per message and a total on stderr, as postsuper prints them.
///
/// Errors: 1 if a message was not found or the act not done.
pub(super) fn act(config: &Config, act: Act, selection: &Selection, dry_run: bool) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let ended = ask(config, act, selection, dry_run, &mut tally);
    let all = tally.all();
    let Tally { count, later, refused } = tally;
    if ended.is_ok() || all > 0 {
        let headline = if dry_run { would(act) } else { act.total() };
        let after = match later {
            0 => String::new(),
            1 => ", 1 after its attempt".to_owned(),
            later => format!(", {later} after their attempts"),
        };
        say(&format!("{headline}: {count} message{}{after}", if count == 1 { "" } else { "s" }));
    }
    ended?;
    if refused == 0 { Ok(()) } else { Err(Failure::new(Exit::NotFound, format!("not done for {refused} of {all}"))) }
}

/// The headline of what would be done.
fn would(act: Act) -> &'static str {
    match act {
        Act::Hold => "Would place on hold",
        Act::Release => "Would release from hold",
        Act::Remove => "Would delete",
        Act::Requeue => "Would requeue",
        Act::Expire => "Would expire",
        Act::Bounce => "Would bounce",
        Act::Flush => "Would make due now",
    }
}

fn ask(config: &Config, act: Act, selection: &Selection, dry_run: bool, tally: &mut Tally) -> Result<(), Failure> {
    for ids in selection.requests() {
        let mut broken = None;
        let request = Request::Act { act, ids, filter: selection.filter.clone(), dry_run };
        let answered = client::ask_lines(&config.paths, &request, |line| match serde_json::from_str::<Done>(line) {
            Ok(done) => {
                tally.add(&done);
                true
            }
            Err(e) => {
                broken = Some(Failure::new(Exit::Software, format!("an answer of the daemon that is not understood: {e}")));
                false
            }
        });
        match answered {
            // Nothing was done yet: the daemon is stopped, not one that has just died.
            Err(down) if down.exit == Exit::Unavailable && tally.all() == 0 && act != Act::Flush => {
                return without_daemon(config, act, selection, dry_run, tally, down);
            }
            Err(failure) if failure.exit != Exit::NotFound => return Err(failure),
            _ => broken.map_or(Ok(()), Err)?,
        }
    }
    Ok(())
}

fn without_daemon(
    config: &Config,
    act: Act,
    selection: &Selection,
    dry_run: bool,
    tally: &mut Tally,
    down: Failure,
) -> Result<(), Failure> {
    // Before root becomes the owner of the spool.
    let by = who();
    let mut offline = Offline::open(config, down)?;
    let queue_lifetime = i64::try_from(config.params.queue_lifetime.0.as_secs()).unwrap_or(i64::MAX / 4);
    let op = AdminOp { act, by, dry_run, now: sys::clock::now(), queue_lifetime };
    let ended = offline.act(&op, selection, |done| tally.add(&done));
    if !dry_run && tally.count > 0 {
        log(&format!("{} {} without the daemon: {} messages, {}", act.done(), op.by, tally.count, selection.filter));
    }
    ended
}

/// Who runs this, as histories have it.
pub(super) fn who() -> String {
    let uid = sys::process::uid();
    format!("by {} (uid {uid})", sys::process::user_name(uid))
}

/// One line in the log of the system: without the daemon there is no other.
pub(super) fn log(text: &str) {
    syslog::send_as("mailchute", Facility::Mail, Severity::Info, text);
}

/// Where stderr is closed there is nobody to tell; the exit code remains.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "mailchute: {line}");
}
