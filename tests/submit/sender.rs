//! SENDMAIL.md section 5, through the program.

use super::sandbox::{SENDMAIL, Sandbox, finish};

fn reverse_path(sandbox: &Sandbox, argv: &[&str], input: &str) -> (String, String) {
    let message = sandbox.send(argv, input);
    let from = message.header().lines().find(|line| line.starts_with("From:")).unwrap().to_owned();
    (message.envelope.reverse_path.to_string(), from)
}

fn me() -> String {
    let uid = nix::unistd::Uid::current();
    nix::unistd::User::from_uid(uid).unwrap().map_or_else(|| format!("uid{uid}"), |user| user.name)
}

#[test]
fn s2_the_forms_of_f() {
    let sandbox = Sandbox::new("");
    for (value, path, author) in [
        ("b@x.example", "b@x.example", "b@x.example"),
        ("<b@x.example>", "b@x.example", "b@x.example"),
        ("site", "site@m.example", "site@m.example"),
    ] {
        let (found, from) = reverse_path(&sandbox, &["-f", value, "a@x.example"], "x\n");
        assert_eq!((found.as_str(), from.as_str()), (path, format!("From: {author}").as_str()), "{value}");
    }
    for argv in [&["-f", "", "a@x.example"][..], &["-f", "<>", "a@x.example"], &["-f<>", "a@x.example"]] {
        let (found, from) = reverse_path(&sandbox, argv, "x\n");
        assert_eq!(found, "");
        assert!(from.contains(&format!("{}@m.example", me())) && !from.contains("<>"), "{from}");
    }
    for value in ["a@x.example b@x.example", "a@x.example,b@x.example", "-X/tmp/x", "a@", " "] {
        assert_eq!(sandbox.refused(&["-f", value, "a@x.example"], "x\n").0, 64, "{value}");
    }
}

#[test]
fn p5_the_last_f_counts_and_the_history_is_told() {
    let sandbox = Sandbox::new("");
    let message = sandbox.send(&["-t", "-i", "-fsite", "-fb@x.example"], "To: a@x.example\n\nx\n");
    assert_eq!(message.envelope.reverse_path.to_string(), "b@x.example");
    assert_eq!(message.envelope.warnings, ["-f was given more than once; the last one was used"]);
}

#[test]
fn s5_without_f_the_sender_is_the_caller_not_from_and_not_the_environment() {
    let sandbox = Sandbox::new("");
    let mut command = sandbox.command(SENDMAIL);
    for name in ["USER", "LOGNAME", "MAILUSER", "QMAILUSER", "QMAILINJECT", "HOSTNAME", "EMAIL", "MAIL_CONFIG", "TZ", "MAILCHUTE_CONFIG"] {
        command.env(name, "evil@e.example");
    }
    let run = finish(command.arg("-t").spawn().unwrap(), b"To: a@x.example\nFrom: f@y.example\n\nx\n");
    assert_eq!(run.code(), 0, "{}", run.stderr);
    let message = sandbox.take_messages().remove(0);
    assert_eq!(message.envelope.reverse_path.to_string(), format!("{}@m.example", me()));
    assert!(!message.text.contains("evil"));
    let sandbox = Sandbox::new("sender_from_header = true");
    assert_eq!(reverse_path(&sandbox, &["-t"], "To: a@x.example\nFrom: F <f@y.example>\n\nx\n").0, "f@y.example");
}

#[test]
fn h3_names_come_from_the_option_then_the_variable_and_not_for_a_foreign_sender() {
    let sandbox = Sandbox::new("");
    let own = format!("<{}@m.example>", me());
    assert_eq!(reverse_path(&sandbox, &["-F", "Cron Daemon", "a@x.example"], "x\n").1, format!("From: Cron Daemon {own}"));
    assert_eq!(reverse_path(&sandbox, &["-FA \"Q\" B.", "a@x.example"], "x\n").1, format!("From: \"A \\\"Q\\\" B.\" {own}"));
    let mut command = sandbox.command(SENDMAIL);
    let run = finish(command.env("NAME", "Ann\nBcc: b@x").arg("a@x.example").spawn().unwrap(), b"x\n");
    assert_eq!(run.code(), 0);
    let message = sandbox.take_messages().remove(0);
    assert!(message.header().contains(&format!("From: \"Ann Bcc: b@x\" {own}")), "{}", message.text);
    assert_eq!(reverse_path(&sandbox, &["-fb@x.example", "-F", "Boss", "a@x.example"], "x\n").1, "From: Boss <b@x.example>");
}

#[test]
fn design_the_claims_about_the_caller() {
    let sandbox = Sandbox::new("");
    let claimed = sandbox.send(&["a@x.example"], "x\n").envelope.caller;
    assert_eq!(claimed.pid, i32::try_from(std::process::id()).ok());
    assert_eq!(claimed.gid, Some(nix::unistd::getgid().as_raw()));
    assert_eq!(claimed.exe, std::env::current_exe().ok().map(|path| path.display().to_string()));
    assert_eq!(claimed.cwd, std::env::current_dir().ok().map(|path| path.display().to_string()));
}
