//! How the reply of a recipient begins that was given up; what the last attempt said follows.

/// Because `queue_lifetime` was over.
pub const LATE: &str = "not delivered within queue_lifetime; last: ";
/// Because an operator had the message expire: after its last attempt.
pub const BY_OPERATOR: &str = "given up by an administrator after the last attempt; last: ";
/// Because an operator bounced it.
pub const BOUNCED: &str = "given up by an administrator; last: ";
