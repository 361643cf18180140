//! Exim with the settings about callers that Debian ships, and a smarthost.

use std::process::Command;

use super::{DOMAIN, HOST, MailSystem, own, receiver, sendmail_inside, settle};
use crate::support::command::{self, wait_for};
use crate::support::foreign_root::ForeignRoot;
use crate::support::scripted::{Receiver, Transaction};

pub(crate) struct Exim {
    root: ForeignRoot,
    receiver: Receiver,
}

const EXIM: u32 = 5020;
const PROGRAM: &str = "/usr/sbin/sendmail";

impl Exim {
    pub(crate) fn start(root: ForeignRoot) -> Exim {
        let receiver = receiver("127.0.0.3:25");
        settle(&root, &[("Debian-exim", EXIM)]);
        root.write(
            "etc/exim4/exim4.conf",
            format!(
                "primary_hostname = {HOST}\nqualify_domain = {DOMAIN}\ndisable_ipv6\nqueue_only\nkeep_environment =\n\
                 local_from_check = false\nlocal_sender_retain = true\nuntrusted_set_sender = *\n\
                 acl_smtp_rcpt = local\n\
                 log_file_path = /var/log/exim4/%slog\n\
                 begin acl\nlocal:\n  accept hosts = :\nbegin routers\nall:\n  driver = manualroute\n  route_list = * 127.0.0.3 byname\n  self = send\n  transport = out\n\
                 begin transports\nout:\n  driver = smtp\nbegin retry\n* * F,1h,1m\n"
            ),
        );
        own(&root, "var/log/exim4", (EXIM, EXIM, 0o750));
        own(&root, "var/spool/exim4", (EXIM, EXIM, 0o750));
        Exim { root, receiver }
    }
}

impl Exim {
    /// The messages that will be tried again. A DSN that cannot be delivered is frozen, and stays.
    fn waiting(&self) -> usize {
        let listing = command::run(self.root.command(PROGRAM).arg("-bp"), b"").stdout;
        listing.lines().filter(|line| line.contains('<') && !line.contains("*** frozen ***")).count()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let read = |name: &str| std::fs::read_to_string(self.root.join("var/log/exim4").join(name)).unwrap_or_default();
            let queue = command::run(self.root.command(PROGRAM).arg("-bp"), b"").stdout;
            eprintln!("Exim said:\n{}{}\nIn its queue:\n{queue}", read("mainlog"), read("paniclog"));
        }
    }
}

impl MailSystem for Exim {
    fn name(&self) -> &'static str {
        "Exim"
    }

    fn command(&self, uid: u32, called: &str) -> Command {
        sendmail_inside(&self.root, uid, called)
    }

    fn arrived(&self) -> Vec<Transaction> {
        wait_for("the queue of Exim to drain", || {
            command::run(self.root.command(PROGRAM).arg("-qf"), b"");
            self.waiting() == 0
        });
        self.receiver.messages()
    }
}
