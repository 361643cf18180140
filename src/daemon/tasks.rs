//! Tasks that must be allowed to end before the daemon does.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the tasks in progress.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    count: AtomicUsize,
    none: Notify,
}

impl Tasks {
    /// Starts a task and counts it until it ends, by panic too.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&self.shared));
        tokio::spawn(async move {
            let _counted = counted;
            task.await;
        });
    }

    /// Waits until no task is in progress.
    pub(crate) async fn ended(&self) {
        loop {
            let none = self.shared.none.notified();
            if self.shared.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            none.await;
        }
    }
}

struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
