//! Programs of the system that report to root and to the owners of jobs.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Stdio};

use super::{Host, THREE};
use crate::support::installation::CALLER_ID;

/// PAM that lets everybody in: the host's own rules are not the subject.
const PAM: &str = "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n";

/// Some versions look at the rules for all others, too.
fn let_in(host: &Host) {
    ["cron", "atd", "other"].iter().for_each(|name| host.root.write(&format!("etc/pam.d/{name}"), PAM));
}

/// A daemon of the system, for as long as the value lives.
struct Running(Child);

impl Running {
    fn start(host: &Host, program: &str, arguments: &[&str]) -> Running {
        let mut command = host.root.command(program);
        Running(command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn cron_mails_the_output_of_jobs_to_their_owners_and_to_mailto() {
    isolated!();
    let host = require!(Host::start());
    let_in(&host);
    let tables = [
        ("alice", CALLER_ID, "MAILTO=bob@receiver.example,carol@receiver.example\n@reboot cat /srv/body.txt\n"),
        ("root", 0, "@reboot echo done; echo failed >&2; exit 3\n"),
    ];
    for (user, id, table) in tables {
        let name = format!("var/spool/cron/crontabs/{user}");
        host.root.write(&name, table);
        let path = host.root.join(&name);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(path, Some(id), None).unwrap();
    }
    let _cron = Running::start(&host, "/usr/sbin/cron", &["-f"]);
    host.judge_later("cron", 2, &[("alice@sender.example", &THREE[..2]), ("root@sender.example", &["root@sender.example"])]);
}

#[test]
fn at_mails_the_output_of_a_job() {
    isolated!();
    let host = require!(Host::start());
    let_in(&host);
    for directory in ["var/spool/cron/atjobs", "var/spool/cron/atspool"] {
        let path = host.root.join(directory);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1770)).unwrap();
        chown(path, Some(1), Some(1)).unwrap();
    }
    host.root.write("var/spool/cron/atjobs/.SEQ", "");
    chown(host.root.join("var/spool/cron/atjobs/.SEQ"), Some(1), Some(1)).unwrap();
    // The job is there when the daemon starts: else it may look before, and then not for an hour.
    host.run("at", host.root.command("/usr/bin/at").arg("now"), b"cat /srv/body.txt\n");
    let _atd = Running::start(&host, "/usr/sbin/atd", &["-f"]);
    host.judge_later("at", 1, &[("root@sender.example", &["root@sender.example"])]);
}

#[test]
fn c10_mdadm_mails_its_test_message_to_root() {
    isolated!();
    let host = require!(Host::start());
    host.root.write("etc/mdadm/mdadm.conf", "MAILADDR root\n");
    // Newer ones want an array, which not every kernel can have: then nothing is sent.
    let mut mdadm = host.root.command("/usr/sbin/mdadm");
    host.run("mdadm", mdadm.args(["--monitor", "--oneshot", "--test", "/dev/md/data"]), b"");
    host.judge("mdadm", 1, &[("root@sender.example", &["root@sender.example"])]);
}
