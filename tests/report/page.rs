//! The report page, read by an HTML parser and drawn by a browser, with hostile mail in it (THREATS T-OUT-1, T-OUT-2).

use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::{self, wait_for};
use crate::support::installation::Installation;
use crate::support::parts::{self, Missing};
use crate::support::scripted::{Receiver, Reply, Script};

/// Elements that do nothing but hold text or draw.
const HARMLESS: &[&str] = &[
    "article", "b", "bdi", "body", "br", "code", "details", "div", "footer", "g", "h1", "h2", "h3", "head", "header", "html", "li", "line",
    "main", "meta", "p", "polyline", "rect", "samp", "section", "span", "style", "summary", "svg", "table", "tbody", "td", "th", "thead",
    "time", "title", "tr", "ul",
];
/// Attributes that neither act nor refer to anything.
const INERT: &[&str] = &[
    "aria-label",
    "charset",
    "class",
    "colspan",
    "content",
    "datetime",
    "height",
    "http-equiv",
    "lang",
    "name",
    "points",
    "preserveAspectRatio",
    "role",
    "scope",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
];

/// What html5lib reads in a page (tests/support/html_judge.py).
fn judge(page: &str) -> Result<Value, Missing> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/html_judge.py");
    let ended = command::run(Command::new(parts::python()?).arg(script), page.as_bytes()).succeeded();
    Ok(serde_json::from_str(&ended.stdout).unwrap())
}

/// Nothing in the page can act, and a browser is told to allow nothing.
#[track_caller]
fn assert_is_inert(judged: &Value) {
    let beyond = |key: &str, allowed: &[&str]| {
        let names = judged[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
        names.filter(|name| !allowed.contains(&name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!((beyond("elements", HARMLESS), beyond("attributes", INERT)), (vec![], vec![]));
    for key in ["errors", "style_references", "inline_styles", "unsafe_characters"] {
        assert_eq!(judged[key], json!([]), "{key}");
    }
    let hash = judged["style_hashes"][0].as_str().unwrap();
    let policy = format!("default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action 'none'");
    assert_eq!((&judged["policies"], judged["style_hashes"].as_array().unwrap().len()), (&json!([policy]), 1));
}

/// A receiver whose replies are hostile.
fn hostile() -> Receiver {
    let markup = "</samp></svg><script>alert(1)</script><style>*{display:none}</style><!-- <title>";
    let refused = [&b"550-5.1.1 "[..], markup.as_bytes(), b"\r\n550 5.1.1 \x1b[2J\xe2\x80\xae\xff\xc2\x9b evil \r\n"].concat();
    Script::new()
        .on("RCPT TO:<gone", Reply::Raw(refused))
        .say("RCPT TO:<\"<img", "550 5.7.1 <meta http-equiv=refresh content=\"0;url=http://evil.example\">")
        .say("RCPT TO:<later", "450 4.2.1 <iframe src=//evil.example> mailbox busy")
        .start()
}

/// An installation with hostile mail that failed, waits, and was delivered.
fn with_hostile_mail(receiver: &Receiver) -> Installation {
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let send = |subject: &[u8], recipient: &str| {
        let message = [b"From: a@author.example\nSubject: ", subject, b"\n\nHello\n"].concat();
        installation.sendmail(&["-N", "never", "-f", "alice@author.example", recipient], &message).succeeded();
    };
    send(b"<img src=x onerror=alert(1)> \"' &lt;", "gone1@receiver.example");
    send(b"=?utf-8?q?</svg><script>alert(2)</script>=1B[2J=E2=80=AE?=", "gone2@receiver.example");
    send(b"\xff\xfe\xe2\x80\xae raw \x07", "\"<img/onerror=x>\"@receiver.example");
    send("שלום \u{2066}".as_bytes(), "later@receiver.example");
    send(b"well", "bob@receiver.example");
    wait_for("three failures", || installation.spooled("failed").len() == 3);
    receiver.wait_for_messages(1);
    installation.wait_for_entry("the reply", |entry| entry["queue_name"] == "deferred");
    installation
}

#[track_caller]
fn assert_shows_the_mail(text: &str, isolated: &[Value]) {
    for shown in ["<img src=x onerror=alert(1)> \"' &lt;", "</svg><script>alert(2)</script>\\x1b[2J\\u{202e}"] {
        assert!(isolated.iter().any(|one| one == shown), "{shown}: {isolated:?}");
    }
    let replies = ["<script>alert(1)</script><style>*{display:none}</style><!-- <title>", "<iframe src=//evil.example> mailbox busy"];
    for shown in
        replies.iter().chain(&["<meta http-equiv=refresh", "mailchute requeue", "receiver.example", "3 messages failed permanently"])
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[test]
fn t_out_2_hostile_mail_is_text_in_the_report_page_and_nothing_else() {
    let receiver = hostile();
    let mut installation = with_hostile_mail(&receiver);
    let file = installation.paths.config_file.with_file_name("report.html");
    installation.mailchute(&["report", "--html", file.to_str().unwrap()]).succeeded();
    let page = std::fs::read_to_string(&file).unwrap();
    // A stopped daemon's spool tells the same of its messages.
    installation.stop_daemon();
    let offline = installation.mailchute(&["report", "--html"]).succeeded().stdout;
    assert!(offline.contains("The daemon is stopped") && page.contains("Next hop:"));
    for page in [page, offline] {
        let judged = require!(judge(&page));
        assert_is_inert(&judged);
        assert_shows_the_mail(judged["text"].as_str().unwrap(), judged["isolated"].as_array().unwrap());
    }
}

#[test]
fn the_report_page_of_an_installation_without_mail_is_whole() {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let page = installation.mailchute(&["report", "--html"]).succeeded().stdout;
    let judged = require!(judge(&page));
    assert_is_inert(&judged);
    for shown in ["No problems", "0 queued0 held0 failed", "No alarms, no suspended next hops", "sender.example"] {
        assert!(judged["text"].as_str().unwrap().contains(shown), "{shown}: {judged}");
    }
}

#[test]
fn the_report_page_is_its_readers_alone_and_a_file_that_cannot_be_written_is_named() {
    use std::os::unix::fs::MetadataExt;
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    let file = installation.paths.config_file.with_file_name("report.html");
    installation.mailchute(&["report", "--html", file.to_str().unwrap()]).succeeded();
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let refused = installation.mailchute(&["report", "--html", "/nonexistent/report.html"]);
    assert_eq!(refused.code, Some(73), "{}", refused.stderr);
    assert!(refused.stderr.contains("/nonexistent/report.html"), "{}", refused.stderr);
}

/// Where a browser draws the page, and what it says of it. The package `chromium` is 100 MB and more: it is used where the host has
/// it, and not brought.
#[test]
fn t_out_2_a_browser_draws_the_report_page_in_light_and_dark_and_refuses_nothing_in_it() {
    let chromium = match parts::tool("chromium") {
        Ok(chromium) => chromium,
        // CI brings every other part.
        Err(missing) if std::env::var_os("CI").is_some() => return eprintln!("SKIPPED: {}", missing.0),
        Err(missing) => return parts::skip(test_name!(), &missing),
    };
    let receiver = hostile();
    let installation = with_hostile_mail(&receiver);
    let file = installation.paths.config_file.with_file_name("report.html");
    installation.mailchute(&["report", "--html", file.to_str().unwrap()]).succeeded();
    let mut pictures = Vec::new();
    for preference in ["light", "dark"] {
        let picture = file.with_file_name(format!("{preference}.png"));
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Command::new(&chromium);
        browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]);
        browser.args(["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"]);
        browser.args(["--hide-scrollbars", "--window-size=1100,1800"]);
        browser.args((preference == "dark").then_some("--blink-settings=preferredColorScheme=0"));
        browser.arg(format!("--user-data-dir={}", profile.path().display())).arg(format!("--screenshot={}", picture.display()));
        let ended = command::run(browser.arg(format!("file://{}", file.display())), b"");
        assert!(picture.is_file(), "{}", ended.stderr);
        assert!(!ended.stderr.contains("CONSOLE"), "{}", ended.stderr);
        pictures.push(std::fs::read(&picture).unwrap());
    }
    assert_ne!(pictures[0], pictures[1], "the two are drawn in different colours");
}
