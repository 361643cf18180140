//! Checks by the other programs of the installation.
//!
//! `mailchuted --check`, run as the owner of the spool, checks keys, passwords, certificates and files. `sendmail -bi` checks the
//! alias file. The running daemon reports its alarms. Their output is trusted.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::super::offline::Offline;
use super::super::status::alarm;
use config::Config;
use config::paths::Mode;
use control::client;
use control::protocol::{Request, Status};
use control::warnings;
use exit::Failure;

/// The directory of `LoadCredential=` while systemd runs the daemon.
const CREDENTIALS: &str = "/run/credentials/mailchuted.service";

/// Runs the config check of `mailchuted`. Returns false if it could not run: only root and the owner of the spool can read all of its
/// files.
pub(super) fn configuration(config: &Config, findings: &mut Vec<String>) -> bool {
    let Ok(meta) = std::fs::metadata(&config.paths.spool) else { return false };
    let (me, is_root) = (sys::process::euid(), sys::process::euid() == 0);
    if !is_root && me != meta.uid() {
        return false;
    }
    let program = config.paths.sendmail().with_file_name("mailchuted");
    let mut command = Command::new(&program);
    command.arg("--check");
    if is_root && meta.uid() != 0 {
        command.uid(meta.uid()).gid(meta.gid());
    }
    if std::env::var_os("CREDENTIALS_DIRECTORY").is_none() && Path::new(CREDENTIALS).is_dir() {
        command.env("CREDENTIALS_DIRECTORY", CREDENTIALS);
    }
    match output(command) {
        Ok(said) if said.status.success() => {}
        Ok(said) if !said.stdout.is_empty() => findings.extend(lines(&said.stdout)),
        Ok(said) => findings.extend(lines(&said.stderr)),
        Err(e) => findings.push(format!("{} --check: {e}; reinstall mailchute", program.display())),
    }
    true
}

/// Runs `sendmail -bi`.
pub(super) fn aliases(config: &Config, findings: &mut Vec<String>) {
    let program = config.paths.sendmail();
    let mut command = Command::new(&program);
    command.arg("-bi");
    match output(command) {
        Ok(said) if said.status.success() => {}
        Ok(said) => findings.extend(lines(&said.stderr).map(|line| format!("alias file: {line}; fix it, then run newaliases"))),
        Err(e) => findings.push(format!("{} -bi: {e}; reinstall mailchute", program.display())),
    }
}

fn output(mut command: Command) -> std::io::Result<Output> {
    command.stdin(Stdio::null()).current_dir("/").output()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// Reports the status of the daemon, or that it is stopped, and returns warnings about mail. `is_open`: mail can be accepted. This
/// check runs last, because root takes the ids of the owner of the spool while the daemon is stopped.
pub(super) fn daemon(config: &Config, is_open: bool, findings: &mut Vec<String>) -> Vec<String> {
    if !client::daemon_is_running(&config.paths) {
        let mail = if is_open { "; mail is accepted but not delivered" } else { "" };
        findings.push(format!("mailchuted is not running{mail}: run {}", config.paths.mode.systemctl("start")));
        let look = |spool: Option<Offline>| spool.map(|spool| Ok((spool.warning()?, spool.counts()?))).transpose();
        match Offline::open_if_owner(config).and_then(look) {
            Ok(Some((warning, [_, _, failed]))) => {
                findings.extend(Some(warning).filter(|warning| !warning.is_empty()));
                return of_mail(failed);
            }
            // This user may not look at the spool.
            Ok(None) => {}
            Err(failure) => findings.push(failure.text),
        }
        return Vec::new();
    }
    match client::ask::<Status>(&config.paths, &Request::Status {}) {
        Ok(statuses) => {
            let found: Vec<String> = statuses.iter().flat_map(|status| status_findings(status, config.paths.mode, findings)).collect();
            findings.extend(found);
            statuses.iter().flat_map(|status| of_mail(status.failed)).collect()
        }
        Err(failure) => {
            findings.push(Failure::from(failure).text);
            Vec::new()
        }
    }
}

/// A warning about failed messages. They may or may not have a cause in the installation, so this is not a finding.
fn of_mail(failed: u64) -> Vec<String> {
    if failed == 0 { Vec::new() } else { vec![warnings::failed(failed)] }
}

/// The findings in a status, without those in `known`. Pure.
fn status_findings(status: &Status, mode: Mode, known: &[String]) -> Vec<String> {
    let is_raised = |name: &str, subject: &str| status.alarms.iter().any(|alarm| alarm.alarm == name && alarm.subject == subject);
    let mut found: Vec<String> = Vec::new();
    if !status.ready {
        found.push(format!("the scheduler of mailchuted has stalled: run {}", mode.systemctl("restart")));
    }
    // One alarm lists all unusable credentials. Skip it if every reason in it is already a finding.
    let news = |reason: &str| known.iter().fold(reason.to_owned(), |rest, one| rest.replace(one.as_str(), ""));
    let is_new = |reason: &str| news(reason).chars().any(|c| !matches!(c, ';' | ' '));
    let alarms = status.alarms.iter().filter(|one| is_new(&one.reason));
    found.extend(alarms.map(|one| format!("{} {}; mailchute(8) describes each alarm", one.severity.word(), alarm(one))));
    // An alarm is raised shortly after its cause.
    if !status.paused.is_empty() && !is_raised("delivery_paused", "") {
        found.push(warnings::paused(&status.paused));
    }
    if let Some(reason) = status.closed.as_ref().filter(|_| !is_raised("admission_closed", "")) {
        found.push(warnings::closed(reason));
    }
    found.extend(status.usage.iter().map(warnings::near_limit));
    for one in status.suspended.iter().filter(|one| !is_raised("route_suspended", &one.route)) {
        found.push(format!("route {} is suspended: {}; fix the cause, then run `mailchute flush`", one.route, one.reason));
    }
    found
}
