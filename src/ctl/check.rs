//! `mailchute check`: is this installation right? One line per finding, each with what to do.
//!
//! What lies around is looked at here; what a program of ours judges when it runs is asked of that program, so that the two agree.

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

/// Prints the findings; EX_CONFIG if there is one.
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
    programs::daemon(config, is_open, &mut findings);
    if findings.is_empty() {
        return print(if is_judged { "all is well\n" } else { "all is well, as far as you may look; root sees more\n" });
    }
    print(&findings.iter().map(|finding| format!("{}\n", mail::printable::text(finding))).collect::<String>())?;
    Err(Failure::new(Exit::Config, format!("{} finding{}", findings.len(), if findings.len() == 1 { "" } else { "s" })))
}

/// Whether mail can be written to the spool.
fn free_space(config: &Config, findings: &mut Vec<String>) -> bool {
    let spool = &config.paths.spool;
    let params = &config.params;
    let refusal = if sys::fs::is_read_only(spool) {
        Some(format!("the file system of the spool {} is read-only: no mail can be accepted; mount it for writing", spool.display()))
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
            return findings.push(format!("the spool {}: {e}; run `install.sh`, or `mailchute setup` for a rootless one", spool.display()));
        }
    };
    if owner == 0 && !rootless {
        findings.push(format!("the spool {} belongs to root; the daemon has a user of its own: run install.sh again", spool.display()));
    }
    if let Err(why) = layout::verify(spool, owner, rootless) {
        findings.push(why);
    }
}

/// Everybody must reach the sockets: one for mail where the drop directory is closed, one for questions.
fn sockets(config: &Config, findings: &mut Vec<String>) {
    let mut check = |path: &Path, wanted: u32| {
        // What is not there is missing because the daemon does not run, which is a finding of its own.
        if let Ok(meta) = std::fs::symlink_metadata(path)
            && meta.mode() & 0o7777 & wanted != wanted
        {
            findings.push(format!("{} has mode {:04o}: run `chmod {wanted:04o}` on it", path.display(), meta.mode() & 0o7777));
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

/// What the design relies on in the kernel (SPOOL.md, "Directories").
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
            findings.push(format!("{} can be read by others: run `chmod 700 {}`", path.display(), path.display()));
        }
    }
}

fn names(config: &Config, is_judged: bool, findings: &mut Vec<String>) {
    match Names::load(config) {
        Ok(names) if names.is_guess => {
            findings.push(format!(
                "the mailname is only guessed ({}): set mailname in {} or write it to {}",
                names.mailname,
                config.paths.config_file.display(),
                config.paths.mailname.display()
            ));
        }
        Ok(_) => {}
        // The daemon has said so.
        Err(_) if is_judged => {}
        Err(failure) => findings.push(failure.text),
    }
    let host = config.params.hostname.clone().unwrap_or_else(sys::process::host_name);
    if !host.contains('.') && config.params.next_hop == NextHop::Mx {
        findings.push(format!("the host name `{host}` has no dot; mail exchangers want a full name in EHLO: set hostname"));
    }
}
