//! What every answer works with: whose rights, which parts, the connection, the database.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use config::{MailqUsers, Paths};
use control::protocol::BUFFER;
use exit::{Exit, Failure};
use observe::alarms::AlarmManager;
use serde::Serialize;
use state::{Message, State};
use store::Store;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;

use crate::admission::AdmissionControl;
use crate::current::Current;
use crate::database::STATE_FILE;
use crate::dispatch::Dispatch;
use crate::health::Health;
use crate::pausing::Pausing;
use crate::setup::Setup;
use crate::state_writer::StateWriter;
use crate::stop::Stop;

/// What is asked, and what is changed for those who ask.
pub(crate) struct Server {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// The directories, to read messages.
    pub(crate) store: Arc<Store>,
    /// Where rows and files change.
    pub(crate) state_writer: StateWriter,
    /// The queue in memory.
    pub(crate) dispatch: Arc<Dispatch>,
    /// Pauses and resumes delivery.
    pub(crate) pausing: Pausing,
    /// Closes and opens admission.
    pub(crate) admission: Arc<AdmissionControl>,
    /// What is wrong now.
    pub(crate) alarms: Arc<AlarmManager>,
    /// Signs of life.
    pub(crate) health: Arc<Health>,
    /// Whether the daemon is ending.
    pub(crate) stop: Arc<Stop>,
    /// Wakes whoever writes DSNs.
    pub(crate) dsn_due: Arc<Notify>,
    /// The [`Health::uptime`] from which ordinary users may flush again.
    pub(crate) next_flush: AtomicI64,
}

/// What a peer may see and do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights {
    pub(super) uid: u32,
    /// Root, the daemon's own user, or a member of `admin_group`.
    pub(super) is_admin: bool,
    /// May see everybody's mail.
    pub(super) sees_all: bool,
    /// May see their own.
    pub(super) sees_own: bool,
}

impl Rights {
    pub(super) fn of(uid: u32, setup: &Setup) -> Rights {
        let in_group = || sys::process::group_id(&setup.params.admin_group).is_some_and(|gid| sys::process::is_member(uid, gid));
        let is_admin = uid == 0 || uid == sys::process::euid() || in_group();
        let mailq_users = setup.params.mailq_users;
        Rights {
            uid,
            is_admin,
            sees_all: is_admin || mailq_users == MailqUsers::Anyone,
            sees_own: is_admin || mailq_users != MailqUsers::Admin,
        }
    }

    pub(super) fn sees(&self, message: &Message) -> bool {
        self.sees_all || (self.sees_own && message.uid == self.uid)
    }

    /// May they change it?
    pub(super) fn may_modify(&self, message: &Message) -> bool {
        self.is_admin || message.uid == self.uid
    }
}

/// How a request was carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// In full.
    All,
    /// Except for some of the messages. The text names them, or is empty where each has a line of its own.
    Some(String),
}

pub(super) struct Answer {
    writer: OwnedWriteHalf,
    /// What was not written yet.
    lines: Vec<u8>,
}

impl Answer {
    pub(super) fn new(writer: OwnedWriteHalf) -> Answer {
        Answer { writer, lines: Vec::with_capacity(BUFFER) }
    }

    pub(super) async fn line(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.lines, value)?;
        self.lines.push(b'\n');
        if self.lines.len() < BUFFER { Ok(()) } else { self.flush().await }
    }

    pub(super) async fn flush(&mut self) -> std::io::Result<()> {
        self.writer.write_all(&self.lines).await?;
        self.lines.clear();
        Ok(())
    }

    /// A line, or the failure that the client has gone.
    pub(super) async fn say(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(value).await.map_err(|e| Failure::new(Exit::IoErr, e.to_string()))
    }
}

pub(super) fn stopped() -> Failure {
    Failure::new(Exit::Unavailable, "the server is stopping; ask again in a moment")
}

pub(super) fn database(e: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::IoErr, format!("state.sqlite: {e}"))
}

/// Runs `read` on a connection of its own, on a thread that may wait for the disk: a long listing must not hold up the state writer.
pub(super) async fn read<T: Send + 'static>(
    server: &Server,
    read: impl FnOnce(&State) -> state::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let path = server.store.path(STATE_FILE);
    let work = move || State::open_to_read(&path).and_then(|state| state.snapshot(read));
    tokio::task::spawn_blocking(work).await.map_err(database)?.map_err(database)
}
