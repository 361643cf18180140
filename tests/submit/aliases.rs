//! SENDMAIL.md section 9 and `-bv`, through the program.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::sandbox::{SENDMAIL, Sandbox, finish};

fn with_aliases(config: &str, text: &str) -> Sandbox {
    let sandbox = Sandbox::new(config);
    fs::write(sandbox.path("aliases"), text).unwrap();
    sandbox
}

#[test]
fn section_9_local_names_are_expanded_and_others_are_not() {
    let sandbox = with_aliases("", "root: admin@y.example, ops\nops: root@z.example\nnull: /dev/null\n");
    let message = sandbox.send(&["-t"], "To: root, root@localhost, ops@x.example, alice\nCc: Null@m.example\n\nx\n");
    assert_eq!(message.recipients(), ["admin@y.example", "root@z.example", "ops@x.example", "alice@m.example"]);
    let originals: Vec<_> = message.envelope.recipients.iter().map(|recipient| recipient.original.as_deref()).collect();
    assert_eq!(originals, [Some("root"), Some("root"), None, None]);
    assert!(
        message.header().contains("To: root@m.example, root@localhost, ops@x.example, alice@m.example\r\n"),
        "the header keeps the names"
    );
}

#[test]
fn section_14_all_recipients_discarded_is_success_without_a_file() {
    let sandbox = with_aliases("", "null: /dev/null\n");
    let run = sandbox.run(&["-v", "null"], "x\n".repeat(100_000));
    assert_eq!((run.code(), run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    sandbox.assert_nothing_is_left();
}

#[test]
fn section_9_a_broken_file_does_not_block_mail() {
    let sandbox = with_aliases("admin_address = \"admin@y.example\"", "root: |/bin/sh\ncron: cron@z.example\nbroken\n");
    let message = sandbox.send(&["root", "cron"], "x\n");
    assert_eq!(message.recipients(), ["admin@y.example", "cron@z.example"]);
    let notices = message.envelope.warnings.join("\n");
    assert!(notices.contains("aliases:1: `|/bin/sh`") && notices.contains("is not supported"), "{notices}");
    fs::remove_file(sandbox.path("aliases")).unwrap();
    fs::create_dir(sandbox.path("aliases")).unwrap();
    assert_eq!(sandbox.send(&["root"], "x\n").recipients(), ["admin@y.example"]);
}

#[test]
fn the_alias_file_is_not_opened_for_a_message_without_local_names() {
    let sandbox = with_aliases("", "broken\n");
    assert!(sandbox.send(&["a@x.example"], "x\n").envelope.warnings.is_empty());
    assert!(!sandbox.send(&["root"], "x\n").envelope.warnings.is_empty());
}

#[test]
fn section_9_an_included_list_of_root() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can make a list that is trusted");
        return;
    }
    let sandbox = Sandbox::new("");
    let list = sandbox.path("list");
    fs::write(&list, "# people\na@x.example, bob\n").unwrap();
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(sandbox.path("aliases"), format!("people: :include:{}\n", list.display())).unwrap();
    assert_eq!(sandbox.send(&["people"], "x\n").recipients(), ["a@x.example", "bob@m.example"]);
    fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(sandbox.send(&["people"], "x\n").recipients(), ["people@m.example"]);
    assert_eq!(sandbox.run(&["-bi"], "").code(), 65);
}

#[test]
fn section_9_newaliases_counts_or_names_every_bad_line() {
    let sandbox = with_aliases("", "MAILER-DAEMON: postmaster\npostmaster: root\n");
    let newaliases = sandbox.path("newaliases");
    symlink(SENDMAIL, &newaliases).unwrap();
    let run = |sandbox: &Sandbox| finish(sandbox.command(sandbox.path("newaliases")).spawn().unwrap(), b"");
    let good = run(&sandbox);
    let file = sandbox.path("aliases").display().to_string();
    assert_eq!((good.code(), good.stdout), (0, format!("{file}: 2 aliases, longest 10 bytes, 37 bytes total\n")));
    for argv in [["-bi"], ["-I"]] {
        assert_eq!(sandbox.run(&argv, "").code(), 0);
    }
    fs::write(&file, "a: |cmd\nb: /var/mail/b\nc: c@x.example\nd\n").unwrap();
    let bad = run(&sandbox);
    assert_eq!((bad.code(), bad.stdout.as_str()), (65, ""));
    let lines: Vec<&str> = bad.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", bad.stderr);
    for (line, number) in lines.iter().zip([1, 2, 4]) {
        assert!(line.starts_with(&format!("{file}:{number}: ")), "{line}");
    }
    fs::remove_file(&file).unwrap();
    let none = run(&sandbox);
    assert_eq!((none.code(), none.stdout.as_str(), none.stderr.as_str()), (0, "", ""));
}

#[test]
fn bv_says_what_would_become_of_addresses_and_sends_nothing() {
    let sandbox = with_aliases("", "root: admin@y.example\nnull: /dev/null\n");
    let run = sandbox.run(&["-bv", "root,a@x.example", "null"], "never read");
    assert_eq!(run.code(), 0);
    assert_eq!(
        run.stdout,
        "admin@y.example... deliverable: relay unknown\na@x.example... deliverable: relay unknown\nnull... deliverable: discarded by an alias\n"
    );
    let run = sandbox.run(&["-bv", "a b@x.example", "ok@x.example", ""], "");
    assert_eq!(run.code(), 67);
    assert!(
        run.stdout.starts_with("a b@x.example... several words instead of one address")
            && run.stdout.contains("\nok@x.example... deliverable"),
        "{}",
        run.stdout
    );
    assert_eq!(sandbox.run(&["-bv"], "").code(), 64);
    sandbox.assert_nothing_is_left();
    let sandbox = Sandbox::new("unknown_local = \"reject\"");
    // T-OUT-1: well-formed, and still nothing for a terminal.
    let run = sandbox.run(&["-bv", "\"a \u{202e}b\"@x.example"], "");
    assert_eq!(run.stdout, "\"a \\u{202e}b\"@x.example... deliverable: relay unknown\n");
    let run = sandbox.run(&["-bv", "nobody"], "");
    assert_eq!(run.code(), 67);
    assert!(run.stdout.starts_with("nobody... no such local name `nobody`"), "{}", run.stdout);
}
