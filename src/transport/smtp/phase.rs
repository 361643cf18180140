//! The phases of a session. `transaction.rs` has the picture.

use super::envelope::Group;

/// What a session expects next.
#[derive(Debug)]
pub(super) enum Phase {
    /// The next envelope.
    Idle,
    /// The replies to a group.
    Envelope(Group),
    /// The content, for so many recipients.
    Content { accepted: usize },
    /// The final replies, and then those to the next group, if it went with the content.
    Final { accepted: usize, next: Option<Group> },
    /// Nothing: the session is closed.
    Closed,
}
