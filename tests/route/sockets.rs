//! THREATS.md T-NET-1: a UDP socket is connected, and lives for one query.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use config::Params;

use super::lab::{Knot, Silent, is_test_socket};
use super::{router, way};

/// TCP_ESTABLISHED: the state of a connected UDP socket in /proc/net/udp.
const CONNECTED: &str = "01";

/// One UDP socket of this process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    local_port: u16,
    remote_port: u16,
    state: String,
}

fn inodes_of_this_process() -> BTreeSet<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let names = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    names.filter_map(|name| Some(name.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())).collect()
}

/// The UDP sockets of this process, but for those that the tests themselves hold.
fn udp_sockets() -> Vec<Socket> {
    let tables: Vec<String> = ["/proc/self/net/udp", "/proc/self/net/udp6"].iter().flat_map(std::fs::read_to_string).collect();
    // The descriptors are read after the tables, so that a socket counts only if it is ours and was open then.
    let ours = inodes_of_this_process();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    let sockets = lines.filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let socket = Socket { local_port: port(columns[1]), remote_port: port(columns[2]), state: columns[3].to_owned() };
        (ours.contains(columns[9]) && !is_test_socket(socket.local_port)).then_some(socket)
    });
    sockets.collect()
}

fn open_to(server: SocketAddr) -> usize {
    udp_sockets().iter().filter(|socket| socket.remote_port == server.port()).count()
}

/// Samples until told to stop. Out: the number of samples, the connected sockets seen, and those that stayed unconnected for
/// longer than the kernel's own connect call can take, which binds and connects in two steps that a tight watch sees.
fn watch(stop: &AtomicBool) -> (usize, BTreeSet<Socket>, BTreeSet<Socket>) {
    let (mut samples, mut seen, mut open) = (0, BTreeSet::new(), BTreeSet::new());
    let mut since: BTreeMap<u16, Instant> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        samples += 1;
        let (connected, unconnected): (Vec<_>, Vec<_>) = udp_sockets().into_iter().partition(|s| s.state == CONNECTED);
        seen.extend(connected);
        since.retain(|port, _| unconnected.iter().any(|socket| socket.local_port == *port));
        for socket in unconnected {
            if since.entry(socket.local_port).or_insert_with(Instant::now).elapsed() > Duration::from_millis(20) {
                open.insert(socket);
            }
        }
    }
    (samples, seen, open)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_udp_socket_is_connected_and_gone_after_the_query() {
    let Some(knot) = Knot::start() else { return };
    let silent = Silent::start();
    let stop = Arc::new(AtomicBool::new(false));
    let watch = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || watch(&stop)
    });
    let mute = router(&[silent.address], Params::default());
    let waiting = tokio::spawn(async move { way(&mute, "order.example").await });
    let answered = router(&[knot.address], Params::default());
    for _ in 0..200 {
        assert_eq!(way(&answered, "order.example").await.len(), 4);
    }
    assert!(open_to(silent.address) > 0, "the silent server was not asked");
    let _ = waiting.await;
    stop.store(true, Ordering::Relaxed);
    let (samples, seen, open) = watch.join().unwrap();
    assert_eq!(open, BTreeSet::new(), "a UDP socket was open to everybody");
    assert!(seen.iter().any(|s| s.remote_port == knot.address.port()) && samples > 100, "{samples} samples saw {seen:?}");
    // hickory gives up the abandoned queries when their own time is over.
    for _ in 0..200 {
        if open_to(silent.address) + open_to(knot.address) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("UDP sockets outlive their query: {:?}", udp_sockets());
}
