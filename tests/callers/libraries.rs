//! The mail libraries of Perl, Ruby, JavaScript and Python.

use std::process::Command;

use super::{ALICE, BODY, Host, assert_fits};
use crate::support::parts::{self, Missing};

/// alice's `program` with one of the scripts beside this file.
fn script(host: &Host, program: &str, name: &str, text: &str) -> Command {
    let path = format!("srv/{name}");
    host.root.write(&path, text);
    let mut command = host.alice(program);
    command.arg(format!("/{path}"));
    command
}

pub(crate) fn email_sender(host: &Host) -> Command {
    script(host, "/usr/bin/perl", "email_sender.pl", include_str!("email_sender.pl"))
}

pub(crate) fn mime_lite(host: &Host) -> Command {
    script(host, "/usr/bin/perl", "mime_lite.pl", include_str!("mime_lite.pl"))
}

pub(crate) fn ruby_mail(host: &Host) -> Command {
    script(host, "/usr/bin/ruby", "mail.rb", include_str!("mail.rb"))
}

/// `newline` is its setting of that name: `unix` or `windows`.
pub(crate) fn nodemailer(host: &Host, newline: &str) -> Result<Command, Missing> {
    host.show(&parts::node_modules()?, "/srv/node_modules");
    let mut command = script(host, "/usr/bin/node", "nodemailer.js", include_str!("nodemailer.js"));
    command.arg(newline);
    Ok(command)
}

pub(crate) fn django(host: &Host) -> Result<Command, Missing> {
    host.show(&parts::site_packages()?, "/srv/site-packages");
    let mut command = script(host, "/usr/bin/python3", "django_mail.py", include_str!("django_mail.py"));
    command.env("PYTHONPATH", "/srv/site-packages").env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

#[test]
fn perl_email_sender_sends_to_its_operands() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut email_sender(&host), b"");
    host.assert_arrived(&format!(
        r#"MAIL FROM:<bounce@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
From: Alice <rps@sender.example>
To: Bob <bob@receiver.example>, carol@receiver.example
Subject: Passwort =?utf-8?Q?zur=C3=BCcksetzen?=
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
Date: *, * +*
Message-ID: <*@sender.example>

{BODY}"#
    ));
}

#[test]
fn perl_mime_lite_sends_with_t() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut mime_lite(&host), b"");
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
Content-Disposition: inline
Content-Transfer-Encoding: 8bit
Content-Type: text/plain; charset=utf-8
MIME-Version: 1.0
X-Mailer: MIME::Lite *
Date: *, * +0000
From: Alice <rps@sender.example>
To: Bob <bob@receiver.example>
Cc: carol@receiver.example
Subject: Passwort =?utf-8?Q?zur=C3=BCcksetzen?=
Message-ID: <*@sender.example>

{BODY}"#
    ));
}

#[test]
fn c6_ruby_mail_sends_to_addresses_that_it_quoted_for_a_shell() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut ruby_mail(&host), b"");
    // The =0D are Ruby's: it encodes its CRLF.
    host.assert_arrived(&format!(
        r#"MAIL FROM:<rps@sender.example>
RCPT TO:<bob@receiver.example>,<o'neil@receiver.example>,<x=y@receiver.example>,<hidden@receiver.example>

{ALICE}
Date: *, * +0000
From: =?UTF-8?B?UsOlZGdpdm5pbmc=?= <rps@sender.example>
To: Bob <bob@receiver.example>,*
 o'neil@receiver.example,*
 x=y@receiver.example
Message-ID: <*@host.sender.example.mail>
Subject: =?UTF-8?Q?Passwort_zur=C3=BCcksetzen?=
Mime-Version: 1.0
Content-Type: text/plain;
 charset=UTF-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe,=0D
.=0D
..zwei=0D
From hier an=0D
  Ende=0D
"#
    ));
}

#[test]
fn c2_nodemailer_sends_with_either_line_end_and_its_bcc_stays_private() {
    isolated!();
    let host = require!(Host::start());
    for newline in ["unix", "windows"] {
        host.quiet(&mut require!(nodemailer(&host, newline)), b"");
    }
    for arrived in host.arrived(2) {
        assert_fits(
            &arrived,
            &format!(
                r#"MAIL FROM:<rps@sender.example>
RCPT TO:<bob@receiver.example>,<carol@receiver.example>,<hidden@receiver.example>

{ALICE}
X-Long: word word word word word word word word word word word word word
 word word word word word word word word word word word word word word word
 word word
From: =?UTF-8?Q?R=C3=A5dgivning?= <rps@sender.example>
To: Bob <bob@receiver.example>
Cc: carol@receiver.example
Subject: =?UTF-8?Q?Passwort_zur=C3=BCcksetzen?=
Message-ID: <*@sender.example>
Date: *, * +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="*"

--*
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe,
.
..zwei
From hier an
  Ende

--*
Content-Type: application/octet-stream; name=bytes.bin
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=bytes.bin

AP8NCi4NCg==
--*--
"#
            ),
        );
    }
}

#[test]
fn django_sends_with_t_alone_and_mails_its_admins() {
    isolated!();
    let host = require!(Host::start());
    host.quiet(&mut require!(django(&host)), b"");
    let arrived = host.arrived(2);
    // No copy for hidden@: Django writes no Bcc field, and the backend gives no operand. The sender is the uid's (S5).
    assert_fits(
        &arrived[0],
        &format!(
            r#"MAIL FROM:<alice@sender.example> BODY=8BITMIME
RCPT TO:<bob@receiver.example>,<carol@receiver.example>

{ALICE}
Content-Type: multipart/alternative;
 boundary="*"
MIME-Version: 1.0
Subject: =?utf-8?q?Passwort_zur=C3=BCcksetzen?=
From: =?utf-8?q?R=C3=A5dgivning?= <rps@sender.example>
To: Bob <bob@receiver.example>
Cc: carol@receiver.example
Date: *, * -0000
Message-ID: <*@host.sender.example>

--*
Content-Type: text/plain; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: 8bit

{BODY}
--*
Content-Type: text/html; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: 8bit

<p>Grüße
.

--*--
"#
        ),
    );
    assert_fits(
        &arrived[1],
        &format!(
            r#"MAIL FROM:<alice@sender.example> BODY=8BITMIME
RCPT TO:<root@sender.example>

{ALICE}
Content-Type: text/plain; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: 8bit
Subject: [Django] it is broken
From: root@localhost
To: root@localhost
Date: *, * -0000
Message-ID: <*@host.sender.example>

{BODY}"#
        ),
    );
}
