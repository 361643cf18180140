//! The data of the page.

use control::overview::Overview;
use control::protocol::Status;

/// The data of the page. All texts are untrusted.
#[derive(Debug, Default)]
pub(super) struct PageInputs {
    /// The mailname of this host.
    pub host: String,
    /// The daemon's status; not live if it is stopped.
    pub status: Status,
    /// The message statistics.
    pub overview: Overview,
    /// The subjects of `overview.failures`, in the same order.
    pub subjects: Vec<String>,
}
