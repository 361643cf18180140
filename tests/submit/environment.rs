//! What a caller may have done to the process before it began: descriptors, limits, signals, a broken installation.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::sandbox::{SENDMAIL, Sandbox, finish};

const MESSAGE: &str = "To: a@x.example\nSubject: s\n\nhello\n";

#[test]
fn t_env_2_c9_closed_descriptors_change_nothing() {
    let sandbox = Sandbox::new("");
    for script in ["exec 1>&-; $S -t", "exec 2>&-; $S -t", "exec 1>&- 2>&-; $S -v -t"] {
        assert_eq!(sandbox.shell(script, MESSAGE).code(), 0, "{script}");
        let message = sandbox.take_messages().remove(0);
        assert_eq!(message.body(), "hello\r\n", "{script}");
    }
    for script in ["exec 0<&-; $S a@x.example", "exec 0<&- 1>&- 2>&-; $S a@x.example"] {
        assert_eq!(sandbox.shell(script, "").code(), 0, "{script}");
        assert_eq!(sandbox.take_messages().remove(0).body(), "", "{script}");
    }
    assert_eq!(sandbox.shell("exec 0<&- 1>&- 2>&-; $S -t", "").code(), 64);
    sandbox.assert_nothing_is_left();
}

#[test]
fn t_env_3_limits_and_masks_end_in_a_code_or_a_whole_message() {
    let sandbox = Sandbox::new("");
    let run = sandbox.shell("ulimit -f 0; $S -t", MESSAGE);
    assert_eq!(run.code(), 74, "{}", run.stderr);
    sandbox.assert_nothing_is_left();
    for script in ["umask 000; $S -t", "umask 777; $S -t", "trap '' HUP PIPE TERM CHLD; $S -t", "cd /; $S -t", "exec 9</dev/null; $S -t"] {
        let run = sandbox.shell(script, MESSAGE);
        assert_eq!(run.code(), 0, "{script}: {}", run.stderr);
        sandbox.take_messages().remove(0);
    }
    let run = sandbox.shell("ulimit -n 4; $S -t", MESSAGE);
    assert!([71, 73].contains(&run.code()), "{}", run.stderr);
    sandbox.assert_nothing_is_left();
}

#[test]
fn no_home_and_a_deleted_working_directory_are_no_reason() {
    let sandbox = Sandbox::new("");
    let gone = sandbox.path("gone");
    fs::create_dir(&gone).unwrap();
    let run = sandbox.shell(&format!("cd {}; rmdir {}; $S -t", gone.display(), gone.display()), MESSAGE);
    assert_eq!(run.code(), 0, "{}", run.stderr);
    sandbox.take_messages().remove(0);
}

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
fn section_6_75_only_where_it_is_asked_for() {
    let sandbox = Sandbox::new("spool_error_exit = 75");
    fs::remove_dir_all(sandbox.spool()).unwrap();
    assert_eq!(sandbox.run(&["-t"], MESSAGE).code(), 75);
    assert_eq!(sandbox.run(&["-t"], "x\n").code(), 64);
}

#[test]
fn a_wrong_configuration_is_78_with_its_line() {
    let sandbox = Sandbox::new("no_such_key = 1");
    let (code, line) = sandbox.refused(&["-t"], MESSAGE);
    assert_eq!(code, 78);
    assert!(line.contains("mailchute.toml:2: unknown field `no_such_key`"), "{line}");
    let file = sandbox.path("config/mailchute/mailchute.toml");
    fs::write(&file, "mailname = \"no domain\"\n").unwrap();
    assert_eq!(sandbox.refused(&["-t"], MESSAGE).0, 78);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(sandbox.refused(&["-t"], MESSAGE).0, 78);
}

#[test]
fn standard_input_that_cannot_be_read_is_74() {
    let sandbox = Sandbox::new("");
    let run = sandbox.shell("$S a@x.example </", "");
    assert_eq!(run.code(), 74, "{}", run.stderr);
    sandbox.assert_nothing_is_left();
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

#[test]
fn the_spool_file_is_0640_whatever_the_umask() {
    let sandbox = Sandbox::new("");
    assert_eq!(sandbox.shell("umask 0; $S -t", MESSAGE).code(), 0);
    let entry = fs::read_dir(sandbox.spool().join("new")).unwrap().next().unwrap().unwrap();
    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
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
