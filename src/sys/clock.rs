//! The clock and the local zone.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// Unix seconds now; 0 for a clock before 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The zone of /etc/localtime. The TZ variable is the caller's and is not read (SENDMAIL.md H2); unreadable means UTC.
pub fn local_zone() -> TimeZone {
    std::fs::read("/etc/localtime").ok().and_then(|bytes| TimeZone::tzif("localtime", &bytes).ok()).unwrap_or(TimeZone::UTC)
}

/// 64 random bits from the kernel.
///
/// Errors: `std::io::Error` where /dev/urandom cannot be read.
pub fn random() -> std::io::Result<u64> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
