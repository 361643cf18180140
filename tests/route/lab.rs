//! A real DNS server (Knot, unpacked below target/testparts/root) on a port of its own on 127.0.0.1, and servers that misbehave.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::support::command::wait_for;
use crate::support::parts::{self, Missing};

/// Local ports of UDP sockets that the tests themselves hold: they are bound and not connected, and not the product's.
static TEST_SOCKETS: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// True if `port` is that of a test's own socket.
pub(crate) fn is_test_socket(port: u16) -> bool {
    TEST_SOCKETS.lock().unwrap_or_else(PoisonError::into_inner).contains(&port)
}

/// A running Knot, stopped when dropped.
pub(crate) struct Knot {
    pub address: SocketAddr,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Knot {
    /// Serves the zone of `lab.zone`, and `broken.`, which has no zone file: SERVFAIL. Nothing (after a loud line) where Knot is
    /// missing; in CI that is a failure.
    pub(crate) fn start() -> Option<Knot> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/testparts/root");
        let program = root.join("usr/sbin/knotd");
        if !program.exists() {
            let missing = Missing(format!("{} is missing; tests/run brings the package knot", program.display()));
            parts::skip("route", &missing);
            return None;
        }
        (0..5).find_map(|_| Knot::try_start(&program, &root)).or_else(|| panic!("{} does not start", program.display()))
    }

    fn try_start(program: &Path, root: &Path) -> Option<Knot> {
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let configuration = write_configuration(directory.path(), port);
        let child = Command::new(program)
            .arg("-c")
            .arg(configuration)
            .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut knot = Knot { address, child, _directory: directory };
        // It ends at once where somebody was faster to take the port.
        let (mut ended, mut answers) = (false, false);
        wait_for("Knot", || {
            (ended, answers) = (knot.child.try_wait().unwrap().is_some(), TcpStream::connect(address).is_ok());
            ended || answers
        });
        (answers && !ended).then_some(knot)
    }
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_configuration(directory: &Path, port: u16) -> PathBuf {
    let at = directory.display();
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/route/lab.zone"), directory.join("lab.zone")).unwrap();
    let file = directory.join("knot.conf");
    let text = format!(
        "server:\n  rundir: \"{at}\"\n  pidfile: \"{at}/knot.pid\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\ndatabase:\n  storage: \"{at}\"\nzone:\n  - domain: example.\n    storage: \"{at}\"\n    \
         file: lab.zone\n  - domain: broken.\n    storage: \"{at}\"\n    file: missing.zone\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A DNS server that takes questions and never answers.
pub(crate) struct Silent {
    pub address: SocketAddr,
    pub socket: UdpSocket,
}

impl Silent {
    pub(crate) fn start() -> Silent {
        let mut ports = TEST_SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        ports.insert(address.port());
        Silent { address, socket }
    }
}

/// An address where no DNS server is.
pub(crate) fn refusing() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
