//! The memory that messages in flight may take.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB of messages in flight, envelopes included: a larger message goes alone.
const BUDGET_KIB: u32 = 64 << 10;

/// What is left of it.
#[derive(Clone)]
pub(crate) struct MemoryBudget {
    kib: Arc<Semaphore>,
}

impl Default for MemoryBudget {
    fn default() -> MemoryBudget {
        MemoryBudget { kib: Arc::new(Semaphore::new(BUDGET_KIB as usize)) }
    }
}

impl MemoryBudget {
    /// The share of a message of so many bytes; `None` if there is no room now and `wait` is false.
    pub(crate) async fn take(&self, bytes: u64, wait: bool) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, BUDGET_KIB);
        let budget = Arc::clone(&self.kib);
        if wait { budget.acquire_many_owned(kib).await.ok() } else { budget.try_acquire_many_owned(kib).ok() }
    }
}
