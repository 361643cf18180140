//! `alarm_command`: the administrator's program, run for each alarm that is raised or cleared.
//!
//! In: the argument vector of the configuration, which root owns, and an alarm whose texts are already printable. No shell. The
//! environment contains only the variables of [`variables`]; standard input has the same data as JSON. The output is discarded. The
//! program runs as the daemon's user, in the daemon's sandbox, and is killed after [`LIMIT`], by its process id.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::active::Change;
use super::program::{self, PATH};
use mail::date;

/// How long the program may run.
const LIMIT: Duration = Duration::from_secs(30);
/// The longest value of a variable, in bytes.
const VALUE: usize = 1000;

/// Runs the program and waits for it.
///
/// Errors, one line: it could not be started, its exit code was not 0, or it was killed.
pub fn run(argv: &[String], change: &Change, host: &str) -> Result<(), String> {
    run_within(argv, change, host, LIMIT)
}

fn run_within(argv: &[String], change: &Change, host: &str, limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let failed = |why: &dyn std::fmt::Display| format!("{program}: {why}");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).envs(variables(change, host)).current_dir("/");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|e| failed(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        let line: serde_json::Map<String, serde_json::Value> =
            variables(change, host).into_iter().map(|(name, value)| (name.to_lowercase(), value.into())).collect();
        // Less than a pipe holds, so this cannot block. The program need not read it.
        let _ = writeln!(stdin, "{}", serde_json::Value::Object(line));
    }
    let status = program::wait(&mut child, limit).map_err(|e| failed(&e))?;
    if status.success() { Ok(()) } else { Err(failed(&status)) }
}

/// The variables for the program. mailchute(8) lists them.
fn variables(change: &Change, host: &str) -> Vec<(&'static str, String)> {
    let alarm = &change.alarm;
    let cut = |text: &str| text.get(..text.floor_char_boundary(VALUE)).unwrap_or_default().to_owned();
    vec![
        ("MAILCHUTE_EVENT", if change.is_raised { "raised" } else { "cleared" }.to_owned()),
        ("MAILCHUTE_ALARM", alarm.kind.name().to_owned()),
        ("MAILCHUTE_SUBJECT", cut(&alarm.subject)),
        ("MAILCHUTE_SEVERITY", alarm.kind.severity().word().to_owned()),
        ("MAILCHUTE_REASON", cut(&alarm.reason)),
        ("MAILCHUTE_SINCE", date::rfc3339(change.since)),
        ("MAILCHUTE_HOST", cut(host)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::alarm::{Alarm, Kind};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn change() -> Change {
        let alarm = Alarm { kind: Kind::SpoolFull, subject: String::new(), reason: "$(id) `id` ; 1 MiB".to_owned() };
        Change { alarm, is_raised: true, since: 1_795_358_629 }
    }

    fn script(directory: &std::path::Path, text: &str) -> String {
        let path = directory.join("hook");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_program_gets_its_arguments_as_they_are_and_no_other_environment() {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let program = script(scratch.path(), "#!/bin/sh\nexec >\"$1\"\necho \"$2\"\nenv | grep -v ^_= | grep -v ^PWD= | sort\ncat\n");
        run(&[program, out.to_str().unwrap().to_owned(), "$HOME *".to_owned()], &change(), "h.example").unwrap();
        let text = std::fs::read_to_string(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "$HOME *");
        let wanted = [
            "MAILCHUTE_ALARM=spool_full",
            "MAILCHUTE_EVENT=raised",
            "MAILCHUTE_HOST=h.example",
            "MAILCHUTE_REASON=$(id) `id` ; 1 MiB",
            "MAILCHUTE_SEVERITY=critical",
            "MAILCHUTE_SINCE=2026-11-22T14:43:49Z",
            "MAILCHUTE_SUBJECT=",
        ];
        assert_eq!(&lines[1..8], wanted);
        assert_eq!(lines[8], format!("PATH={PATH}"));
        let json: serde_json::Value = serde_json::from_str(lines[9]).unwrap();
        assert_eq!(json["mailchute_alarm"], "spool_full");
        assert_eq!(lines.len(), 10, "{text}");
    }

    #[test]
    fn one_that_fails_or_does_not_end_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let program = script(scratch.path(), "#!/bin/sh\nexit 3\n");
        assert!(run(&[program], &change(), "h").unwrap_err().contains("exit status: 3"));
        assert!(run(&["/nonexistent".to_owned()], &change(), "h").unwrap_err().contains("No such file"));
        let endless = ["/bin/sleep".to_owned(), "600".to_owned()];
        assert!(run_within(&endless, &change(), "h", Duration::from_millis(50)).unwrap_err().contains("did not end"));
    }
}
