//! The clock and the local zone.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// Unix seconds now; 0 for a clock before 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Unix milliseconds now; 0 for a clock before 1970.
pub fn milliseconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The zone of /etc/localtime. The TZ variable is the caller's and is not read (SENDMAIL.md H2); unreadable means UTC.
pub fn local_zone() -> TimeZone {
    super::fs::read_whole(Path::new("/etc/localtime"))
        .ok()
        .and_then(|bytes| TimeZone::tzif("localtime", &bytes).ok())
        .unwrap_or(TimeZone::UTC)
}

/// Random numbers read but not used yet; each is used once.
static POOL: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// 64 random bits from the kernel.
///
/// Errors: `std::io::Error` where /dev/urandom cannot be read.
pub fn random() -> std::io::Result<u64> {
    use std::io::Read;
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.is_empty() {
        let mut bytes = [0; 64];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        pool.extend(bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_ne_bytes(*chunk)));
    }
    pool.pop().ok_or_else(|| std::io::Error::other("no random bytes"))
}
