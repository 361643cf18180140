//! What the connections of the submission socket share.

use std::sync::Arc;

use config::Paths;
use control::refusal::SubmitError;
use exit::{Exit, Failure};
use tokio::sync::Semaphore;

use crate::admission::AdmissionControl;
use crate::current::Current;
use crate::tasks::Tasks;

/// What a connection needs to accept a message.
#[derive(Clone)]
pub(crate) struct Taker {
    /// The paths of this installation.
    pub(crate) paths: Paths,
    /// The configuration in force.
    pub(crate) current: Arc<Current>,
    /// Whether mail is accepted.
    pub(crate) admission: Arc<AdmissionControl>,
    /// What must end before the daemon does.
    pub(crate) tasks: Tasks,
}

/// What the connections share.
pub(super) struct SubmissionSocket {
    pub(super) taker: Taker,
    pub(super) threads: Semaphore,
    pub(super) large_lines: Semaphore,
}

impl SubmissionSocket {
    /// Runs `work` on a thread that may wait for the disk, when one is free.
    pub(super) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SubmitError> + Send + 'static,
    ) -> Result<T, SubmitError> {
        let stopping = || Failure::new(Exit::Unavailable, "the daemon is stopping");
        let _turn = self.threads.acquire().await.map_err(|_| stopping())?;
        let panicked = |_| Failure::new(Exit::Software, "internal error; please report it");
        tokio::task::spawn_blocking(work).await.map_err(panicked)?
    }
}
