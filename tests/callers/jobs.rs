//! Programs of the system that report to root and to the owners of jobs.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Stdio};

use super::{ALICE, BODY, Host, ROOT, assert_fits};
use crate::support::command::run;
use crate::support::installation::CALLER_ID;

/// PAM that lets everybody in: the host's own rules are not the subject.
const PAM: &str = "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n";

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
    host.root.write("etc/pam.d/cron", PAM);
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
    let arrived = host.arrived(2);
    assert_fits(
        &arrived[0],
        &format!(
            r#"MAIL FROM:<alice@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>

{ALICE}
From: root@sender.example (Cron Daemon)
To: bob@receiver.example,carol@receiver.example
Subject: Cron <alice@host> cat /srv/body.txt
MIME-Version: 1.0
Content-Type: text/plain; charset=*
Content-Transfer-Encoding: 8bit
X-Cron-Env: <MAILTO=bob@receiver.example,carol@receiver.example>
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <HOME=/home/alice>
X-Cron-Env: <PATH=/usr/bin:/bin>
X-Cron-Env: <LOGNAME=alice>
Date: *, * +*
Message-ID: <*@sender.example>

{BODY}"#
        ),
    );
    assert_fits(
        &arrived[1],
        &format!(
            r#"MAIL FROM:<root@sender.example>
RCPT TO:<root@sender.example>

{ROOT}
From: root@sender.example (Cron Daemon)
To: root@sender.example
Subject: Cron <root@host> echo done; echo failed >&2; exit 3
MIME-Version: 1.0
Content-Type: text/plain; charset=*
Content-Transfer-Encoding: 8bit
X-Cron-Env: <SHELL=/bin/sh>
X-Cron-Env: <HOME=/root>
X-Cron-Env: <PATH=/usr/bin:/bin>
X-Cron-Env: <LOGNAME=root>
Date: *, * +*
Message-ID: <*@sender.example>

done
failed
"#
        ),
    );
}

#[test]
fn at_mails_the_output_of_a_job() {
    isolated!();
    let host = require!(Host::start());
    host.root.write("etc/pam.d/atd", PAM);
    for directory in ["var/spool/cron/atjobs", "var/spool/cron/atspool"] {
        let path = host.root.join(directory);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o1770)).unwrap();
        chown(path, Some(1), Some(1)).unwrap();
    }
    host.root.write("var/spool/cron/atjobs/.SEQ", "");
    chown(host.root.join("var/spool/cron/atjobs/.SEQ"), Some(1), Some(1)).unwrap();
    let _atd = Running::start(&host, "/usr/sbin/atd", &["-f"]);
    let said = run(host.root.command("/usr/bin/at").arg("now"), b"cat /srv/body.txt\n").succeeded();
    assert!(said.stderr.contains("job 1 at"), "{said:?}");
    host.assert_arrived(&format!(
        r#"MAIL FROM:<root@sender.example> BODY=8BITMIME
RCPT TO:<root@sender.example>

{ROOT}
Subject: Output from your job        1
To: root@sender.example
Date: *, * +*
Message-ID: <*@sender.example>
From: root <root@sender.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{BODY}"#
    ));
}

#[test]
fn c10_mdadm_mails_its_test_message_to_root() {
    isolated!();
    let host = require!(Host::start());
    host.root.write("etc/mdadm/mdadm.conf", "MAILADDR root\n");
    let mut mdadm = host.root.command("/usr/sbin/mdadm");
    run(mdadm.args(["--monitor", "--oneshot", "--test", "/dev/md/data"]), b"").succeeded();
    let arrived = &host.arrived(1)[0];
    // Where the kernel has md, its state follows.
    let end = arrived.find("\nFaithfully yours").unwrap();
    assert_fits(
        &arrived[..end],
        &format!(
            r#"MAIL FROM:<root@sender.example>
RCPT TO:<root@sender.example>

{ROOT}
From: mdadm monitoring <root@*sender.example>
To: root@sender.example
Subject: TestMessage event on /dev/md/data:host.sender.example
Date: *, * +*
Message-ID: <*@sender.example>

This is an automatically generated mail message from mdadm
running on host.sender.example

A TestMessage event had been detected on md device /dev/md/data.
"#
        ),
    );
}
