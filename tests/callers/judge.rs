//! What `sendmail` was given, and whether that is what the next hop got: the envelope, the fields, the body byte for byte.
//!
//! In: the calls that record.py wrote down, the transactions of the receiver. Trusted is neither: from the arguments and the bytes of
//! a call the message is worked out once more, by means that share nothing with the product but the standard. What a caller gives is
//! its own affair and changes with its version; what comes of it is ours.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::support::command::wait_for;
use crate::support::message::Message;
use crate::support::scripted::Transaction;

/// The domain of bare names.
const DOMAIN: &str = "sender.example";
/// What may be added where it is missing.
const ADDED: [&str; 7] = ["Received", "Date", "Message-ID", "From", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];

/// One run of `sendmail`.
#[derive(Debug)]
pub(crate) struct Call {
    pub uid: u32,
    pub argv: Vec<String>,
    pub stdin: Vec<u8>,
    pub stdout: String,
    pub stderr: String,
    /// Minus the signal, if one ended it.
    pub code: i32,
}

impl Call {
    /// All of them, oldest first. Waits for those that run: not every caller does.
    #[track_caller]
    pub(crate) fn all(directory: &Path) -> Vec<Call> {
        let mut directories: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        directories.sort();
        directories.iter().map(|directory| Call::read(directory)).collect()
    }

    #[track_caller]
    fn read(directory: &Path) -> Call {
        let bytes = |name: &str| std::fs::read(directory.join(name)).unwrap_or_default();
        let text = |name: &str| String::from_utf8_lossy(&bytes(name)).into_owned();
        wait_for("the end of sendmail", || directory.join("code").exists());
        let code = text("code").parse().unwrap();
        let word = |bytes: &[u8]| std::ffi::OsString::from_vec(bytes.to_vec()).to_string_lossy().into_owned();
        let argv = bytes("argv").split(|&byte| byte == 0).map(word).collect();
        Call { uid: text("uid").parse().unwrap(), argv, stdin: bytes("stdin"), stdout: text("stdout"), stderr: text("stderr"), code }
    }

    pub(crate) fn is_session(&self) -> bool {
        self.argv.iter().any(|word| word == "-bs")
    }

    /// Asserts that it took what it was given, and said nothing that is no SMTP.
    #[track_caller]
    pub(crate) fn assert_taken(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        let refusals = self.stdout.lines().filter(|line| line.starts_with(['4', '5'])).count();
        assert!(refusals == 0 && (self.is_session() || self.stdout.is_empty()), "{self:?}");
    }

    /// The messages that it was given.
    pub(crate) fn submissions(&self) -> Vec<Submission> {
        if self.is_session() { self.session() } else { vec![self.message()] }
    }

    fn message(&self) -> Submission {
        let Options { letters, operands } = Options::of(&self.argv);
        let value = |wanted: &str| letters.iter().rev().find(|(letter, _)| wanted.contains(*letter)).map(|(_, value)| value.clone());
        let has = |wanted: char, text: &str| letters.iter().any(|(letter, value)| *letter == wanted && value == text);
        let mut bytes = with_lf(&self.stdin);
        if !(has('i', "") || has('o', "i")) && bytes.ends_with(b"\n.\n") {
            bytes.truncate(bytes.len() - 2);
        }
        let owner = if self.uid == 0 { "root" } else { "alice" };
        // An operand may be a list (cron), and quoted for a shell (Ruby).
        let mut recipients: Vec<String> = operands.iter().flat_map(|list| list.split(',')).map(|one| one.replace('\\', "")).collect();
        if has('t', "") {
            recipients.extend(addresses_in(&bytes));
        }
        Submission::new(value("fr").as_deref().unwrap_or(owner), &recipients, bytes, (value("N"), value("R")))
    }

    /// RFC 5321, as far as callers speak it.
    fn session(&self) -> Vec<Submission> {
        let (mut found, mut mail, mut recipients, mut content) = (Vec::new(), String::new(), Vec::new(), None::<Vec<u8>>);
        for line in with_lf(&self.stdin).split_inclusive(|&byte| byte == b'\n') {
            match &mut content {
                Some(bytes) if line == b".\n" => {
                    found.push(Submission::new(&mail, &std::mem::take(&mut recipients), std::mem::take(bytes), (None, None)));
                    content = None;
                }
                // RFC 5321 4.5.2
                Some(bytes) => bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(line)),
                None => {
                    let text = String::from_utf8_lossy(line).trim().to_owned();
                    let path = |text: &str| text.split_once(':').map_or("", |(_, path)| path.split(' ').next().unwrap()).to_owned();
                    match text.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                        "MAIL" => mail = path(&text),
                        "RCPT" => recipients.push(path(&text)),
                        "DATA" => content = Some(Vec::new()),
                        _ => {}
                    }
                }
            }
        }
        found
    }
}

/// The options of sendmail(8), each with its value, and the operands.
struct Options {
    letters: Vec<(char, String)>,
    operands: Vec<String>,
}

impl Options {
    fn of(argv: &[String]) -> Options {
        let (mut letters, mut operands, mut words) = (Vec::new(), Vec::new(), argv.iter());
        while let Some(word) = words.next() {
            match word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                Some("-") => operands.extend(words.by_ref().cloned()),
                None => operands.push(word.clone()),
                Some(rest) => Options::word(rest, &mut words, &mut letters),
            }
        }
        Options { letters, operands }
    }

    /// A word of options: letters alone, and at most one at its end that takes the rest, or the next word.
    fn word(mut rest: &str, next: &mut std::slice::Iter<String>, letters: &mut Vec<(char, String)>) {
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let is_glued = "bodq".contains(letter);
            if !is_glued && !"BCFfhLMNOpRrVX".contains(letter) {
                letters.push((letter, String::new()));
                continue;
            }
            let value = if rest.is_empty() && !is_glued { next.next().cloned().unwrap_or_default() } else { rest.to_owned() };
            return letters.push((letter, value));
        }
    }
}

/// A message on its way to the next hop, as it should be.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The reverse-path and the forward-paths, with their parameters (RFC 3461), in order of the alphabet.
    mail: String,
    recipients: Vec<String>,
    /// The fields, but for those that are not for others: Bcc, and Return-Path, which the last hop writes (RFC 5321 4.4).
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Submission {
    fn new(sender: &str, recipients: &[String], bytes: Vec<u8>, (notify, ret): (Option<String>, Option<String>)) -> Submission {
        let notify = notify.map(|words| format!(" NOTIFY={}", words.to_uppercase())).unwrap_or_default();
        let mut recipients: Vec<String> = recipients.iter().map(|address| format!("<{}>{notify}", whole(address))).collect();
        recipients.sort();
        recipients.dedup();
        let (mut fields, body) = split(&bytes);
        fields.retain(|(name, _)| name != "bcc" && name != "return-path");
        let ret = ret.map(|word| format!(" RET={}", word.to_uppercase())).unwrap_or_default();
        Submission { mail: format!("<{}>{ret}", whole(sender)), recipients, fields, body }
    }

    /// The error says what is not as it should be.
    pub(crate) fn compare(&self, arrived: &Transaction, uid: u32) -> Result<(), String> {
        let data = with_lf(&arrived.data);
        let (mut fields, body) = split(&data);
        let eight_bit = data.iter().any(|byte| !byte.is_ascii());
        same("MAIL FROM, but for BODY", &arrived.mail.replace(" BODY=8BITMIME", ""), &self.mail)?;
        same("BODY=8BITMIME", &arrived.mail.contains(" BODY=8BITMIME"), &eight_bit)?;
        let mut recipients = arrived.recipients.clone();
        recipients.sort();
        same("RCPT TO", &recipients, &self.recipients)?;
        same("the body", &shown(&body), &shown(&self.body))?;
        let received = fields.remove(0);
        let is_ours = received.0 == "received" && received.1.starts_with(&format!("by {DOMAIN} (mailchute, from userid {uid}) id "));
        same("our Received first", &is_ours, &true)?;
        for name in ["date", "message-id", "from"] {
            same(name, &fields.iter().filter(|(own, _)| own == name).count(), &1)?;
        }
        let is_given = |name: &str| self.fields.iter().any(|(own, _)| own == name);
        fields.retain(|(name, _)| is_given(name) || !ADDED.iter().any(|added| added.eq_ignore_ascii_case(name)));
        same("the fields", &fields, &self.fields)
    }

    /// The reverse-path and the forward-paths, without their parameters.
    pub(crate) fn paths(&self) -> (&str, BTreeSet<&str>) {
        let path = |argument: &'_ str| argument.find('>').map_or(0..0, |end| 1..end);
        (&self.mail[path(&self.mail)], self.recipients.iter().map(|one| &one[path(one)]).collect())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, expected: &T) -> Result<(), String> {
    if is == expected { Ok(()) } else { Err(format!("{what}\nis:       {is:?}\nexpected: {expected:?}")) }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Every line ends in LF, the last one too.
fn with_lf(bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<u8> = Vec::with_capacity(bytes.len() + 1);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        lines.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        lines.push(b'\n');
    }
    lines
}

/// A header section as names in lower case and values as a reader sees them, and the bytes of the body.
fn split(bytes: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let end = bytes.windows(2).position(|two| two == b"\n\n").map_or(bytes.len(), |at| at + 1);
    let body = bytes.get(end + 1..).unwrap_or_default().to_vec();
    let fields = Message::parse(&bytes[..end]).fields;
    (fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), seen(&value))).collect(), body)
}

/// A value unfolded, its encoded words decoded (RFC 2047), bare names as they were before they got their domain.
fn seen(value: &str) -> String {
    let field = format!("Subject: {}\r\n\r\n", value.replace('\n', "\r\n"));
    let parsed = mail_parser::MessageParser::default().parse(field.as_bytes()).and_then(|one| one.subject().map(str::to_owned));
    let text = parsed.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    [format!("@{DOMAIN}"), "@localhost".to_owned()].iter().fold(text, |text, domain| text.replace(domain, ""))
}

/// An address with its domain.
fn whole(address: &str) -> String {
    let address = address.trim_start_matches('<').trim_end_matches('>');
    let local = address.strip_suffix("@localhost").unwrap_or(address);
    if local.contains('@') || local.is_empty() { local.to_owned() } else { format!("{local}@{DOMAIN}") }
}

/// The addresses in To, Cc and Bcc.
fn addresses_in(bytes: &[u8]) -> Vec<String> {
    let message = mail_parser::MessageParser::default().parse(bytes).unwrap();
    let lists = [message.to(), message.cc(), message.bcc()];
    let all = lists.iter().flatten().flat_map(|list| list.iter());
    all.filter_map(|one| one.address.as_ref().or(one.name.as_ref())).map(ToString::to_string).collect()
}

#[test]
fn options_are_read_as_sendmail_reads_them() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let Options { letters, operands } = Options::of(&words("-ti -fa@x -F Name -oi -bm -N never b@y -- -c"));
    let letters: Vec<String> = letters.iter().map(|(letter, value)| format!("{letter}{value}")).collect();
    assert_eq!((letters, operands), (words("t i fa@x FName oi bm Nnever"), words("b@y -c")));
}

#[test]
fn a_message_that_was_changed_on_its_way_is_seen() {
    let call = |argv: &[&str], stdin: &[u8]| Call {
        uid: 4301,
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        stdin: stdin.to_vec(),
        stdout: String::new(),
        stderr: String::new(),
        code: 0,
    };
    let given = &call(&["-t", "-i"], b"To: Bob <bob@r.example>, root\nBcc: h@r.example\nSubject: \xc3\xbc\n\n.\n\xc3\xbc").submissions()[0];
    let data = "Received: by sender.example (mailchute, from userid 4301)\r\n\tid 1; now\r\nTo: Bob <bob@r.example>, root@sender.example\r\n\
        Subject: =?utf-8?Q?=C3=BC?=\r\nDate: now\r\nMessage-ID: <1@sender.example>\r\nFrom: alice@sender.example\r\n\r\n.\r\nü\r\n";
    let arrived = Transaction {
        mail: "<alice@sender.example> BODY=8BITMIME".to_owned(),
        recipients: ["<root@sender.example>", "<bob@r.example>", "<h@r.example>"].map(str::to_owned).to_vec(),
        data: data.as_bytes().to_vec(),
        accepted: true,
    };
    assert_eq!(given.compare(&arrived, 4301), Ok(()));
    for (from, to) in
        [("\r\n.\r\n", "\r\n..\r\n"), ("=BC", "=BD"), ("Bob", "Bub"), ("4301", "0"), ("Date", "Dote"), ("From", "Bcc: x\r\nFrom")]
    {
        let changed = Transaction { data: data.replacen(from, to, 1).into_bytes(), ..arrived.clone() };
        assert!(given.compare(&changed, 4301).is_err(), "{from:?} as {to:?}");
    }
    assert!(given.compare(&Transaction { recipients: vec!["<bob@r.example>".to_owned()], ..arrived.clone() }, 4301).is_err());
    assert!(given.compare(&Transaction { mail: "<alice@sender.example>".to_owned(), ..arrived }, 4301).is_err());
}
