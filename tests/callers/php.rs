//! PHP: `mail()` of the language, and the two libraries that most applications send with.

use std::process::Command;

use super::{ALICE, BODY, Host, assert_fits};
use crate::support::command::run;

/// php with a script beside this file, and the extensions that installed packages would have enabled.
fn php(host: &Host, name: &str, text: &str) -> Command {
    let path = format!("srv/{name}");
    host.root.write(&path, text);
    let mut command = host.alice(host.root.program("php8"));
    // Debian's own directory of settings belongs to other versions of PHP.
    command.env("PHP_INI_SCAN_DIR", "/nonexistent").args(["-d", "display_errors=stderr", "-d", "html_errors=0"]);
    for extension in ["ctype", "iconv", "intl", "mbstring"] {
        command.args(["-d", &format!("extension={extension}")]);
    }
    command.arg(format!("/{path}"));
    command
}

pub(crate) fn mail(host: &Host) -> Command {
    php(host, "mail.php", include_str!("php_mail.php"))
}

pub(crate) fn phpmailer(host: &Host) -> Command {
    php(host, "phpmailer.php", include_str!("phpmailer.php"))
}

pub(crate) fn symfony(host: &Host, sendmail: &str) -> Command {
    let mut command = php(host, "symfony.php", include_str!("symfony.php"));
    command.arg(sendmail);
    command
}

#[test]
fn c1_php_mail_sends_header_lines_in_crlf_and_a_body_in_lf() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut mail(&host), b"");
    host.assert_arrived(&format!(
        r#"MAIL FROM:<bounce@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
To: Bob <bob@receiver.example>
Subject: Passwort =?utf-8?Q?zur=C3=BCcksetzen?=
From: =?utf-8?Q?R=C3=A5dgivning?= <webmaster@sender.example>
Cc: carol@receiver.example
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Date: *, * +*
Message-ID: <*@sender.example>

{BODY}
"#
    ));
}

#[test]
fn p5_of_two_senders_that_php_gives_the_one_of_the_call_wins() {
    isolated!();
    let host = require!(Host::start());
    let mut command = mail(&host);
    host.root.write("srv/site.ini", "sendmail_path = \"/usr/sbin/sendmail -t -i -fsite@sender.example\"\n");
    command.env("PHP_INI_SCAN_DIR", "/srv");
    host.quiet(&mut command, b"");
    assert!(host.arrived(1)[0].starts_with("MAIL FROM:<bounce@sender.example>"));
}

#[test]
fn phpmailer_sends_with_its_sender_glued_to_f() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut phpmailer(&host), b"");
    host.assert_arrived(&format!(
        r#"MAIL FROM:<bounce@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
Date: *, * +0000
To: Bob <bob@receiver.example>
From: =?utf-8?Q?R=C3=A5dgivning?= <rps@sender.example>
Cc: carol@receiver.example
Subject: =?utf-8?Q?Passwort_zur=C3=BCcksetzen?=
Message-ID: <*@host.sender.example>
X-Mailer: PHPMailer *
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="*"
Content-Transfer-Encoding: 8bit

This is a multi-part message in MIME format.

--*
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

{BODY}
--*
Content-Type: application/*; name=bytes.bin
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=bytes.bin

AP8NCi4NCg==

--*--
"#
    ));
}

/// One message of Symfony's. With SMTP it ends in one more line end, of Symfony's own.
fn expected_of_symfony(subject: &str, end: &str) -> String {
    format!(
        r#"MAIL FROM:<bounce@sender.example>
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
From: =?utf-8?Q?R=C3=A5dgivning?= <rps@sender.example>
To: Bob <bob@receiver.example>
Cc: carol@receiver.example
Subject: Passwort =?utf-8?Q?zur=C3=BCcksetzen=3A?= {subject}
Message-ID: <*@sender.example>
MIME-Version: 1.0
Date: *, * +0000
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe,
.
..zwei
From hier an
  Ende
{end}"#
    )
}

#[test]
fn c3_symfony_mailer_sends_two_messages_in_one_bs_session() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut symfony(&host, "/usr/sbin/sendmail -bs"), b"");
    let arrived = host.arrived(2);
    assert_fits(&arrived[0], &expected_of_symfony("eins", "\n"));
    assert_fits(&arrived[1], &expected_of_symfony("zwei", "\n"));
}

#[test]
fn symfony_mailer_that_is_told_to_use_t_gives_its_recipients_as_operands() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut symfony(&host, "/usr/sbin/sendmail -oi -t"), b"");
    let arrived = host.arrived(2);
    assert_fits(&arrived[0], &expected_of_symfony("eins", ""));
    assert_fits(&arrived[1], &expected_of_symfony("zwei", ""));
}

#[test]
fn php_mail_that_passes_an_injected_option_on_fails_and_writes_nothing() {
    isolated!();
    let host = require!(Host::start());
    let ended = run(mail(&host).arg("-X/tmp/written"), b"").ended_with(1);
    assert!(ended.stderr.contains("sendmail: fatal: alice(4301): "), "{ended:?}");
    assert!(!host.root.join("tmp/written").exists() && host.installation.spooled("new").is_empty());
    assert!(host.receiver.connections().is_empty());
}
