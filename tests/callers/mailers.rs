//! Mail programs that people and their scripts use at a prompt.

use std::path::Path;
use std::process::Command;

use super::{BODY, Host, THREE};
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
    host.run("s-nail", &mut s_nail(&host), BODY.as_bytes());
    host.judge("s-nail", 1, &[("rps@sender.example", &THREE)]);
}

#[test]
fn bsd_mailx_sends_to_a_bare_name_too() {
    isolated!();
    let host = require!(Host::start());
    host.run("bsd-mailx", &mut bsd_mailx(&host), BODY.as_bytes());
    host.judge("bsd-mailx", 1, &[("rps@sender.example", &[&THREE[..], &["root@sender.example"]].concat())]);
}

#[test]
fn mailutils_mail_sends_without_a_from_field() {
    isolated!();
    let host = require!(Host::start());
    host.run("mailutils", &mut mailutils(&host), BODY.as_bytes());
    host.judge("mailutils", 1, &[("rps@sender.example", &THREE)]);
}

#[test]
fn c4_mutt_sends_latin1_and_its_dsn_options_reach_the_next_hop() {
    isolated!();
    let host = require!(Host::start_before(Script::new().offer("8BITMIME").offer("DSN")));
    host.run("mutt", &mut mutt(&host), BODY.as_bytes());
    host.judge("mutt", 1, &[("rps@sender.example", &THREE)]);
}

#[test]
fn git_send_email_sends_a_series() {
    isolated!();
    let host = require!(Host::start());
    host.run("git send-email", &mut require!(git_send_email(&host)), b"");
    host.judge("git send-email", 2, &[("alice@sender.example", &THREE)]);
}
