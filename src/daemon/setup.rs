//! One configuration with everything that the daemon loads for it, made at start and at each reload; replaced as a whole or not at all.

use std::io::Read;
use std::sync::Arc;

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::backoff::Backoff;
use config::names::Names;
use config::{Config, NextHop, Params, Paths};
use dkim::KeyRing;
use exit::{Exit, Failure};
use log::events;
use mail::Address;
use observe::hooks::endpoint;
use observe::hooks::endpoint::Endpoint;
use observe::{alarms, dispatcher, hooks};
use transport::route::Router;
use transport::smtp::{Credentials, Settings, Timeouts};
use transport::tls::TlsClient;

/// Bytes that are read of a file with a secret.
const SECRET: u64 = 64 << 10;

/// One configuration in force.
pub(crate) struct Setup {
    /// What the administrator chose.
    pub(crate) params: Params,
    /// The name in Received.
    pub(crate) mailname: String,
    /// Which domains are local.
    pub(crate) names: Names,
    /// `admin_address`, where it is one.
    pub(crate) admin: Option<Address>,
    /// `canary_address`, where it is one.
    pub(crate) canary: Option<Address>,
    /// The receivers of events that can be used.
    pub(crate) webhooks: Vec<Arc<Endpoint>>,
    /// What cannot be used, one line each.
    pub(crate) problems: Vec<String>,
    /// The host's zone.
    pub(crate) zone: TimeZone,
    /// The way to other hosts.
    pub(crate) router: Router,
    /// DKIM keys.
    pub(crate) keys: KeyRing,
    /// What every session needs.
    pub(crate) session: Settings,
    /// For a configured next hop that names a user.
    pub(crate) credentials: Option<Credentials>,
    /// Waits between attempts of a message.
    pub(crate) backoff: Backoff,
    /// Waits before a suspended route is tried again.
    pub(crate) route_backoff: Backoff,
}

impl Setup {
    /// Loads what `config` names. A key or password that cannot be used is logged and raises an alarm, but is not an error: other mail
    /// is still delivered.
    ///
    /// Errors: EX_CONFIG where certificates cannot be read at all.
    pub(crate) fn new(config: &Config) -> Result<Setup, Failure> {
        let params = config.params.clone();
        let names = Names::load(config)?;
        let mailname = names.mailname.clone();
        let ehlo_name = ehlo_name(&params, &mailname, &sys::process::host_name());
        let keys = KeyRing::load(&params, &config.paths.keys);
        let mut problems = Problems::default();
        keys.problems().iter().for_each(|problem| problems.tell("dkim key", problem));
        let tls = TlsClient::new(params.ca_file.as_deref()).map_err(|e| Failure::new(Exit::Config, e))?;
        let (webhooks, wrong) = endpoint::load(config);
        wrong.iter().for_each(|(what, why)| problems.tell(what, why));
        let mut params = params;
        if let (false, Err(why)) = (params.alarm_command.is_empty(), alarm_command(config)) {
            problems.tell("alarm_command", &why);
            params.alarm_command.clear();
        }
        let credentials = credentials(&params, &config.paths, &mut problems);
        let timeouts = Timeouts::new(params.connect_timeout.0, params.reply_timeout.0);
        let session = Settings { ehlo_name: ehlo_name.clone(), timeouts, tls: Arc::new(tls) };
        Ok(Setup {
            mailname,
            names,
            admin: address("admin_address", params.admin_address.as_deref(), &mut problems),
            canary: address("canary_address", params.canary_address.as_deref(), &mut problems),
            webhooks: webhooks.into_iter().map(Arc::new).collect(),
            problems: problems.0,
            zone: sys::clock::local_zone(),
            router: Router::new(&params, vec![ehlo_name]),
            keys,
            session,
            credentials,
            backoff: Backoff::of_messages(&params),
            route_backoff: Backoff::of_routes(&params),
            params,
        })
    }

    /// False where no message can need a signature.
    pub(crate) fn signs_anything(&self) -> bool {
        !self.params.domain.is_empty()
    }

    /// What the webhooks need to know.
    pub(crate) fn webhook_settings(&self) -> hooks::Settings {
        hooks::Settings {
            endpoints: self.webhooks.clone(),
            queue_limit: self.params.webhook_queue_limit,
            lifetime: i64::try_from(self.params.webhook_event_lifetime.0.as_secs()).unwrap_or(i64::MAX),
            host: self.session.ehlo_name.clone(),
        }
    }

    /// What the event file needs to know.
    pub(crate) fn event_file_settings(&self) -> dispatcher::Settings {
        dispatcher::Settings::new(&self.params, &self.session.ehlo_name)
    }

    /// What the alarms need to know, in an installation with these paths.
    pub(crate) fn alarm_settings(&self, paths: &Paths) -> alarms::Settings {
        alarms::Settings {
            paths: paths.clone(),
            params: self.params.clone(),
            host: self.session.ehlo_name.clone(),
            mailname: self.mailname.clone(),
            canary: self.canary.clone(),
            zone: self.zone.clone(),
        }
    }

    /// Seconds after acceptance when a sender gets a delay notification; 0 is never.
    pub(crate) fn delay_warning(&self) -> i64 {
        i64::try_from(self.params.delay_warning_time.0.as_secs()).unwrap_or(i64::MAX)
    }
}

/// The name in EHLO (RFC 5321 4.1.1.1 wants a full one, U27): configured, else the host name if it has a dot, else the mailname.
fn ehlo_name(params: &Params, mailname: &str, host_name: &str) -> String {
    let full = (host_name.contains('.')).then(|| host_name.to_owned());
    params.hostname.clone().or(full).unwrap_or_else(|| mailname.to_owned())
}

/// What cannot be used: told when it is found, and kept for the alarm.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn tell(&mut self, what: &str, why: &str) {
        events::unusable(what, why);
        self.0.push(format!("{what}: {why}"));
    }
}

/// The address that `parameter` holds. An invalid one is reported; then DSNs go only to the senders, and no canary is sent.
fn address(parameter: &str, text: Option<&str>, problems: &mut Problems) -> Option<Address> {
    Address::parse(text?).map_err(|why| problems.tell(parameter, &why.to_string())).ok()
}

/// Whether the program of the alarms may be run.
fn alarm_command(config: &Config) -> Result<(), String> {
    let program = std::path::Path::new(config.params.alarm_command.first().map_or("", String::as_str));
    if !program.is_absolute() {
        return Err("the path of the program is absolute".to_owned());
    }
    let meta = std::fs::metadata(program).map_err(|e| format!("{}: {e}", program.display()))?;
    if !meta.is_file() || std::os::unix::fs::MetadataExt::mode(&meta) & 0o111 == 0 {
        return Err(format!("{} is not an executable file; run `chmod 755` on it, or name another program", program.display()));
    }
    endpoint::owned_by_root(&config.paths)
}

/// The credentials for the next hop, where it names a user. An unreadable password is reported; the session then fails at AUTH,
/// which suspends the route and loses nothing.
fn credentials(params: &Params, paths: &Paths, problems: &mut Problems) -> Option<Credentials> {
    let NextHop::Host(host) = &params.next_hop else { return None };
    let user = host.user.clone()?;
    let path = params.password_file.clone().unwrap_or_else(|| default_password_file(paths));
    let made = read_password(&path).and_then(|password| Credentials::new(user, password).map_err(str::to_owned));
    made.map_err(|why| problems.tell(&format!("password file {}", path.display()), &why)).ok()
}

/// The systemd credential `next_hop`, else `credentials/next_hop` in the configuration directory.
fn default_password_file(paths: &Paths) -> std::path::PathBuf {
    let systemd = std::env::var_os("CREDENTIALS_DIRECTORY").map(|directory| std::path::Path::new(&directory).join("next_hop"));
    systemd.filter(|path| path.exists()).unwrap_or_else(|| paths.credentials.join("next_hop"))
}

/// The first line of a file that only its owner can read.
fn read_password(path: &std::path::Path) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    sys::private::open_secret(path)?.take(SECRET).read_to_string(&mut text).map_err(|e| e.to_string())?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { Err("its first line is empty".to_owned()) } else { Ok(Zeroizing::new(line.to_owned())) }
}
