//! Every part of the daemon gets what it needs, and nothing else: the one place that knows them all.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use config::Paths;
use observe::alarms::AlarmManager;
use observe::dispatcher;
use observe::hooks::Hooks;
use observe::metrics::counters::Counters;
use store::Store;
use tokio::sync::Notify;

use crate::admission::AdmissionControl;
use crate::alarm_source::AlarmSource;
use crate::answer::Server;
use crate::budget::MemoryBudget;
use crate::current::Current;
use crate::delivery::Deliverer;
use crate::dispatch::Dispatch;
use crate::dsn_queue::DsnQueue;
use crate::health::Health;
use crate::metrics::MetricsWriter;
use crate::pausing::Pausing;
use crate::record::Recorder;
use crate::release::Releaser;
use crate::reload::Reload;
use crate::schedule::Scheduler;
use crate::setup::Setup;
use crate::state_writer::StateWriter;
use crate::stop::Stop;
use crate::submission::Taker;
use crate::tasks::Tasks;

/// Who gets events, beside the log.
pub(crate) struct EventSinks {
    /// What is counted for the metrics.
    pub(crate) counters: Arc<Counters>,
    /// What tells events to their receivers.
    pub(crate) dispatcher: dispatcher::Handle,
    /// Receivers of webhooks.
    pub(crate) hooks: Arc<Hooks>,
    /// What is wrong now.
    pub(crate) alarms: Arc<AlarmManager>,
}

/// What the parts are made from.
pub(crate) struct Base {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The spool.
    pub(crate) store: Arc<Store>,
    /// The one writer.
    pub(crate) state_writer: StateWriter,
    /// The end of the daemon.
    pub(crate) stop: Arc<Stop>,
}

/// All parts, none of which runs yet.
pub(crate) struct Parts {
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// What must be allowed to end.
    pub(crate) tasks: Tasks,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
    /// Wakes whoever writes DSNs.
    pub(crate) dsn_due: Arc<Notify>,
    /// Whether mail is taken.
    pub(crate) admission: Arc<AdmissionControl>,
    /// Pauses and resumes delivery.
    pub(crate) pausing: Pausing,
    /// Releases what need not be held any more.
    pub(crate) releaser: Releaser,
    /// Reads the configuration again.
    pub(crate) reload: Reload,
    /// Brings due messages to their connections.
    pub(crate) scheduler: Arc<Scheduler>,
    /// Writes DSNs.
    pub(crate) dsns: Arc<DsnQueue>,
    /// The control socket.
    pub(crate) server: Arc<Server>,
    /// The submission socket.
    pub(crate) taker: Taker,
    /// The page of metrics.
    pub(crate) metrics: MetricsWriter,
    /// What the alarms look at.
    pub(crate) alarm_source: AlarmSource,
}

impl Parts {
    /// The parts of a daemon with this configuration.
    pub(crate) fn new(base: &Base, setup: Setup, sinks: EventSinks) -> Parts {
        let Base { paths, store, state_writer, stop } = base;
        let EventSinks { counters, dispatcher, hooks, alarms } = sinks;
        let (state_writer, stop) = (|| state_writer.clone(), || Arc::clone(stop));
        let dispatch = Arc::new(Dispatch::new(setup.params.route_connections));
        let current = Arc::new(Current::new(setup));
        let (tasks, health, dsn_due) = (Tasks::default(), Arc::new(Health::default()), Arc::new(Notify::new()));
        let releaser = Releaser { state_writer: state_writer(), dispatch: Arc::clone(&dispatch), stop: stop() };
        let admission = AdmissionControl::new(paths.clone(), Arc::clone(&current), state_writer(), releaser.clone(), stop());
        let admission = Arc::new(admission);
        let recorder = Recorder {
            current: Arc::clone(&current),
            state_writer: state_writer(),
            dispatch: Arc::clone(&dispatch),
            counters: Arc::clone(&counters),
            health: Arc::clone(&health),
            dsn_due: Arc::clone(&dsn_due),
        };
        let pausing = Pausing { dispatch: Arc::clone(&dispatch), state_writer: state_writer(), recorder: recorder.clone() };
        let deliverer = Deliverer {
            recorder: recorder.clone(),
            current: Arc::clone(&current),
            store: Arc::clone(store),
            state_writer: state_writer(),
            dispatch: Arc::clone(&dispatch),
            tasks: tasks.clone(),
            counters: Arc::clone(&counters),
            budget: MemoryBudget::default(),
            stop: stop(),
        };
        Parts {
            reload: Reload {
                current: Arc::clone(&current),
                dispatch: Arc::clone(&dispatch),
                dispatcher,
                hooks: Arc::clone(&hooks),
                admission: Arc::clone(&admission),
                releaser: releaser.clone(),
                tasks: tasks.clone(),
            },
            scheduler: Arc::new(Scheduler {
                current: Arc::clone(&current),
                state_writer: state_writer(),
                dispatch: Arc::clone(&dispatch),
                recorder,
                deliverer: Arc::new(deliverer),
                tasks: tasks.clone(),
                stop: stop(),
                health: Arc::clone(&health),
            }),
            dsns: Arc::new(DsnQueue {
                paths: paths.clone(),
                current: Arc::clone(&current),
                store: Arc::clone(store),
                state_writer: state_writer(),
                dispatch: Arc::clone(&dispatch),
                dsn_due: Arc::clone(&dsn_due),
                stop: stop(),
            }),
            server: Arc::new(Server {
                paths: paths.clone(),
                current: Arc::clone(&current),
                store: Arc::clone(store),
                state_writer: state_writer(),
                dispatch: Arc::clone(&dispatch),
                pausing: pausing.clone(),
                admission: Arc::clone(&admission),
                alarms: Arc::clone(&alarms),
                health: Arc::clone(&health),
                stop: stop(),
                dsn_due: Arc::clone(&dsn_due),
                next_flush: AtomicI64::new(0),
            }),
            taker: Taker { paths: paths.clone(), current: Arc::clone(&current), admission: Arc::clone(&admission), tasks: tasks.clone() },
            metrics: MetricsWriter {
                paths: paths.clone(),
                current: Arc::clone(&current),
                dispatch: Arc::clone(&dispatch),
                alarms,
                counters,
                health: Arc::clone(&health),
            },
            alarm_source: AlarmSource { paths: paths.clone(), current: Arc::clone(&current), dispatch: Arc::clone(&dispatch), hooks },
            current,
            dispatch,
            tasks,
            health,
            dsn_due,
            admission,
            pausing,
            releaser,
        }
    }
}
