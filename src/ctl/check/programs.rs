//! What the other programs of this installation say of it: each is asked for what it alone can judge.
//!
//! `mailchuted --check`, run as the owner of the spool, judges keys, passwords, certificates and files; `sendmail -bi` the alias file;
//! the running daemon its alarms. Trusted as our own programs are.

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
use exit::{Exit, Failure};

/// Where systemd keeps what `LoadCredential=` names, while the daemon runs.
const CREDENTIALS: &str = "/run/credentials/mailchuted.service";

/// What `mailchuted` would say if it started now. False where it cannot be asked: only root and the owner of the spool may look at
/// everything that it looks at.
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
        Err(e) => findings.push(format!("{} --check: {e}; install it again", program.display())),
    }
    true
}

/// What `newaliases` says.
pub(super) fn aliases(config: &Config, findings: &mut Vec<String>) {
    let program = config.paths.sendmail();
    let mut command = Command::new(&program);
    command.arg("-bi");
    match output(command) {
        Ok(said) if said.status.success() => {}
        Ok(said) => findings.extend(lines(&said.stderr).map(|line| format!("alias file: {line}; correct it, then run newaliases"))),
        Err(e) => findings.push(format!("{} -bi: {e}; install it again", program.display())),
    }
}

fn output(mut command: Command) -> std::io::Result<Output> {
    command.stdin(Stdio::null()).current_dir("/").output()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// What the daemon says of itself, or that it is stopped. `is_open`: mail can be accepted. The last to be asked: root becomes the
/// owner of the spool to look at it without its daemon.
pub(super) fn daemon(config: &Config, is_open: bool, findings: &mut Vec<String>) {
    if !client::daemon_is_running(&config.paths) {
        let mail = if is_open { ": mail is accepted, but waits" } else { "" };
        findings.push(format!("mailchuted is not running{mail}; run {}", config.paths.mode.systemctl("start")));
        let down = Failure::new(Exit::Unavailable, "");
        if let Ok(paused) = Offline::open(config, down).and_then(|spool| spool.paused())
            && !paused.is_empty()
        {
            findings.push(warnings::paused(&paused));
        }
        return;
    }
    match client::ask::<Status>(&config.paths, &Request::Status {}) {
        Ok(statuses) => {
            let found: Vec<String> = statuses.iter().flat_map(|status| status_findings(status, config.paths.mode, findings)).collect();
            findings.extend(found);
        }
        Err(failure) => findings.push(failure.text),
    }
}

/// The findings in a status that are not `known`. Pure.
fn status_findings(status: &Status, mode: Mode, known: &[String]) -> Vec<String> {
    let is_raised = |name: &str, subject: &str| status.alarms.iter().any(|alarm| alarm.alarm == name && alarm.subject == subject);
    let mut found: Vec<String> = Vec::new();
    if !status.ready {
        found.push(format!("the scheduler of mailchuted stands still: run {}", mode.systemctl("restart")));
    }
    // Of what cannot be used there is one alarm with all reasons; those are findings already, unless they are of another day.
    let news = |reason: &str| known.iter().fold(reason.to_owned(), |rest, one| rest.replace(one.as_str(), ""));
    let is_new = |reason: &str| news(reason).chars().any(|c| !matches!(c, ';' | ' '));
    let alarms = status.alarms.iter().filter(|one| is_new(&one.reason));
    found.extend(alarms.map(|one| format!("{} {}; mailchute(8) says what to do about each alarm", one.severity, alarm(one))));
    // An alarm comes a moment later than what it is about.
    if !status.paused.is_empty() && !is_raised("delivery_paused", "") {
        found.push(warnings::paused(&status.paused));
    }
    if let Some(reason) = status.closed.as_ref().filter(|_| !is_raised("admission_closed", "")) {
        found.push(warnings::closed(reason));
    }
    for one in status.suspended.iter().filter(|one| !is_raised("route_suspended", &one.route)) {
        found.push(format!("{} is suspended: {}; mend that, then run `mailchute flush`", one.route, one.reason));
    }
    found
}
