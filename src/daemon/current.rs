//! The configuration in force. A reload replaces it as a whole, while other tasks read it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::setup::Setup;

/// The configuration in force.
pub(crate) struct Current {
    setup: RwLock<Arc<Setup>>,
}

impl Current {
    /// Begins with `setup`.
    pub(crate) fn new(setup: Setup) -> Current {
        Current { setup: RwLock::new(Arc::new(setup)) }
    }

    /// The setup of now. Whoever keeps it works with it to the end, whatever a reload brings.
    pub(crate) fn get(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `setup` in its place.
    pub(crate) fn replace(&self, setup: Setup) {
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
    }
}
