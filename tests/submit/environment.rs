//! A broken installation, and what one call costs the system. What a caller may have done to the process is a table of `hostile`.

use std::fs;

use super::sandbox::{SENDMAIL, Sandbox, finish};

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

#[test]
fn a_missing_spool_is_73_with_its_path_and_the_next_step() {
    let sandbox = Sandbox::new("");
    fs::remove_dir_all(sandbox.spool()).unwrap();
    let run = sandbox.run(&["-t"], MESSAGE);
    assert_eq!(run.code(), 73);
    assert!(run.stderr.contains(&format!("{}/new", sandbox.spool().display())) && run.stderr.contains("mailchute setup"), "{}", run.stderr);
    assert!(!sandbox.spool().exists(), "the injector never makes the spool");
}

#[test]
fn a_mistake_of_the_caller_is_never_75() {
    let sandbox = Sandbox::new("spool_error_exit = 75");
    fs::remove_dir_all(sandbox.spool()).unwrap();
    assert_eq!(sandbox.run(&["-t"], "x\n").code(), 64);
}

#[test]
fn a_wrong_configuration_is_78_with_its_line() {
    let sandbox = Sandbox::new("no_such_key = 1");
    let (code, line) = sandbox.refused(&["-t"], MESSAGE);
    assert_eq!(code, 78);
    assert!(line.contains("mailchute.toml:2: unknown key no_such_key; see mailchute.toml(5)"), "{line}");
    let file = sandbox.path("config/mailchute/mailchute.toml");
    fs::write(&file, "mailname = \"no domain\"\n").unwrap();
    assert_eq!(sandbox.refused(&["-t"], MESSAGE).0, 78);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(sandbox.refused(&["-t"], MESSAGE).0, 78);
}

#[test]
fn parallel_callers_all_keep_their_messages() {
    let sandbox = Sandbox::new("");
    let children: Vec<_> = (0..20).map(|_| sandbox.command(SENDMAIL).arg("-t").spawn().unwrap()).collect();
    for child in children {
        assert_eq!(finish(child, MESSAGE.as_bytes()).code(), 0);
    }
    assert_eq!(sandbox.take_messages().len(), 20);
}

/// One process, one fsync, no fork, no exec, at most 110 system calls for a message of 4 KiB.
#[test]
fn t_arg_3_one_process_one_fsync_and_few_calls() {
    require!(crate::support::parts::tool("strace"));
    let sandbox = Sandbox::new("");
    let trace = sandbox.path("trace");
    let input =
        format!("To: a@x.example\nSubject: s\n\n{}", "0123456789012345678901234567890123456789012345678901234567890123\n".repeat(62));
    let run = sandbox.shell(&format!("strace -f -o {} $S -t", trace.display()), input);
    assert_eq!(run.code(), 0, "{}", run.stderr);
    let trace = fs::read_to_string(trace).unwrap();
    let count =
        |name: &str| trace.lines().filter(|line| line.split_once(' ').is_some_and(|(_, call)| call.trim_start().starts_with(name))).count();
    assert_eq!((count("fsync("), count("execve("), count("clone"), count("fork"), count("vfork")), (1, 1, 0, 0, 0), "{trace}");
    // A debug build asks fcntl(F_GETFD) before every close.
    let calls = trace.lines().filter(|line| line.contains('(')).count() - count("fcntl(");
    assert!(calls <= 110, "{calls} calls:\n{trace}");
}
