//! The second door: callers to whom the drop directory is closed, and everything that a hostile one can do to its socket.

mod crash;
mod hostile;
mod sandboxes;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::support::installation::{CALLER_ID, Installation};

/// A program as `uid`, in a mount namespace of its own that `prepare`, a line of shell, has changed. There, `$1` is the spool.
fn confined(installation: &Installation, uid: u32, prepare: &str, program: &str) -> Command {
    let id = uid.to_string();
    let mut command = installation.program("unshare");
    let script = format!("set -e; {prepare}; shift; exec \"$@\"");
    command.args(["--mount", "--", "sh", "-c", &script, "sh"]).arg(&installation.paths.spool);
    command.args(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups", "--no-new-privs", "--", program]);
    command
}

/// The spool is not there.
const HIDDEN: &str = "mount -t tmpfs -o mode=755 none \"$1\"";

/// `sendmail` as [`CALLER_ID`], to whom the spool is hidden.
fn sendmail_without_spool(installation: &Installation) -> Command {
    confined(installation, CALLER_ID, HIDDEN, env!("CARGO_BIN_EXE_sendmail"))
}

/// The envelope line of a plain submission; `more` is more keys, each with a comma behind it.
fn envelope(more: &str) -> String {
    let recipients = r#"[{"address":"bob@receiver.example"}]"#;
    format!(
        "{{\"v\":1,{more}\"time\":\"2026-11-22T14:43:49Z\",\"reverse_path\":\"alice@sender.example\",\"recipients\":{recipients},\"body\":\"7bit\"}}\n"
    )
}

/// A message in wire form.
const WIRE: &[u8] = b"From: alice@sender.example\r\nSubject: hello\r\n\r\nHello\r\n";

/// A whole submission: the line, the message in chunks of `chunk` bytes, the checksum.
fn submission(line: &str, message: &[u8], chunk: usize) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    let mut crc = crc32fast::Hasher::new();
    crc.update(line.as_bytes());
    crc.update(message);
    for piece in message.chunks(chunk) {
        bytes.extend_from_slice(&u32::try_from(piece.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(piece);
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&crc.finalize().to_be_bytes());
    bytes
}

/// Sends `bytes`, ends its side, and returns the answer; empty where there is none.
fn talk(installation: &Installation, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(installation.paths.submit_socket()).unwrap();
    // A daemon that refuses does not read to the end.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}
