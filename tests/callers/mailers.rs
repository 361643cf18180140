//! Mail programs that people and their scripts use at a prompt.

use std::path::Path;
use std::process::Command;

use super::{ALICE, BODY, Host, assert_fits};
use crate::support::command::run;
use crate::support::parts::Missing;
use crate::support::scripted::Script;

pub(crate) fn s_nail(host: &Host) -> Command {
    let mut command = host.alice("/usr/bin/s-nail");
    // Or it goes on before `sendmail` has ended, and cannot tell how.
    command.args(["-S", "sendwait"]);
    command.args(["-s", "Passwort zurücksetzen", "-c", "carol@receiver.example", "-b", "hidden@receiver.example"]);
    command.args(["-r", "Rps <rps@sender.example>", "bob@receiver.example"]);
    command
}

pub(crate) fn bsd_mailx(host: &Host) -> Command {
    let mut command = host.alice("/usr/bin/bsd-mailx");
    command.args(["-s", "Passwort", "-c", "carol@receiver.example", "-b", "hidden@receiver.example"]);
    command.args(["-r", "rps@sender.example", "bob@receiver.example", "root"]);
    command
}

pub(crate) fn mailutils(host: &Host) -> Command {
    let mut command = host.alice("/usr/bin/mail.mailutils");
    // By default it ends its own input at a lone dot.
    command.args(["-E", "set nodot", "-s", "Passwort"]);
    for field in [
        "Cc: carol@receiver.example",
        "Bcc: hidden@receiver.example",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ] {
        command.args(["-a", field]);
    }
    command.args(["-r", "rps@sender.example", "bob@receiver.example"]);
    command
}

pub(crate) fn mutt(host: &Host) -> Command {
    let mut command = host.alice("/usr/bin/mutt");
    let settings = "set from=rps@sender.example use_envelope_from=yes dsn_notify='failure,delay' dsn_return=hdrs copy=no";
    command.args(["-n", "-e", settings, "-s", "Passwort zurücksetzen"]);
    command.args(["-c", "carol@receiver.example", "-b", "hidden@receiver.example", "--", "bob@receiver.example"]);
    command
}

/// git send-email belongs to the packaged git.
pub(crate) fn git_send_email(host: &Host) -> Result<Command, Missing> {
    if !Path::new("/usr/bin/git").exists() {
        return Err(Missing("there is no /usr/bin/git".to_owned()));
    }
    host.root.write("srv/git_series.sh", include_str!("git_series.sh"));
    let mut command = host.alice("/bin/sh");
    command.arg("/srv/git_series.sh");
    Ok(command)
}

#[test]
fn s_nail_sends_as_somebody_else() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut s_nail(&host), BODY.as_bytes());
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example>
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
Date: *, * +0000
From: Rps <rps@sender.example>
To: bob@receiver.example
Cc: carol@receiver.example
Subject: Passwort =?utf-8?Q?zur=C3=BCcksetzen?=
Message-ID: <*@sender.example>
User-Agent: s-nail *
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe,
=2E
..zwei
=46rom hier an
  Ende
"#
    ));
}

#[test]
fn bsd_mailx_sends_to_a_bare_name_too() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut bsd_mailx(&host), BODY.as_bytes());
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<root@sender.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
From: rps@sender.example
To: bob@receiver.example, root@sender.example
Subject: Passwort
Cc: carol@receiver.example
MIME-Version: 1.0
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 8bit
Date: *, * +*
Message-ID: <*@sender.example>

{BODY}"#
    ));
}

#[test]
fn mailutils_mail_sends_without_a_from_field() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut mailutils(&host), BODY.as_bytes());
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example> BODY=8BITMIME
RCPT TO:<carol@receiver.example>,<hidden@receiver.example>,<bob@receiver.example>

{ALICE}
Subject: Passwort
Cc: <carol@receiver.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
To: <bob@receiver.example>
User-Agent: mail (GNU Mailutils *)
Date: *, * +*
Message-ID: <*@sender.example>
From: rps@sender.example

{BODY}"#
    ));
}

#[test]
fn c4_mutt_sends_latin1_and_its_dsn_options_reach_the_next_hop() {
    isolated!();
    let host = require!(Host::start_before(Script::new().offer("8BITMIME").offer("DSN")));
    host.quiet(&mut mutt(&host), BODY.as_bytes());
    let notify = "NOTIFY=FAILURE,DELAY";
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example> BODY=8BITMIME RET=HDRS
RCPT TO:<bob@receiver.example> {notify},<carol@receiver.example> {notify},<hidden@receiver.example> {notify}

{ALICE}
Date: *, * +0000
From: Alice Liddell <rps@sender.example>
To: bob@receiver.example
Cc: carol@receiver.example
Subject: Passwort =?iso-8859-1?Q?zur=FCcksetzen?=
Message-ID: <*@sender.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Disposition: inline
Content-Transfer-Encoding: 8bit

Gr<fc><df>e,
.
..zwei
From hier an
  Ende
"#
    ));
}

#[test]
fn git_send_email_sends_a_series() {
    isolated!();
    let host = require!(Host::start());
    let ended = run(&mut require!(git_send_email(&host)), b"").succeeded();
    assert_eq!(ended.stderr, "");
    let head = |subject: &str, references: &str, content: &str| {
        format!(
            r#"RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
From: =?UTF-8?q?Alice=20R=C3=A5dgivning?= <alice@sender.example>
To: bob@receiver.example
Cc: carol@receiver.example
Subject: {subject}
Date: *, * +0000
Message-I*: <*-alice@sender.example>
X-Mailer: git-send-email *
{references}MIME-Version: 1.0
{content}Content-Transfer-Encoding: 8bit
"#
        )
    };
    let arrived = host.arrived(2);
    let first = head("[PATCH 1/2] body: the first line", "", "Content-Type: text/plain; charset=UTF-8\n");
    assert_fits(
        &arrived[0],
        &format!(
            r#"MAIL FROM:<alice@sender.example> BODY=8BITMIME
{first}
Ünd Text.
---
 body.txt | 5 +++++
 1 file changed, 5 insertions(+)
 create mode 100644 body.txt

diff --git a/body.txt b/body.txt
new file mode 100644
index 0000000..7cc2915
--- /dev/null
+++ b/body.txt
@@ -0,0 +1,5 @@
+Grüße,
+.
+..zwei
+From hier an
+  Ende
--*
*

"#
        ),
    );
    let references = "In-Reply-To: <*-alice@sender.example>\nReferences: <*-alice@sender.example>\n";
    let second = head("[PATCH 2/2] last: no newline at the end of the file", references, "");
    assert_fits(
        &arrived[1],
        &format!(
            r#"MAIL FROM:<alice@sender.example>
{second}
---
 last | 1 +
 1 file changed, 1 insertion(+)
 create mode 100644 last

diff --git a/last b/last
new file mode 100644
index 0000000..a2b2d31
--- /dev/null
+++ b/last
@@ -0,0 +1 @@
+line without an end
\ No newline at end of file
--*
*

"#
        ),
    );
}
