//! The sockets of a process, as the kernel lists them: the judge of "nothing listens on a network port".

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A TCP or UDP socket of a process that the promise forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    /// `tcp`, `tcp6`, `udp` or `udp6`.
    pub protocol: &'static str,
    /// The kernel's line in /proc/net.
    pub line: String,
}

const TCP_LISTEN: &str = "0A";
/// An UDP socket with a peer.
const ESTABLISHED: &str = "01";

/// The TCP sockets in LISTEN and the UDP sockets without a peer that `pid` has open now. Empty for a process that has ended.
pub(crate) fn forbidden(pid: u32) -> Vec<Forbidden> {
    let inodes = socket_inodes(pid);
    let mut found = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        // The namespace of the process, not of the reader.
        let table = std::fs::read_to_string(format!("/proc/{pid}/net/{protocol}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(state), Some(inode)) = (words.get(3), words.get(9)) else { continue };
            let bad = if protocol.starts_with("tcp") { *state == TCP_LISTEN } else { *state != ESTABLISHED };
            if bad && inodes.iter().any(|own| own == inode) {
                found.push(Forbidden { protocol, line: line.to_owned() });
            }
        }
    }
    found
}

/// Watches every process of ours, all the time, until [`Watch::end`].
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<Seen>,
}

/// What a watch saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often a process of ours was looked at.
    pub looks: usize,
    pub forbidden: Vec<Forbidden>,
}

impl Watch {
    /// Begins to watch the processes that run one of our three programs, in this process-id namespace.
    pub(crate) fn begin() -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                for pid in ours() {
                    seen.looks += 1;
                    seen.forbidden.extend(forbidden(pid));
                }
            }
            seen
        });
        Watch { stop, watcher }
    }

    /// Ends the watch.
    pub(crate) fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap()
    }
}

/// The processes that run one of our programs.
fn ours() -> Vec<u32> {
    let programs = [env!("CARGO_BIN_EXE_sendmail"), env!("CARGO_BIN_EXE_mailchuted"), env!("CARGO_BIN_EXE_mailchute")];
    let entries = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let is_ours = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| programs.iter().any(|program| exe == Path::new(program)))
    };
    entries.filter(is_ours).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn socket_inodes(pid: u32) -> Vec<String> {
    let Ok(entries) = Path::new(&format!("/proc/{pid}/fd")).read_dir() else { return Vec::new() };
    entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

#[test]
fn the_judge_sees_a_listener_and_an_unconnected_udp_socket() {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let _connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let unconnected = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = |address: std::net::SocketAddr| format!(":{:04X} ", address.port());
    let (tcp, udp) = (port(listener.local_addr().unwrap()), port(unconnected.local_addr().unwrap()));
    let seen = |protocol: &str, port: &str| {
        let all = forbidden(std::process::id());
        all.iter().any(|one| one.protocol == protocol && one.line.contains(port))
    };
    assert!(seen("tcp", &tcp) && seen("udp", &udp));
    unconnected.connect("127.0.0.1:9").unwrap();
    assert!(!seen("udp", &udp));
}
