//! One webhook of the configuration.

use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::secret::Secrets;
use config::paths::Mode;
use config::{Config, Paths, WebhookParams};
use log::record::Record;

/// The most bytes read from a secret file.
const SECRET: u64 = 64 << 10;

/// A receiver of events.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name in the configuration: letters, digits, `-` and `_`.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// The secrets that sign every body.
    pub secrets: Secrets,
    /// PEM file of the CA certificates; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Names of events; `*` is all.
    events: Vec<String>,
}

/// The usable webhooks, and the problems of the others: name and one line.
pub fn load(config: &Config) -> (Vec<Endpoint>, Vec<(String, String)>) {
    let mut endpoints = Vec::new();
    let mut problems = Vec::new();
    for (name, params) in &config.params.webhook {
        let made = owned_by_root(&config.paths).and_then(|()| Endpoint::new(name, params, &config.paths));
        match made {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(why) => problems.push((format!("webhook {}", mail::printable::text(name)), why)),
        }
    }
    (endpoints, problems)
}

/// Events name senders and recipients, and `alarm_command` is a program: only root, or the user of a rootless installation, may
/// configure them.
///
/// Errors: one line with what to do.
pub fn owned_by_root(paths: &Paths) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    let path = &paths.config_file;
    let meta = path.metadata().map_err(|e| format!("{}: {e}", path.display()))?;
    let is_trusted = meta.uid() == 0 || (paths.mode == Mode::Rootless && meta.uid() == sys::process::euid());
    if is_trusted && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    let owner = if paths.mode == Mode::Rootless { "you" } else { "root" };
    Err(format!("{0} must belong to {owner} and be writable by no one else: run `chown root {0}` and `chmod 644 {0}`", path.display()))
}

impl Endpoint {
    fn new(name: &str, params: &WebhookParams, paths: &Paths) -> Result<Endpoint, String> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err("the name must consist of letters, digits, - and _".to_owned());
        }
        let url = params.url.as_ref().ok_or("url is missing")?.as_str().to_owned();
        let path = params.secret_file.clone().unwrap_or_else(|| default_secret_file(name, paths));
        let failed = |why: &str| format!("secret file {}: {why}", path.display());
        let text = read_secret(&path).map_err(|why| failed(&why))?;
        let secrets = Secrets::parse(&text).map_err(failed)?;
        Ok(Endpoint { name: name.to_owned(), url, secrets, ca_file: params.ca_file.clone(), events: events(&params.events)? })
    }

    /// True if the receiver gets this event. It never gets events about webhooks, because a receiver that is down would cause more of
    /// them. It always gets the count of its own lost events.
    pub fn wants(&self, record: &Record) -> bool {
        let is_own_loss = record.event == "events_lost" && record.text("sink") == Some(&sink(&self.name));
        let is_wanted = self.events.iter().any(|event| event == "*" || *event == record.event);
        is_own_loss || (is_wanted && !record.event.starts_with("webhook_") && record.event != "events_lost")
    }
}

/// The name of this webhook as an event sink.
pub fn sink(name: &str) -> String {
    format!("webhook {name}")
}

/// The filter, if all of its names are names of events.
fn events(names: &[String]) -> Result<Vec<String>, String> {
    let is_known = |name: &&String| *name == "*" || log::names::NAMES.contains(&name.as_str());
    match names.iter().find(|name| !is_known(name)) {
        None => Ok(names.to_vec()),
        Some(unknown) => Err(format!("events: unknown event `{}`; see mailchute-log(5)", mail::printable::text(unknown))),
    }
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    sys::private::open_secret(path)?.take(SECRET).read_to_string(&mut text).map_err(|e| e.to_string())?;
    Ok(text)
}

/// The systemd credential `webhook-NAME`, else `credentials/webhook-NAME`, else `credentials/webhook`.
fn default_secret_file(name: &str, paths: &Paths) -> PathBuf {
    let own = format!("webhook-{name}");
    let systemd = std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| Path::new(&directory).join(&own));
    let candidates = systemd.into_iter().chain([paths.credentials.join(&own)]);
    candidates.into_iter().find(|path| path.exists()).unwrap_or_else(|| paths.credentials.join("webhook"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(events: &[&str]) -> Endpoint {
        Endpoint {
            name: "ops".to_owned(),
            url: String::new(),
            secrets: Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            ca_file: None,
            events: events.iter().map(|event| (*event).to_owned()).collect(),
        }
    }

    fn record(event: &str, sink: &str) -> Record {
        Record { at: 0, level: "info", event: event.to_owned(), id: None, fields: vec![("sink", sink.into())] }
    }

    #[test]
    fn a_receiver_gets_the_events_of_its_list_and_none_about_webhooks() {
        let some = endpoint(&["failed"]);
        assert!(some.wants(&record("failed", "")) && !some.wants(&record("relayed", "")));
        let all = endpoint(&["*"]);
        assert!(all.wants(&record("relayed", "")));
        assert!(!all.wants(&record("webhook_failed", "")) && !all.wants(&record("events_lost", "webhook other")));
        assert!(some.wants(&record("events_lost", "webhook ops")));
    }

    #[test]
    fn a_filter_that_can_never_fire_is_refused() {
        assert!(events(&["failed".to_owned(), "*".to_owned()]).is_ok());
        assert!(events(&["bounced".to_owned()]).unwrap_err().contains("`bounced`"));
    }
}
