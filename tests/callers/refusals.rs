//! When mail cannot be kept: `sendmail` fails each caller, says why, and keeps nothing. What the caller makes of that is recorded:
//! some versions take no notice of an exit code.

use std::process::Command;

use super::judge::Call;
use super::{BODY, Host, libraries, mailers, php};

/// The reason that `sendmail` gives.
const REASON: &str = "sendmail: fatal: alice(4301): cannot open the drop directory";
/// And in a session.
const REPLY: &str = "451 4.3.0 Error: cannot open the drop directory";

#[test]
fn every_caller_is_told_that_its_message_was_not_kept() {
    isolated!();
    let mut host = require!(Host::start());
    let callers: [(&str, Command); 14] = [
        ("mail() of PHP", php::mail(&host)),
        ("PHPMailer", php::phpmailer(&host)),
        ("Symfony, -bs", php::symfony(&host, "/usr/sbin/sendmail -bs")),
        ("Symfony, -t", php::symfony(&host, "/usr/sbin/sendmail -oi -t")),
        ("Email::Sender", libraries::email_sender(&host)),
        ("MIME::Lite", libraries::mime_lite(&host)),
        ("mail of Ruby", libraries::ruby_mail(&host)),
        ("nodemailer", require!(libraries::nodemailer(&host, "unix"))),
        ("Django", require!(libraries::django(&host))),
        ("git send-email", require!(mailers::git_send_email(&host))),
        ("s-nail", mailers::s_nail(&host)),
        ("bsd-mailx", mailers::bsd_mailx(&host)),
        ("mailutils", mailers::mailutils(&host)),
        ("mutt", mailers::mutt(&host)),
    ];
    // Both doors are shut: there is no daemon and no drop directory.
    host.installation.stop_daemon();
    let spool = host.installation.paths.spool.clone();
    std::fs::rename(spool.join("new"), spool.join("gone")).unwrap();
    for (name, mut command) in callers {
        host.forget_calls();
        host.run(&format!("{name}, refused"), &mut command, BODY.as_bytes());
        let calls = host.calls();
        assert!(!calls.is_empty() && calls.iter().all(is_refused), "{name}: {calls:?}");
    }
    // And indeed nothing was: there is nothing to deliver when the door is open again.
    std::fs::rename(spool.join("gone"), spool.join("new")).unwrap();
    host.installation.start_daemon();
    host.forget_calls();
    host.run("MIME::Lite", &mut libraries::mime_lite(&host), b"");
    host.judge("MIME::Lite", 1, &[("rps@sender.example", &super::THREE)]);
}

/// The table of sysexits.h for `sendmail`, a reply to the command for a session.
fn is_refused(call: &Call) -> bool {
    if call.is_session() { call.stdout.contains(REPLY) } else { call.code == 73 && call.stderr.starts_with(REASON) }
}
