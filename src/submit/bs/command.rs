//! Parses the commands of `-bs` (RFC 5321 4.1.1). Pure.
//!
//! In: one line of an untrusted caller, without its line end. Out: a [`Command`], or the reply that refuses it.

use crate::recipients::Wanted;
use config::Names;
use mail::address_list::{AddressList, Spec};
use mail::envelope::{Notify, Ret};
use mail::{Address, ReversePath, limits, xtext};

/// An error reply: code, enhanced status and text (RFC 5321 4.2, RFC 3463).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// 4yz or 5yz
    pub code: u16,
    /// Enhanced status and text.
    pub text: String,
}

impl Refusal {
    /// A refusal with this code and text.
    pub(crate) fn new(code: u16, text: impl Into<String>) -> Refusal {
        Refusal { code, text: text.into() }
    }
}

/// A command of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// HELO
    Helo,
    /// EHLO
    Ehlo,
    /// MAIL
    Mail(Mail),
    /// RCPT
    Rcpt(Rcpt),
    /// DATA
    Data,
    /// RSET
    Rset,
    /// NOOP
    Noop,
    /// VRFY
    Vrfy,
    /// HELP
    Help,
    /// QUIT
    Quit,
}

/// `MAIL FROM:<…>` with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// The reverse-path, qualified.
    pub sender: ReversePath,
    /// RFC 1870; 0 if it was not given.
    pub size: u64,
    /// RFC 3461 4.3
    pub ret: Option<Ret>,
    /// RFC 3461 4.4, decoded.
    pub envid: Option<String>,
}

/// `RCPT TO:<…>` with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rcpt {
    /// The forward-path, not resolved yet.
    pub wanted: Wanted,
    /// RFC 3461 4.1
    pub notify: Option<Notify>,
    /// RFC 3461 4.2, the address still in xtext.
    pub orcpt: Option<String>,
}

/// Parses the command in `line`. `names` qualifies a bare sender.
///
/// Errors: the reply.
pub(crate) fn parse(line: &[u8], names: &Names) -> Result<Command, Refusal> {
    if line.iter().any(u8::is_ascii_control) {
        return Err(Refusal::new(500, "5.5.2 Error: control character in command"));
    }
    let line = std::str::from_utf8(line).map_err(|_| Refusal::new(500, "5.5.2 Error: command is not UTF-8"))?.trim();
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let alone = |command| match rest.trim() {
        "" => Ok(command),
        _ => Err(Refusal::new(501, format!("5.5.4 Syntax: {}", verb.to_ascii_uppercase()))),
    };
    match verb.to_ascii_uppercase().as_str() {
        "HELO" | "EHLO" if rest.trim().is_empty() => Err(Refusal::new(501, "5.5.4 Syntax: HELO hostname")),
        "HELO" => Ok(Command::Helo),
        "EHLO" => Ok(Command::Ehlo),
        "MAIL" => mail(rest, names).map(Command::Mail),
        "RCPT" => rcpt(rest).map(Command::Rcpt),
        "DATA" => alone(Command::Data),
        "RSET" => alone(Command::Rset),
        "QUIT" => alone(Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        "EXPN" | "ETRN" | "TURN" | "STARTTLS" | "BDAT" => Err(Refusal::new(502, "5.5.1 Error: command not implemented")),
        "AUTH" => Err(Refusal::new(503, "5.5.1 Error: authentication not enabled")),
        _ => Err(Refusal::new(500, "5.5.2 Error: command not recognized")),
    }
}

fn mail(rest: &str, names: &Names) -> Result<Mail, Refusal> {
    let (path, parameters) = path_and_parameters(rest, "FROM:").ok_or_else(|| Refusal::new(501, "5.5.4 Syntax: MAIL FROM:<address>"))?;
    let bad = || Refusal::new(501, "5.1.7 Bad sender address syntax");
    let sender = match one_address(path) {
        Some(Spec::Null) => ReversePath::Null,
        Some(Spec::Full(address)) => ReversePath::Address(address),
        Some(Spec::Bare { local, .. }) => ReversePath::Address(Address::new(&local, &names.mailname).map_err(|_| bad())?),
        None => return Err(bad()),
    };
    let mut mail = Mail { sender, size: 0, ret: None, envid: None };
    for parameter in parameters.split_whitespace() {
        mail.take(parameter)?;
    }
    Ok(mail)
}

impl Mail {
    fn take(&mut self, parameter: &str) -> Result<(), Refusal> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => self.size = value.parse().map_err(|_| bad_parameter("SIZE"))?,
            // Only a hint; the content decides.
            "BODY" if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {}
            // RFC 3461 4.5: at most once.
            "RET" if self.ret.is_some() => return Err(bad_parameter(name)),
            "ENVID" if self.envid.is_some() => return Err(bad_parameter(name)),
            "RET" if value.eq_ignore_ascii_case("FULL") => self.ret = Some(Ret::Full),
            "RET" if value.eq_ignore_ascii_case("HDRS") => self.ret = Some(Ret::Hdrs),
            "ENVID" => self.envid = Some(envid(value).ok_or_else(|| bad_parameter("ENVID"))?),
            // RFC 6531 3.4; RFC 4954 5: an unauthenticated client may send AUTH=; it is ignored.
            "SMTPUTF8" | "AUTH" => {}
            "BODY" | "RET" => return Err(bad_parameter(name)),
            _ => return Err(Refusal::new(555, "5.5.4 Unsupported option")),
        }
        Ok(())
    }
}

fn rcpt(rest: &str) -> Result<Rcpt, Refusal> {
    let (path, parameters) = path_and_parameters(rest, "TO:").ok_or_else(|| Refusal::new(501, "5.5.4 Syntax: RCPT TO:<address>"))?;
    let wanted = match one_address(path) {
        Some(Spec::Full(address)) => Wanted::Full(address),
        Some(Spec::Bare { local, .. }) => Wanted::Bare(local),
        Some(Spec::Null) | None => return Err(Refusal::new(501, "5.1.3 Bad recipient address syntax")),
    };
    let mut rcpt = Rcpt { wanted, notify: None, orcpt: None };
    for parameter in parameters.split_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            // RFC 3461 4.5: at most once.
            "NOTIFY" if rcpt.notify.is_some() => return Err(bad_parameter(name)),
            "ORCPT" if rcpt.orcpt.is_some() => return Err(bad_parameter(name)),
            "NOTIFY" => rcpt.notify = Some(Notify::parse(value).ok_or_else(|| bad_parameter("NOTIFY"))?),
            "ORCPT" if xtext::orcpt(value).is_some() => rcpt.orcpt = Some(value.to_owned()),
            "ORCPT" => return Err(bad_parameter("ORCPT")),
            _ => return Err(Refusal::new(555, "5.5.4 Unsupported option")),
        }
    }
    Ok(rcpt)
}

fn bad_parameter(name: &str) -> Refusal {
    Refusal::new(501, format!("5.5.4 Error: bad {} parameter", name.to_ascii_uppercase()))
}

/// Splits the text after `FROM:` or `TO:` into the path and the parameters. Blanks after the colon and a path without brackets are
/// accepted. Characters in a quoted string never end the path.
fn path_and_parameters<'a>(rest: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let head = rest.get(..keyword.len()).filter(|head| head.eq_ignore_ascii_case(keyword))?;
    let path = rest.get(head.len()..)?.trim_start();
    let (mut quoted, mut escaped) = (false, false);
    let bracketed = path.starts_with('<');
    let is_end = |&(_, c): &(usize, char)| {
        let plain = !std::mem::take(&mut escaped);
        match c {
            '\\' if plain => escaped = true,
            '"' if plain => quoted = !quoted,
            '>' => return bracketed && plain && !quoted,
            ' ' => return !bracketed && plain && !quoted,
            _ => {}
        }
        false
    };
    let end = path.char_indices().find(is_end).map_or(path.len(), |(at, _)| if bracketed { at + 1 } else { at });
    let (path, parameters) = path.split_at(end);
    (!path.is_empty() && (parameters.is_empty() || parameters.starts_with(' '))).then_some((path, parameters))
}

/// Parses a path with exactly one address. A source route is dropped (RFC 5321 4.1.2); display names, comments and groups are errors.
fn one_address(path: &str) -> Option<Spec> {
    let list = AddressList::parse(path.as_bytes());
    match list.mailboxes.as_slice() {
        [mailbox] if mailbox.span == (0..path.len()) && list.phrases.is_empty() && list.comments.is_empty() && !list.has_group => {
            mailbox.spec.clone().ok()
        }
        _ => None,
    }
}

/// RFC 3461 4.4: up to 100 characters of xtext, which stand for printable ASCII.
fn envid(value: &str) -> Option<String> {
    let text = String::from_utf8(xtext::decode(value).filter(|_| value.len() <= limits::ENVID)?).ok()?;
    (!text.is_empty() && text.bytes().all(|b| matches!(b, b' '..=b'~'))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, Refusal> {
        parse(line.as_bytes(), &Names::of(Some("m.example"), None, "h", &[]).unwrap())
    }

    fn sender(line: &str) -> Result<String, u16> {
        match command(line) {
            Ok(Command::Mail(mail)) => Ok(mail.sender.to_string()),
            Ok(_) => Err(0),
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn section_8_the_forms_of_mail() {
        for (line, path) in [
            ("MAIL FROM:<a@x.example>", "a@x.example"),
            ("mail from: <a@x.example> SIZE=10 BODY=8BITMIME", "a@x.example"),
            ("MAIL FROM:a@x.example", "a@x.example"),
            ("MAIL FROM:<>", ""),
            ("MAIL FROM:<root>", "root@m.example"),
            ("MAIL FROM:<@r.example:a@x.example>", "a@x.example"),
            ("MAIL FROM:<\"a> b\"@x.example> SMTPUTF8 AUTH=<>", "\"a> b\"@x.example"),
        ] {
            assert_eq!(sender(line).as_deref(), Ok(path), "{line}");
        }
        for (line, code) in [
            ("MAIL", 501),
            ("MAIL TO:<a@x.example>", 501),
            ("MAIL FROM:", 501),
            ("MAIL FROM:<a@x.example", 501),
            ("MAIL FROM:<a@x.example>X", 501),
            ("MAIL FROM:<a b@x.example>", 501),
            ("MAIL FROM:Name <a@x.example>", 555),
            ("MAIL FROM:<a@x.example> SIZE=x", 501),
            ("MAIL FROM:<a@x.example> BODY=BINARYMIME", 501),
            ("MAIL FROM:<a@x.example> RET=x", 501),
            ("MAIL FROM:<a@x.example> MT-PRIORITY=1", 555),
        ] {
            assert_eq!(sender(line), Err(code), "{line}");
        }
    }

    /// RFC 3461 4.1 to 4.4, 5.1, 5.4; RFC 6533 3
    #[test]
    fn s8_parameters_of_rfc_3461() {
        for orcpt in [&format!("rfc822;{}", "a".repeat(493)), "utf-8;gr\u{fc}n@x", "utf-8;gr\\x{FC}n@x"] {
            let Ok(Command::Rcpt(rcpt)) = command(&format!("RCPT TO:<b@x> ORCPT={orcpt}")) else { panic!("{orcpt}") };
            assert_eq!(rcpt.orcpt.as_deref(), Some(orcpt));
        }
        assert!(command(&format!("MAIL FROM:<a@x> ENVID={}", "a".repeat(100))).is_ok());
        let Ok(Command::Mail(mail)) = command("MAIL FROM:<a@x> RET=HDRS ENVID=a+20b+2B SIZE=77") else { panic!() };
        assert_eq!((mail.ret, mail.envid.as_deref(), mail.size), (Some(Ret::Hdrs), Some("a b+"), 77));
        let Ok(Command::Rcpt(rcpt)) = command("RCPT TO:<b@x> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2B@x") else { panic!() };
        assert_eq!((rcpt.notify.map(|n| n.to_string()).as_deref(), rcpt.orcpt.as_deref()), (Some("SUCCESS,DELAY"), Some("rfc822;b+2B@x")));
        for line in [
            "MAIL FROM:<a@x> ENVID=a+0D",
            "MAIL FROM:<a@x> ENVID=+",
            "MAIL FROM:<a@x> ENVID=",
            "MAIL FROM:<a@x> ENVID=a=b",
            "MAIL FROM:<a@x> ENVID=a+2",
            &format!("MAIL FROM:<a@x> ENVID={}", "a".repeat(101)),
            &format!("MAIL FROM:<a@x> ENVID={}", "+20".repeat(34)),
            "RCPT TO:<b@x> ORCPT=b@x",
            "RCPT TO:<b@x> ORCPT=rfc822;b+zz@x",
            "RCPT TO:<b@x> ORCPT=rfc822;b=c@x",
            "RCPT TO:<b@x> ORCPT=rfc822;gr\u{fc}n@x",
            "RCPT TO:<b@x> NOTIFY=NEVER,SUCCESS",
        ] {
            assert_eq!(command(line).map_err(|refusal| refusal.code), Err(501), "{line}");
        }
    }

    /// RFC 3461 4.5, 5.1 (a) and (b)
    #[test]
    fn a_parameter_of_rfc_3461_is_allowed_once() {
        for line in [
            "MAIL FROM:<a@x> RET=HDRS RET=HDRS",
            "MAIL FROM:<a@x> ENVID=1 ret=FULL envid=2",
            "RCPT TO:<b@x> NOTIFY=NEVER NOTIFY=SUCCESS",
            "RCPT TO:<b@x> ORCPT=rfc822;a ORCPT=rfc822;a",
        ] {
            assert_eq!(command(line).map_err(|refusal| refusal.code), Err(501), "{line}");
        }
    }

    #[test]
    fn section_8_the_other_commands() {
        for (line, code) in [
            ("HELO", 501),
            ("EHLO  ", 501),
            ("DATA now", 501),
            ("EXPN list", 502),
            ("ETRN x", 502),
            ("STARTTLS", 502),
            ("BDAT 1 LAST", 502),
            ("AUTH PLAIN x", 503),
            ("XYZZY", 500),
            ("", 500),
            ("NOOP \u{7}", 500),
            ("RCPT TO:<>", 501),
            ("RCPT TO:<-x@y>", 501),
        ] {
            assert_eq!(command(line).map_err(|refusal| refusal.code), Err(code), "{line}");
        }
        assert_eq!(parse(b"NOOP \xff", &Names::of(None, None, "h", &[]).unwrap()).map_err(|refusal| refusal.code), Err(500));
        assert_eq!(command("quit "), Ok(Command::Quit));
        assert_eq!(command("vrfy root"), Ok(Command::Vrfy));
    }
}
