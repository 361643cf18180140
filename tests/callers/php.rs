//! PHP: `mail()` of the language, and the two libraries that most applications send with.

use std::process::Command;

use super::judge::Call;
use super::{Host, THREE};

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
    host.run("mail() of PHP", &mut mail(&host), b"");
    host.judge("mail() of PHP", 1, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn p5_of_two_senders_that_php_gives_the_one_of_the_call_wins() {
    isolated!();
    let host = require!(Host::start());
    let mut command = mail(&host);
    host.root.write("srv/site.ini", "sendmail_path = \"/usr/sbin/sendmail -t -i -fsite@sender.example\"\n");
    command.env("PHP_INI_SCAN_DIR", "/srv");
    host.run("mail() of PHP with a sender of the site", &mut command, b"");
    host.judge("mail() of PHP with a sender of the site", 1, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn phpmailer_sends_with_its_sender_glued_to_f() {
    isolated!();
    let host = require!(Host::start());
    host.run("PHPMailer", &mut phpmailer(&host), b"");
    host.judge("PHPMailer", 1, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn c3_symfony_mailer_sends_two_messages_in_one_bs_session() {
    isolated!();
    let host = require!(Host::start());
    host.run("Symfony, -bs", &mut symfony(&host, "/usr/sbin/sendmail -bs"), b"");
    host.judge("Symfony, -bs", 2, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn symfony_mailer_that_is_told_to_use_t_gives_its_recipients_as_operands() {
    isolated!();
    let host = require!(Host::start());
    host.run("Symfony, -t", &mut symfony(&host, "/usr/sbin/sendmail -oi -t"), b"");
    host.judge("Symfony, -t", 2, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn php_mail_that_passes_an_injected_option_on_fails_and_writes_nothing() {
    isolated!();
    let host = require!(Host::start());
    host.run("mail() of PHP with an injected option", mail(&host).arg("-X/tmp/written"), b"");
    let calls = host.calls();
    let refused = |call: &Call| call.code == 64 && call.stderr.starts_with("sendmail: fatal: alice(4301): ");
    assert!(calls.len() == 1 && calls.iter().all(refused), "{calls:?}");
    assert!(!host.root.join("tmp/written").exists() && host.installation.spooled("new").is_empty());
    assert!(host.receiver.connections().is_empty());
}
