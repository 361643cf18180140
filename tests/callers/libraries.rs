//! The mail libraries of Perl, Ruby, JavaScript and Python.

use std::process::Command;

use super::{Host, THREE};
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
    host.run("Email::Sender", &mut email_sender(&host), b"");
    host.judge("Email::Sender", 1, &[("bounce@sender.example", &THREE)]);
}

#[test]
fn perl_mime_lite_sends_with_t() {
    isolated!();
    let host = require!(Host::start());
    host.run("MIME::Lite", &mut mime_lite(&host), b"");
    host.judge("MIME::Lite", 1, &[("rps@sender.example", &THREE)]);
}

#[test]
fn c6_ruby_mail_sends_to_addresses_that_it_quoted_for_a_shell() {
    isolated!();
    let host = require!(Host::start());
    host.run("mail of Ruby", &mut ruby_mail(&host), b"");
    let recipients = ["bob@receiver.example", "o'neil@receiver.example", "x=y@receiver.example", "hidden@receiver.example"];
    host.judge("mail of Ruby", 1, &[("rps@sender.example", &recipients)]);
}

#[test]
fn c2_nodemailer_sends_with_either_line_end_and_its_bcc_stays_private() {
    isolated!();
    let host = require!(Host::start());
    for newline in ["unix", "windows"] {
        host.run("nodemailer", &mut require!(nodemailer(&host, newline)), b"");
    }
    host.judge("nodemailer", 2, &[("rps@sender.example", &THREE)]);
}

#[test]
fn django_sends_with_t_alone_and_mails_its_admins() {
    isolated!();
    let host = require!(Host::start());
    host.run("Django", &mut require!(django(&host)), b"");
    // No copy for hidden@: Django writes no Bcc field, and the backend gives no operand. The sender is the uid's (S5).
    host.judge("Django", 2, &[("alice@sender.example", &THREE[..2]), ("alice@sender.example", &["root@sender.example"])]);
}
