//! A real DNS server (Knot DNS) on 127.0.0.1:53 that is authoritative for everything: what is not in its zone does not exist.

use std::process::{Child, Stdio};

use super::command::wait_for;
use super::foreign_root::ForeignRoot;

/// A running server.
pub(crate) struct Dns {
    server: Child,
}

const CONFIGURATION: &str = "\
server:
    listen: 127.0.0.1@53
    rundir: /run/knot
database:
    storage: /var/lib/knot
zone:
  - domain: .
    file: /etc/knot/root.zone
    semantic-checks: off
";

impl Dns {
    /// Serves `records`, a zone file with absolute names (`example.org. MX 10 mx.example.org.`).
    pub(crate) fn start(root: &ForeignRoot, records: &str) -> Dns {
        root.write("etc/knot/knot.conf", CONFIGURATION);
        root.write("etc/knot/root.zone", format!("$TTL 60\n. SOA ns. root. 1 60 60 60 60\n. NS ns.\nns. A 127.0.0.1\n{records}\n"));
        root.write("run/knot/.made", "");
        root.write("var/lib/knot/.made", "");
        let server = root.command("/usr/sbin/knotd").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let dns = Dns { server };
        // TCP opens after the zone is loaded.
        wait_for("port 53 of the DNS server", || std::net::TcpStream::connect("127.0.0.1:53").is_ok());
        dns
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
