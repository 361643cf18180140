//! Postfix as a null client.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{DOMAIN, HOST, MailSystem, names, own, receiver, sendmail_inside, settle};
use crate::support::command::{self, wait_for};
use crate::support::foreign_root::ForeignRoot;
use crate::support::scripted::{Receiver, Transaction};

pub(crate) struct Postfix {
    root: ForeignRoot,
    receiver: Receiver,
    master: Child,
}

const POSTFIX: u32 = 5001;
const POSTDROP: u32 = 5002;

const MASTER: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

impl Postfix {
    pub(crate) fn start(root: ForeignRoot) -> Postfix {
        let receiver = receiver("127.0.0.2:25");
        settle(&root, &[("postfix", POSTFIX), ("postdrop", POSTDROP)]);
        root.write(
            "etc/postfix/main.cf",
            format!(
                "compatibility_level = 3.6\nmaillog_file = /var/log/postfix.log\nmyhostname = {HOST}\nmyorigin = {DOMAIN}\n\
                 mydestination =\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nrelayhost = [127.0.0.2]\n\
                 smtp_dns_support_level = disabled\nalias_maps =\nalias_database =\n"
            ),
        );
        root.write("etc/postfix/master.cf", MASTER);
        own(&root, "var/lib/postfix", (POSTFIX, 0, 0o755));
        own(&root, "var/log", (0, 0, 0o755));
        for program in ["postdrop", "postqueue"] {
            own(&root, &format!("usr/sbin/{program}"), (0, POSTDROP, 0o2755));
        }
        own(&root, "var/spool/postfix", (0, 0, 0o755));
        let log = std::fs::File::create(root.join("var/log/start")).unwrap();
        let mut start = root.command("/usr/sbin/postfix");
        let master = start.arg("start-fg").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let postfix = Postfix { root, receiver, master };
        wait_for("the pickup service of Postfix", || postfix.root.join("var/spool/postfix/public/pickup").exists());
        postfix
    }

    fn queue_is_empty(&self) -> bool {
        let listing = command::run(self.root.command("/usr/sbin/postqueue").arg("-p"), b"").stdout;
        listing.contains("Mail queue is empty") && names(&self.root.join("var/spool/postfix/maildrop")).is_empty()
    }
}

impl MailSystem for Postfix {
    fn name(&self) -> &'static str {
        "Postfix"
    }

    fn command(&self, uid: u32, called: &str) -> Command {
        sendmail_inside(&self.root, uid, called)
    }

    fn arrived(&self) -> Vec<Transaction> {
        wait_for("the queue of Postfix to drain", || self.queue_is_empty());
        self.receiver.messages()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let read = |name| std::fs::read_to_string(self.root.join(name)).unwrap_or_default();
            eprintln!("Postfix said:\n{}{}", read("var/log/start"), read("var/log/postfix.log"));
        }
        command::signal(&self.master, Signal::SIGTERM);
        if command::wait(&mut self.master, Duration::from_secs(10)).is_none() {
            let _ = self.master.kill();
        }
    }
}
