//! Reasons that several parts record: of possible duplicates, of what a start finds, of what is held after a lost database.

/// The reason of possible duplicates after a boot without a clean stop.
pub(crate) const POWER_CUT: &str = "the machine stopped while it was due; a power cut may have lost a delivery's record";
/// How the reasons of messages begin that are held after a lost database.
pub(crate) const WAS_LOST: &str = "the state was lost";
/// The reason of those that may have been delivered.
pub(crate) const LOST: &str =
    "the state was lost, so it may have been delivered already; `mailchute requeue` sends it, `mailchute remove` drops it";
/// The daemon died between the final dot and the committed outcome.
pub(crate) const IN_DATA: &str = "the daemon stopped between the final dot and the record of its outcome";
/// The reason of a file that lies elsewhere than anybody recorded.
pub(crate) const BY_HAND: &str = "moved by hand";
