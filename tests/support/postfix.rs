//! A real Postfix: port 25 with STARTTLS, port 587 with SASL, every accepted message in one maildir.

use std::os::unix::fs::chown;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::certificates::Identity;
use super::command::{self, wait_for};
use super::foreign_root::ForeignRoot;

/// The names that its certificate must have.
pub(crate) const HOST: &str = "mx.receiver.example";
/// 550 5.1.1. Every other local part of receiver.example is taken, except the next one.
pub(crate) const REFUSED: &str = "gone@receiver.example";
/// 450 4.2.1.
pub(crate) const DEFERRED: &str = "later@receiver.example";
/// What port 587 lets in.
pub(crate) const USER: &str = "mailer";
pub(crate) const PASSWORD: &str = "correct horse";

/// A running Postfix in its own root.
pub(crate) struct Postfix {
    root: ForeignRoot,
    master: Child,
}

/// `name = value` lines; `{…}` parameters need Postfix 3.0.
const MAIN: &str = "\
compatibility_level = 3.6
maillog_file = /var/log/postfix.log
myhostname = mx.receiver.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions =
    check_recipient_access inline:{{gone@receiver.example = 550 5.1.1 no such user}, {later@receiver.example = 450 4.2.1 mailbox busy}}
virtual_mailbox_domains = receiver.example
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:5003
virtual_gid_maps = static:5003
smtpd_tls_chain_files = /etc/postfix/identity.pem
smtpd_tls_security_level = may
smtpd_sasl_local_domain = sasl.example
smtpd_peername_lookup = no
strict_rfc821_envelopes = yes
smtpd_forbid_bare_newline = yes
alias_maps =
";

const MASTER: &str = "\
127.0.0.1:25 inet n - n - - smtpd
127.0.0.1:587 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
";

const SASL: &str = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n";

impl Postfix {
    /// Starts it with this identity and waits until both ports answer.
    pub(crate) fn start(root: ForeignRoot, identity: &Identity) -> Postfix {
        root.write("etc/postfix/main.cf", MAIN);
        root.write("etc/postfix/master.cf", MASTER);
        root.write("etc/postfix/identity.pem", format!("{}{}", identity.key_pem, identity.certificate_pem));
        root.write("etc/postfix/sasl/smtpd.conf", SASL);
        let mut user = root.command("/usr/sbin/saslpasswd2");
        command::run(user.args(["-p", "-c", "-u", "sasl.example", USER]), PASSWORD.as_bytes()).succeeded();
        chown(root.join("etc/sasldb2"), Some(0), Some(5001)).unwrap();
        std::fs::create_dir_all(root.join("var/mail")).unwrap();
        chown(root.join("var/mail"), Some(5003), Some(5003)).unwrap();
        for directory in ["var/spool/postfix", "var/lib/postfix", "var/log"] {
            std::fs::create_dir_all(root.join(directory)).unwrap();
        }
        chown(root.join("var/lib/postfix"), Some(5001), None).unwrap();
        let master = root
            .command("/usr/sbin/postfix")
            .arg("start-fg")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(root.join("var/log/start")).unwrap())
            .spawn()
            .unwrap();
        let postfix = Postfix { root, master };
        for port in [25, 587] {
            wait_for(&format!("port {port} of Postfix"), || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
        postfix
    }

    /// The messages that arrived, oldest first, with LF line ends and the trace fields of the receiver on top.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = std::fs::read_dir(self.root.join("var/mail/inbox/new")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Waits for `count` messages.
    #[track_caller]
    pub(crate) fn wait_for_messages(&self, count: usize) -> Vec<Vec<u8>> {
        wait_for(&format!("{count} messages at Postfix"), || self.messages().len() >= count);
        self.messages()
    }

    /// What Postfix logged.
    pub(crate) fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.root.join(name)).unwrap_or_default();
        read("var/log/start") + &read("var/log/postfix.log")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Postfix said:\n{}", self.log());
        }
        command::signal(&self.master, nix::sys::signal::Signal::SIGTERM);
        if command::wait(&mut self.master, Duration::from_secs(10)).is_none() {
            let _ = self.master.kill();
        }
    }
}
