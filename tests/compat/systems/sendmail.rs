//! Sendmail: its submission program, which hands everything to the receiver as it would to the daemon of its host.

use std::process::Command;

use super::{DOMAIN, MailSystem, names, own, receiver, sendmail_inside, settle};
use crate::support::command::{self, wait_for};
use crate::support::foreign_root::ForeignRoot;
use crate::support::scripted::{Receiver, Transaction};

pub(crate) struct Sendmail {
    root: ForeignRoot,
    receiver: Receiver,
}

const SMMTA: u32 = 5010;
const SMMSP: u32 = 5011;
const PROGRAM: &str = "/usr/sbin/sendmail";

impl Sendmail {
    pub(crate) fn start(root: ForeignRoot) -> Sendmail {
        let receiver = receiver("127.0.0.4:25");
        settle(&root, &[("smmta", SMMTA), ("smmsp", SMMSP)]);
        root.write("etc/mail/service.switch", "hosts files\naliases files\npasswd files\n");
        // As Debian's own, but for the name of the host and the address of the next one.
        configure(
            &root,
            "submit",
            "DOMAIN(`debian-msp')dnl\nFEATURE(`msp', `[127.0.0.4]', `25')dnl\nFEATURE(`accept_unresolvable_domains')dnl\n",
        );
        let daemon = "DOMAIN(`debian-mta')dnl\ndefine(`SMART_HOST', `[127.0.0.4]')dnl\nMAILER(`local')dnl\nMAILER(`smtp')dnl\n";
        configure(&root, "sendmail", daemon);
        root.write("etc/aliases", "");
        for (name, owner) in [
            ("usr/libexec/sendmail/sendmail", (0, SMMSP, 0o2755)),
            ("var/spool/mqueue-client", (SMMSP, SMMSP, 0o2770)),
            ("var/spool/mqueue", (SMMTA, SMMSP, 0o2750)),
            ("var/run/sendmail/msp", (SMMSP, SMMSP, 0o2775)),
            ("var/lib/sendmail", (SMMTA, SMMSP, 0o2751)),
            ("var/lib/sendmail/host_status", (0, SMMSP, 0o2775)),
        ] {
            own(&root, name, owner);
        }
        // Debian's alternatives make this link.
        std::os::unix::fs::symlink("../libexec/sendmail/sendmail", root.join("usr/sbin/sendmail")).unwrap();
        Sendmail { root, receiver }
    }
}

/// Makes `NAME.cf` with these features.
fn configure(root: &ForeignRoot, name: &str, features: &str) {
    let mc = format!("etc/mail/{name}.mc");
    // On a busy machine it would only queue: it looks at the load of all of it.
    let load = "define(`confQUEUE_LA', `1000')dnl\ndefine(`confREFUSE_LA', `1000')dnl\ndefine(`confDELAY_LA', `0')dnl\n";
    let text = format!(
        "define(`_USE_ETC_MAIL_')dnl\ninclude(`/usr/share/sendmail/cf/m4/cf.m4')dnl\nOSTYPE(`debian')dnl\n\
         define(`confDOMAIN_NAME', `{DOMAIN}')dnl\n{load}{features}"
    );
    root.write(&mc, text);
    let made = command::run(root.command("/usr/bin/m4").arg(format!("/{mc}")), b"").succeeded().stdout;
    root.write(&format!("etc/mail/{name}.cf"), made);
}

impl MailSystem for Sendmail {
    fn name(&self) -> &'static str {
        "Sendmail"
    }

    fn command(&self, uid: u32, called: &str) -> Command {
        sendmail_inside(&self.root, uid, called)
    }

    fn arrived(&self) -> Vec<Transaction> {
        wait_for("the queue of Sendmail to drain", || {
            command::run(self.root.command(PROGRAM).args(["-Ac", "-q"]), b"");
            names(&self.root.join("var/spool/mqueue-client")).is_empty()
        });
        self.receiver.messages()
    }
}
