//! THREATS.md T-NET-1: a UDP socket is connected, and lives for one query.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::Params;

use super::lab::{Knot, Silent, is_test_socket};
use super::{router, router_within, way};
use crate::support::command::wait_until;

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

/// A server in front of another one, which looks at the socket that each question comes from while its owner waits for the answer.
/// A socket that is looked at by the clock may be in the middle of becoming connected; one that has asked is what it will be.
struct Looker {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Socket>>>,
}

impl Looker {
    /// Passes questions on to `server`; without one, nobody answers.
    fn before(server: Option<SocketAddr>) -> Looker {
        let Silent { address, socket } = Silent::start();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let looks = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok((length, from)) = socket.recv_from(&mut octets) {
                // One whose owner has given up is not there any more.
                let asking = udp_sockets().into_iter().filter(|socket| socket.local_port == from.port());
                looks.lock().unwrap().extend(asking);
                if let Some(server) = server {
                    let Silent { socket: forth, .. } = Silent::start();
                    forth.send_to(&octets[..length], server).unwrap();
                    let length = forth.recv(&mut octets).unwrap();
                    let _ = socket.send_to(&octets[..length], from);
                }
            }
        });
        Looker { address, seen }
    }

    fn assert_only_connected(&self, at_least: usize) {
        let seen = self.seen.lock().unwrap();
        let open: Vec<_> = seen.iter().filter(|socket| socket.state != CONNECTED || socket.remote_port != self.address.port()).collect();
        assert!(open.is_empty(), "a UDP socket was open to everybody: {open:?}");
        assert!(seen.len() >= at_least, "{} sockets were looked at", seen.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_udp_socket_is_connected_and_gone_after_the_query() {
    let Some(knot) = Knot::start() else { return };
    let (silent, answering) = (Looker::before(None), Looker::before(Some(knot.address)));
    let mute = router_within(Duration::from_secs(3), &[silent.address], Params::default());
    let waiting = tokio::spawn(async move { way(&mute, "order.example").await });
    let answered = router(&[answering.address], Params::default());
    for _ in 0..200 {
        assert_eq!(way(&answered, "order.example").await.len(), 4);
    }
    let _ = waiting.await;
    silent.assert_only_connected(1);
    // The resolver keeps answers: not every round asks.
    answering.assert_only_connected(4);
    // hickory gives up the abandoned queries when their own time is over.
    let is_gone = wait_until(|| open_to(silent.address) + open_to(answering.address) == 0);
    assert!(is_gone, "UDP sockets outlive their query: {:?}", udp_sockets());
}
