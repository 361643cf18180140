//! `sendmail`, whole: argv and standard input of an untrusted caller, through the entry point, into a real drop directory.
//!
//! Input: how stdin is cut and which configuration holds; how many arguments there are and whether a Bcc is planted; the
//! arguments, each ended by a NUL, argv[0] first; the rest is standard input, each `{` of it 400 bytes.
//!
//! Asserts: a file is there if and only if exit 0 said so; it is what the daemon accepts; no byte of a Bcc is in it; what is
//! printed is text, and a failure is one line.

#![no_main]

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use exit::Exit;
use libfuzzer_sys::fuzz_target;
use mailchute_fuzz::installation::Installation;
use mailchute_fuzz::process::{Descriptors, Printed};
use mailchute_fuzz::{is_printable, steered, widened};
use submit::cli::{self, Mode};
use submit::{self, Ended};

/// A Bcc that no file may show.
const SECRET: &str = "planted-7f3a@secret.example";
const PLANTED: [&str; 4] = ["", "Bcc: ", "bCC \t:", "Resent-Bcc:\r\n "];

thread_local! {
    static WORLD: RefCell<(Installation, Descriptors)> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let Some(([cut, shape], rest)) = steered(data) else { return };
    let mut parts = rest.splitn(usize::from(shape % 16) + 1, |&byte| byte == 0);
    let mut argv: Vec<OsString> = Vec::new();
    for _ in 0..shape % 16 {
        argv.extend(parts.next().map(|part| OsString::from_vec(part.to_vec())));
    }
    let text = widened(parts.next().unwrap_or_default());
    let planted = PLANTED[usize::from(shape / 16 % 4)];
    let input = if planted.is_empty() { text } else { [planted.as_bytes(), SECRET.as_bytes(), b"\n", &text].concat() };
    WORLD.with_borrow_mut(|(installation, descriptors)| {
        installation.configure(cut / 64);
        let (ended, printed) = descriptors.run(&input, usize::from(cut % 64) * 8 + 1, || submit::run(&argv));
        judge(&argv, ended, &printed, installation);
    });
});

fn judge(argv: &[OsString], ended: Ended, printed: &Printed, installation: &Installation) {
    let Printed { out, err } = printed;
    assert!(is_printable(err) && is_printable(&out.replace('\r', "")), "{err:?} {out:?}");
    let kept = ended.accepted.as_ref().and_then(|accepted| accepted.kept.as_ref()).map(|kept| kept.id.to_string());
    let is_discarded = ended.accepted.as_ref().is_some_and(|accepted| accepted.kept.is_none());
    // The lock ends here, as it does with the process.
    drop(ended.accepted);
    let files = installation.take();
    for (name, message) in &files {
        assert!(!message.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "the Bcc is in {name}");
    }
    let names: Vec<&String> = files.iter().map(|(name, _)| name).collect();
    match cli::parse(argv, false) {
        Ok(call) if call.mode == Mode::Inject => {
            assert_eq!(names, kept.iter().collect::<Vec<_>>());
            assert_eq!(ended.exit == Exit::Ok, kept.is_some() || is_discarded, "exit 0 if and only if it was kept");
            let said = kept.filter(|_| call.verbose).map(|id| format!("queued as {id}\n")).unwrap_or_default();
            assert_eq!(*out, said);
            one_line_if_failed(ended.exit, err, call.quiet_errors);
        }
        Ok(call) if call.mode == Mode::Smtp => {
            let mut queued: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("250 2.0.0 Ok: queued as ")).collect();
            queued.sort_unstable();
            assert_eq!(names, queued);
        }
        Ok(_) => assert!(names.is_empty(), "only two modes keep messages"),
        Err(refusal) => {
            assert!(names.is_empty() && out.is_empty());
            assert_eq!(ended.exit, Exit::Usage);
            one_line_if_failed(ended.exit, err, refusal.quiet);
        }
    }
}

fn one_line_if_failed(exit: Exit, err: &str, quiet: bool) {
    if exit == Exit::Ok || quiet {
        assert!(err.is_empty(), "{err:?}");
    } else {
        assert!(err.starts_with("sendmail: ") && err.ends_with('\n') && err.lines().count() == 1, "{err:?}");
    }
}
