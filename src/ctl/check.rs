//! `mailchute check`: checks the installation. Each finding is one line that says how to fix it.
//!
//! This module checks files and kernel settings. [`programs`] runs our other programs for the checks that they do themselves, so
//! both agree.

mod programs;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::output::print;
use config::names::Names;
use config::paths::Mode;
use config::{Config, NextHop};
use exit::{Exit, Failure};
use spool::admission::Reserve;
use spool::layout;

/// Prints the findings, then the warnings about mail.
///
/// Errors: EX_CONFIG if there is a finding.
pub(super) fn check(config: &Config) -> Result<(), Failure> {
    let mut findings = Vec::new();
    spool(config, &mut findings);
    let is_open = free_space(config, &mut findings);
    kernel(config, &mut findings);
    private_directories(config, &mut findings);
    let is_judged = programs::configuration(config, &mut findings);
    names(config, is_judged, &mut findings);
    programs::aliases(config, &mut findings);
    sockets(config, &mut findings);
    let warnings = programs::daemon(config, is_open, &mut findings);
    if findings.is_empty() && warnings.is_empty() {
        return print(if is_judged { "no problems found\n" } else { "no problems found; run it as root for a complete check\n" });
    }
    let lines = findings.iter().cloned().chain(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    print(&lines.map(|line| format!("{}\n", mail::printable::text(&line))).collect::<String>())?;
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::Config, format!("{} finding{}", findings.len(), if findings.len() == 1 { "" } else { "s" })))
}

/// True if mail can be written to the spool.
fn free_space(config: &Config, findings: &mut Vec<String>) -> bool {
    let spool = &config.paths.spool;
    let params = &config.params;
    let refusal = if sys::fs::is_read_only(spool) {
        Some(format!("the file system of the spool {} is read-only, so no mail can be accepted; remount it read-write", spool.display()))
    } else {
        Reserve { bytes: params.reserve(), inodes: params.spool_inode_reserve }.refusal(spool)
    };
    let is_open = refusal.is_none() && spool.exists();
    findings.extend(refusal);
    is_open
}

fn spool(config: &Config, findings: &mut Vec<String>) {
    let spool = &config.paths.spool;
    let rootless = config.paths.mode == Mode::Rootless;
    let owner = match std::fs::symlink_metadata(spool) {
        Ok(meta) => meta.uid(),
        Err(e) => {
            return findings
                .push(format!("the spool {}: {e}; run install.sh, or `mailchute setup` for a rootless installation", spool.display()));
        }
    };
    if owner == 0 && !rootless {
        findings.push(format!("root owns the spool {}; it must belong to the daemon's user: run install.sh again", spool.display()));
    }
    if let Err(why) = layout::verify(spool, owner, rootless) {
        findings.push(why);
    }
}

/// Checks that every user can connect to the submission socket and the control socket.
fn sockets(config: &Config, findings: &mut Vec<String>) {
    let mut check = |path: &Path, wanted: u32| {
        // A socket is missing while the daemon is stopped, which is a separate finding.
        if let Ok(meta) = std::fs::symlink_metadata(path)
            && meta.mode() & 0o7777 & wanted != wanted
        {
            findings.push(format!("{0} has mode {1:04o}: run `chmod {wanted:04o} {0}`", path.display(), meta.mode() & 0o7777));
        }
    };
    if config.paths.mode == Mode::System {
        check(&config.paths.run, 0o755);
    }
    for socket in [config.paths.submit_socket(), config.paths.control_socket()] {
        check(&socket, 0o666);
    }
    check(&config.paths.admission_file(), 0o644);
}

/// Checks the kernel settings that the spool relies on (SPOOL.md, "Directories").
fn kernel(config: &Config, findings: &mut Vec<String>) {
    let protected = std::fs::read_to_string("/proc/sys/fs/protected_hardlinks").is_ok_and(|text| text.trim() == "1");
    if config.paths.mode == Mode::System && !protected {
        findings.push("fs.protected_hardlinks is off: run `sysctl -w fs.protected_hardlinks=1` and set it in /etc/sysctl.d".to_owned());
    }
}

fn private_directories(config: &Config, findings: &mut Vec<String>) {
    for path in [&config.paths.keys, &config.paths.credentials] {
        if let Ok(meta) = std::fs::symlink_metadata(path)
            && meta.mode() & 0o077 != 0
        {
            findings.push(format!("other users can read {}: run `chmod 700 {}`", path.display(), path.display()));
        }
    }
}

fn names(config: &Config, is_judged: bool, findings: &mut Vec<String>) {
    match Names::load(config) {
        Ok(names) if names.is_guess => {
            findings.push(format!(
                "the mailname {} is a guess: set mailname in {} or write it to {}",
                names.mailname,
                config.paths.config_file.display(),
                config.paths.mailname.display()
            ));
        }
        Ok(_) => {}
        // `mailchuted --check` has reported it.
        Err(_) if is_judged => {}
        Err(failure) => findings.push(failure.text),
    }
    let host = config.params.hostname.clone().unwrap_or_else(sys::process::host_name);
    if !host.contains('.') && config.params.next_hop == NextHop::Mx {
        findings.push(format!("the host name `{host}` has no domain; mail exchangers expect a full name in EHLO: set hostname"));
    }
}
