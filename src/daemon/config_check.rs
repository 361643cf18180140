//! `mailchuted --check`: what the daemon would report about its configuration if it started now. `mailchute check` runs it as the owner
//! of the spool, so the program that needs keys, passwords, certificates and files is also the one that judges them.
//!
//! In: the configuration. Out: one line for each problem, with what to do. It writes nothing and uses no network.

use std::path::Path;

use nix::unistd::{AccessFlags, access};

use super::setup::Setup;
use config::{Config, Names};

/// What is wrong, one line each.
pub(crate) fn findings(config: &Config) -> Vec<String> {
    let mut findings = match Setup::new(config) {
        Ok(setup) => setup.problems,
        Err(failure) => vec![format!("mailchuted does not start with this configuration: {}", failure.text)],
    };
    let mut add = |parameter: &str, why: String| findings.push(format!("{parameter}: {why}"));
    let params = &config.params;
    for (parameter, path) in [("event_file", &params.event_file), ("metrics_file", &params.metrics_file)] {
        if let Some(Err(why)) = path.as_deref().map(can_be_written) {
            add(parameter, why);
        }
    }
    if params.queue_lifetime.0.is_zero() {
        add("queue_lifetime", "with 0, every message fails at its first temporary error; set a time such as 5d".to_owned());
    }
    for domain in params.local_domains.iter().filter(|domain| !Names::is_domain(domain)) {
        add("local_domains", format!("`{domain}` is not a domain name; correct or remove it"));
    }
    let is_id = |name: &str| name.parse::<u32>().is_ok();
    for user in params.trusted_users.iter().filter(|user| !is_id(user) && !sys::passwd::has_user(user)) {
        add("trusted_users", format!("there is no user `{user}`; correct or remove the name"));
    }
    for group in params.trusted_groups.iter().filter(|group| !is_id(group) && sys::process::group_id(group).is_none()) {
        add("trusted_groups", format!("there is no group `{group}`; correct or remove the name"));
    }
    // Who has not set it may do without the group.
    let is_chosen = params.admin_group != config::Params::default().admin_group;
    if is_chosen && sys::process::group_id(&params.admin_group).is_none() {
        add("admin_group", format!("there is no group `{}`; make it with groupadd, or correct the name", params.admin_group));
    }
    if let Some(path) = params.alias_file.as_deref().filter(|path| !path.exists()) {
        add("alias_file", format!("{} does not exist; create it, or remove the setting", path.display()));
    }
    findings
}

/// Whether this process can make and replace the file.
fn can_be_written(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err(format!("{} is not absolute; write the whole path", path.display()));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.is_dir() {
        return Err(format!("the directory {} does not exist; create it, writable by the daemon", directory.display()));
    }
    let me = sys::process::user_name(sys::process::euid());
    let next = format!("let the user of mailchuted, {me}, write there");
    access(directory, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|e| format!("the directory {} cannot be written to ({}); {next}", directory.display(), e.desc()))?;
    match access(path, AccessFlags::W_OK) {
        Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
        Err(e) => Err(format!("{} cannot be written ({}); {next}", path.display(), e.desc())),
    }
}
