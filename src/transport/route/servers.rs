//! The DNS servers and their timeouts. In: `dns_servers`, or /etc/resolv.conf and /etc/hosts as written by the administrator, a DHCP
//! client or a container runtime. Of a partly invalid file, the valid part is used.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use hickory_resolver::Hosts;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::system_conf::parse_resolv_conf;

/// Identifies one state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    /// The stamp of the file that `path` leads to, links followed; nothing where there is none.
    pub(super) fn of(path: &Path) -> Option<Stamp> {
        let meta = std::fs::metadata(path).ok()?;
        Some(Stamp { inode: (meta.dev(), meta.ino()), modified: (meta.mtime(), meta.mtime_nsec()), size: meta.len() })
    }
}

/// These servers, each at its own port, with the defaults of resolv.conf(5).
pub(super) fn fixed(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let servers = servers.iter().map(|server| {
        let mut config = NameServerConfig::udp_and_tcp(server.ip());
        config.connections.iter_mut().for_each(|connection| connection.port = server.port());
        config
    });
    (ResolverConfig::from_name_servers(servers.collect()), options(ResolverOpts::default()))
}

/// The servers, the search list and the options in the file. A missing file, or one without a server, means 127.0.0.1
/// (resolv.conf(5)).
///
/// Errors: one line where the file is there and cannot be read.
pub(super) fn from_resolv_conf(path: &Path) -> Result<(ResolverConfig, ResolverOpts), String> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(format!("cannot read {}: {e}; make it readable for the daemon's user, or set dns_servers", path.display())),
    };
    let (config, parsed) = parse_resolv_conf(&text).unwrap_or_else(|_| {
        // No server at all, or one bad word in the search list, which must not cost the servers.
        let text = String::from_utf8_lossy(&text);
        let words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        let mut servers: Vec<IpAddr> = words.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect();
        if servers.is_empty() {
            servers.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let servers = servers.into_iter().map(NameServerConfig::udp_and_tcp).collect();
        (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
    });
    Ok((config, options(parsed)))
}

/// Our timeouts, in addition to the configured ones.
fn options(parsed: ResolverOpts) -> ResolverOpts {
    let mut options = parsed;
    options.timeout = options.timeout.clamp(Duration::from_secs(1), Duration::from_secs(10));
    // resolv.conf counts tries, hickory repetitions.
    options.attempts = options.attempts.clamp(1, 4) - 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    // The kernel picks the port while it connects: see `super::runtime`.
    options.os_port_selection = true;
    options
}

/// The addresses that `config` leads to.
pub(super) fn addresses(config: &ResolverConfig) -> Vec<SocketAddr> {
    let port = |server: &NameServerConfig| server.connections.first().map_or(53, |connection| connection.port);
    config.name_servers().iter().map(|server| SocketAddr::new(server.ip, port(server))).collect()
}

/// The names in the hosts file; none where it cannot be read.
pub(super) fn hosts(path: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    if let Ok(file) = std::fs::File::open(path) {
        // Reading stops at a broken line; the lines before it count.
        let _ = hosts.read_hosts_conf(file);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, ResolverOpts) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let (config, options) = from_resolv_conf(file.path()).unwrap();
        (addresses(&config).iter().map(ToString::to_string).collect(), options)
    }

    #[test]
    fn resolv_conf_gives_servers_and_a_bounded_patience() {
        let (servers, options) = read("# x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:30 attempts:5\n");
        assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:53"]);
        assert_eq!((options.timeout.as_secs(), options.attempts, options.cache_size), (10, 3, 0));
    }

    #[test]
    fn without_a_server_the_local_one_is_asked() {
        for text in ["", "search example.org\n", "nameserver nonsense\n"] {
            assert_eq!(read(text).0, ["127.0.0.1:53"], "{text:?}");
        }
        let (config, _) = from_resolv_conf(Path::new("/nonexistent/resolv.conf")).unwrap();
        assert_eq!(addresses(&config).len(), 1);
    }

    #[test]
    fn a_bad_search_list_does_not_cost_the_servers() {
        let (servers, _) = read(&format!("search {}\nnameserver 192.0.2.53\n", "x".repeat(70)));
        assert_eq!(servers, ["192.0.2.53:53"]);
    }
}
