//! Times as mail writes them. Pure: the clock and the zone are passed in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `2026-11-22T14:43:49Z`: RFC 3339, UTC, whole seconds. The form of the envelope and of JSON output.
pub fn rfc3339(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// `2026-11-22T14:43:49.042Z`: the same with milliseconds, for events. `at` is unix milliseconds.
pub fn rfc3339_milliseconds(at: i64) -> String {
    let time = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The unix seconds of an RFC 3339 time; fractions are dropped.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// `Sun, 22 Nov 2026 14:43:49 +0000`: RFC 5322 3.3, for Date and Received.
pub fn rfc5322(seconds: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    time.strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// Unix seconds of a date of RFC 5322 3.3.
pub fn parse_rfc5322(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::parse(text).ok().map(|time| time.timestamp().as_second())
}

/// `Sun Nov 22 14:43:49`: the arrival time of `mailq` (SENDMAIL.md Q2), C locale, local time.
pub fn mailq(seconds: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    time.strftime("%a %b %e %H:%M:%S").to_string()
}

/// `20261122144349`: the left part of a Message-ID (SENDMAIL.md H2), UTC.
pub fn compact(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    time.strftime("%Y%m%d%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms() {
        let at = 1_795_358_629;
        assert_eq!(rfc3339(at), "2026-11-22T14:43:49Z");
        assert_eq!(rfc3339_milliseconds(at * 1000 + 5), "2026-11-22T14:43:49.005Z");
        assert_eq!(parse_rfc3339("2026-11-22T14:43:49Z"), Some(at));
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert_eq!(rfc5322(at, &TimeZone::UTC), "Sun, 22 Nov 2026 14:43:49 +0000");
        assert_eq!(mailq(at - 15 * 86_400, &TimeZone::UTC), "Sat Nov  7 14:43:49");
        assert_eq!(compact(at), "20261122144349");
    }
}
