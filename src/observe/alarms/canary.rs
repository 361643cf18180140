//! The canary: a daily test message submitted through `sendmail`, and an alarm if it does not arrive. Pure, except [`send`].
//!
//! In: the time, and the events. Out: when to send, and the result. The canary has the null reverse-path, so it never causes a DSN.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::program::{self, PATH};
use config::units::TimeOfDay;
use mail::{Address, date, printable};

/// How long `sendmail` may take.
const SENDMAIL: std::time::Duration = std::time::Duration::from_secs(20);

/// The last canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Canary {
    /// When it was sent, unix seconds; none before the first.
    pub sent: Option<i64>,
    /// The time by which it must have arrived.
    pub deadline: i64,
    /// Its Message-ID, which leads to its queue id.
    pub message_id: String,
    /// Its queue id.
    pub queue_id: String,
    /// The outcome; `None` while it is under way.
    pub arrived: Option<bool>,
    /// The reply of the next hop, or why it could not be sent.
    pub reason: String,
}

/// The result of the canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No canary, or it arrived, or it is still within its time.
    Well,
    /// It did not arrive, for this reason.
    Missing(String),
}

impl Canary {
    /// A canary that was sent now.
    pub fn sent(message_id: &str, now: i64, wait: i64) -> Canary {
        Canary { sent: Some(now), deadline: now.saturating_add(wait), message_id: message_id.to_owned(), ..Canary::default() }
    }

    /// A canary that could not be sent.
    pub fn refused(now: i64, reason: &str) -> Canary {
        Canary { sent: Some(now), arrived: Some(false), reason: reason.to_owned(), ..Canary::default() }
    }

    /// True if a canary is due at `now`: the time of day has passed and none was sent since.
    pub fn is_due(&self, now: i64, time: TimeOfDay, zone: &TimeZone) -> bool {
        self.sent.is_none_or(|sent| sent < last_time(now, time, zone))
    }

    /// One that a clock has sent that ran ahead was sent now: else none would be due until that time came again.
    pub(super) fn heal_clock(&mut self, now: i64) {
        if let Some(sent) = self.sent.filter(|sent| *sent > now) {
            self.deadline = self.deadline.saturating_sub(sent.saturating_sub(now));
            self.sent = Some(now);
        }
    }

    /// Learns the queue id. Returns false: this alone changes no alarm.
    pub(super) fn note_accepted(&mut self, message_id: &str, queue_id: &str) -> bool {
        if !message_id.is_empty() && message_id == self.message_id {
            queue_id.clone_into(&mut self.queue_id);
        }
        false
    }

    /// Learns the outcome. True if it is that of the canary.
    pub(super) fn note_outcome(&mut self, queue_id: &str, arrived: bool, reply: &str) -> bool {
        let is_it = !queue_id.is_empty() && queue_id == self.queue_id;
        if is_it {
            (self.arrived, self.reason) = (Some(arrived), reply.to_owned());
        }
        is_it
    }

    /// The result at `now`.
    pub fn fate(&self, now: i64) -> Fate {
        match (self.sent, self.arrived) {
            (Some(_), Some(false)) => Fate::Missing(format!("the canary failed: {}", self.reason)),
            (Some(sent), None) if now >= self.deadline => {
                Fate::Missing(format!("the canary of {} has not arrived; see `mailchute show {}`", date::rfc3339(sent), self.queue_id))
            }
            _ => Fate::Well,
        }
    }
}

/// The latest moment up to `now` at which the clock of `zone` showed `time`.
fn last_time(now: i64, time: TimeOfDay, zone: &TimeZone) -> i64 {
    let moment = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    let on = |day: jiff::civil::Date| {
        let clock = day.at(time.hour, time.minute, 0, 0);
        clock.to_zoned(zone.clone()).map_or(i64::MIN, |then| then.timestamp().as_second())
    };
    let today = on(moment.date());
    if today <= now { today } else { moment.date().yesterday().map_or(i64::MIN, on) }
}

/// The text of a canary.
pub fn compose(to: &Address, mailname: &str, message_id: &str) -> String {
    format!(
        "From: mailchute canary <canary@{mailname}>\nTo: {to}\nSubject: mailchute canary from {mailname}\nMessage-ID: {message_id}\n\
         Auto-Submitted: auto-generated\n\nmailchute on {mailname} sends this message once a day to test that mail arrives.\n\
         It needs no answer.\n"
    )
}

/// Submits a canary through `sendmail`, like any other program.
///
/// Errors: one printable line with the output of `sendmail`, or why it could not run.
pub fn send(sendmail: &Path, to: &Address, message: &str, environment: &[(&str, std::ffi::OsString)]) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", sendmail.display());
    let mut command = Command::new(sendmail);
    command.args(["-i", "-f", "<>", "--", &to.to_string()]).env_clear().env("PATH", PATH).current_dir("/");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|e| failed(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        // The exit code tells what went wrong.
        let _ = stdin.write_all(message.as_bytes());
    }
    let stderr = child.stderr.take();
    let status = program::wait(&mut child, SENDMAIL).map_err(|e| failed(&e))?;
    if status.success() {
        return Ok(());
    }
    let mut output = Vec::new();
    let _ = stderr.map(|stderr| std::io::Read::read_to_end(&mut std::io::Read::take(stderr, 1000), &mut output));
    Err(failed(&printable::bytes(output.trim_ascii())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: TimeOfDay = TimeOfDay { hour: 12, minute: 0 };
    /// 2026-11-22T12:00:00Z
    const AT_NOON: i64 = 1_795_348_800;

    #[test]
    fn one_is_due_each_day_at_its_time() {
        let never = Canary::default();
        assert!(never.is_due(AT_NOON - 1, NOON, &TimeZone::UTC), "the first one at once");
        let yesterday = Canary::sent("<x>", AT_NOON - 86_400, 60);
        assert!(!yesterday.is_due(AT_NOON - 1, NOON, &TimeZone::UTC));
        assert!(yesterday.is_due(AT_NOON, NOON, &TimeZone::UTC));
        let today = Canary::sent("<x>", AT_NOON, 60);
        assert!(!today.is_due(AT_NOON + 86_399, NOON, &TimeZone::UTC));
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert!(yesterday.is_due(AT_NOON - 7200, NOON, &zone));
    }

    #[test]
    fn it_is_well_until_its_deadline_and_after_it_arrived() {
        let mut canary = Canary::sent("<c@h>", 1000, 60);
        assert_eq!(canary.fate(1059), Fate::Well);
        assert!(matches!(canary.fate(1060), Fate::Missing(_)));
        canary.note_accepted("<other@h>", "AAAA");
        assert!(!canary.note_outcome("AAAA", true, "250 ok"));
        canary.note_accepted("<c@h>", "BBBB");
        assert!(canary.note_outcome("BBBB", true, "250 ok"));
        assert_eq!(canary.fate(9999), Fate::Well);
        assert!(canary.note_outcome("BBBB", false, "550 no"));
        assert_eq!(canary.fate(1001), Fate::Missing("the canary failed: 550 no".to_owned()));
        assert!(matches!(Canary::refused(5, "exit 73").fate(5), Fate::Missing(_)));
    }
}
