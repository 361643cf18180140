//! systemd's notification socket (sd_notify(3)): READY, STOPPING, RELOADING, WATCHDOG. Thirty lines instead of a crate.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Tells systemd `state`, if it listens. Best effort: nothing here may stop mail.
pub(crate) fn tell(state: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(state.as_bytes(), &address?));
    if let Err(e) = sent {
        tracing::debug!(error = %e, "cannot notify systemd");
    }
}

/// Half of the time that systemd allows between two signs of life, if it watches this process.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    let is_for_us = std::env::var("WATCHDOG_PID").ok().is_none_or(|pid| pid == std::process::id().to_string());
    let microseconds: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (is_for_us && microseconds > 0).then(|| Duration::from_micros(microseconds / 2))
}

/// Microseconds of the monotonic clock, which RELOADING must come with.
pub(crate) fn monotonic_microseconds() -> i64 {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000)
}
