//! A reload: the configuration is read again, and only if it is good does it replace the old one.

use std::sync::Arc;

use config::Config;
use log::events;
use observe::dispatcher;
use observe::hooks::Hooks;

use crate::admission::AdmissionControl;
use crate::current::Current;
use crate::dispatch::Dispatch;
use crate::notify;
use crate::release::Releaser;
use crate::setup::Setup;
use crate::tasks::Tasks;

/// Everything that a new configuration reaches.
pub(crate) struct Reload {
    /// What is replaced.
    pub(crate) current: Arc<Current>,
    /// Its limits follow, and no route stays suspended.
    pub(crate) dispatch: Arc<Dispatch>,
    /// The event file.
    pub(crate) dispatcher: dispatcher::Handle,
    /// The receivers of events.
    pub(crate) hooks: Arc<Hooks>,
    /// The limits of users.
    pub(crate) admission: Arc<AdmissionControl>,
    /// Messages that wait for a key may have one now.
    pub(crate) releaser: Releaser,
    /// What the release runs in.
    pub(crate) tasks: Tasks,
}

impl Reload {
    /// Reads the configuration again; a wrong one changes nothing.
    pub(crate) fn reload(&self) {
        notify::tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", notify::monotonic_microseconds()));
        match Config::load().and_then(|config| Setup::new(&config)) {
            Ok(setup) => self.apply(setup),
            Err(failure) => events::reload_refused(&failure.text),
        }
        notify::tell("READY=1");
    }

    fn apply(&self, setup: Setup) {
        self.dispatch.queue(|queue| {
            queue.set_limit(setup.params.route_connections);
            queue.end_suspensions();
        });
        self.dispatcher.reload(setup.event_file_settings());
        if let Err(e) = self.hooks.apply(setup.webhook_settings()) {
            events::webhook_failed("all", &e.to_string());
        }
        self.current.replace(setup);
        events::reloaded();
        self.admission.apply();
        self.admission.look_again();
        self.tasks.spawn(self.releaser.clone().release_dkim_holds());
        self.dispatch.wake.notify_one();
    }
}
