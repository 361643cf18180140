//! A program that waits for each reply before it goes on, as `-bs` callers do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use crate::support::command::{Ended, PATIENCE, wait};

/// Runs `command`: waits for its greeting, gives it each step and waits for one reply, ends its input after the last one.
pub(crate) fn run(command: &mut Command, steps: &[Vec<u8>]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (lines, said) = channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    let mut stdout = String::new();
    for step in steps {
        // Whoever hangs up has its say in the exit code.
        if !read_reply(&said, &mut stdout) || stdin.write_all(step).is_err() {
            break;
        }
    }
    drop(stdin);
    let status = wait(&mut child, PATIENCE);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    reader.join().unwrap();
    Ended { code: status.and_then(|status| status.code()), stdout, stderr: String::new() }
}

/// RFC 5321 4.2.1: all lines but the last have a hyphen behind the code. False where none comes.
fn read_reply(said: &Receiver<String>, stdout: &mut String) -> bool {
    loop {
        match said.recv_timeout(PATIENCE) {
            Ok(line) => {
                *stdout += &format!("{line}\n");
                if line.as_bytes().get(3) != Some(&b'-') {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
    }
}
