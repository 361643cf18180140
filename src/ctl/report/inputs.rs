//! What the page shows.

use control::overview::Overview;
use control::protocol::Status;

/// What the page is made of. All texts in it are anybody's.
#[derive(Debug, Default)]
pub(super) struct PageInputs {
    /// The name of this host in mail.
    pub host: String,
    /// The daemon; not live where it is stopped.
    pub status: Status,
    /// The messages.
    pub overview: Overview,
    /// The subjects of `overview.failures`, in their order.
    pub subjects: Vec<String>,
}
