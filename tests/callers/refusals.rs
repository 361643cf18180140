//! What each caller does when mail cannot be kept: that `sendmail` failed, and why, reaches whoever asked for the mail.

use std::process::Command;

use super::{BODY, Host, libraries, mailers, php};
use crate::support::command::run;

/// A caller, the exit code that it gives, and what it says.
type Refused = (&'static str, Command, i32, &'static str);

/// The reason that `sendmail` gives.
const REASON: &str = "sendmail: fatal: alice(4301): cannot open the drop directory";

#[test]
fn every_caller_learns_that_its_message_was_not_kept() {
    isolated!();
    let mut host = require!(Host::start());
    let callers: [Refused; 14] = [
        ("mail() of PHP", php::mail(&host), 1, REASON),
        ("PHPMailer", php::phpmailer(&host), 255, "Could not execute: /usr/sbin/sendmail"),
        ("Symfony, -bs", php::symfony(&host, "/usr/sbin/sendmail -bs"), 255, "\"451 4.3.0 Error: cannot open the drop directory"),
        ("Symfony, -t", php::symfony(&host, "/usr/sbin/sendmail -oi -t"), 255, "Process failed with exit code 73: sendmail: fatal: "),
        ("Email::Sender", libraries::email_sender(&host), 73, "error when closing pipe to sendmail"),
        ("MIME::Lite", libraries::mime_lite(&host), 73, REASON),
        // The gem takes no DSN of the exit code before its version 2.8; the reason is all that its caller sees.
        ("mail of Ruby", libraries::ruby_mail(&host), 0, REASON),
        ("nodemailer", require!(libraries::nodemailer(&host, "unix")), 1, "Sendmail exited with code 73"),
        ("Django", require!(libraries::django(&host)), 1, "send_messages failed: b'sendmail: fatal: "),
        ("git send-email", require!(mailers::git_send_email(&host)), 73, REASON),
        ("s-nail", mailers::s_nail(&host), 4, "... message not sent"),
        ("bsd-mailx", mailers::bsd_mailx(&host), 1, "sendmail process failed with error code 73"),
        ("mailutils", mailers::mailutils(&host), 1, "cannot send message: Process exited with a non-zero status"),
        ("mutt", mailers::mutt(&host), 1, "child exited 73 (Can't create output.)"),
    ];
    // Both doors are shut: there is no daemon and no drop directory.
    host.installation.stop_daemon();
    let spool = host.installation.paths.spool.clone();
    std::fs::rename(spool.join("new"), spool.join("gone")).unwrap();
    for (name, mut command, code, says) in callers {
        let ended = run(&mut command, BODY.as_bytes());
        let said = ended.stdout + &ended.stderr;
        assert!(ended.code == Some(code) && said.contains(says), "{name}: {:?}\n{said}", ended.code);
    }
    // And indeed nothing was: there is nothing to deliver when the door is open again.
    std::fs::rename(spool.join("gone"), spool.join("new")).unwrap();
    host.installation.start_daemon();
    host.quiet(&mut libraries::mime_lite(&host), b"");
    assert!(host.arrived(1)[0].contains("MIME::Lite"));
}
