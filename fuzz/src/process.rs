//! The descriptors 0 to 2 of this process, as a caller of `sendmail` would set them.
//!
//! In: what is written to standard input, and the size of its pieces. Out: what was printed. The program under test reads and
//! writes the real descriptors, so nothing in it knows that it is driven.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// Bytes of a pipe, and of a page of it: in packet mode each write takes a page.
const PIPE: i32 = 1 << 20;
const PAGE: usize = 4096;

/// What was printed.
pub struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The redirection, made once.
pub struct Descriptors {
    out: File,
    err: File,
    saved_out: OwnedFd,
    saved_err: OwnedFd,
}

/// A file without a name, in memory.
pub fn memory(name: &str) -> File {
    File::from(memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap())
}

impl Default for Descriptors {
    fn default() -> Self {
        let saved_err = nix::unistd::dup(std::io::stderr()).unwrap();
        let shown = saved_err.try_clone().unwrap();
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // The find must be seen where the fuzzer was started.
            let _ = nix::unistd::dup2_stderr(&shown);
            hook(info);
        }));
        Descriptors { out: memory("out"), err: memory("err"), saved_out: nix::unistd::dup(std::io::stdout()).unwrap(), saved_err }
    }
}

impl Descriptors {
    /// Runs `program` with `input` on standard input, each read of which gets at most `piece` bytes.
    pub fn run<T>(&self, input: &[u8], piece: usize, program: impl FnOnce() -> T) -> (T, Printed) {
        feed(input, piece);
        for (memory, redirect) in [(&self.out, true), (&self.err, false)] {
            memory.set_len(0).unwrap();
            nix::unistd::lseek(memory, 0, nix::unistd::Whence::SeekSet).unwrap();
            if redirect {
                nix::unistd::dup2_stdout(memory).unwrap()
            } else {
                nix::unistd::dup2_stderr(memory).unwrap()
            };
        }
        let result = program();
        std::io::stdout().flush().unwrap();
        nix::unistd::dup2_stdout(&self.saved_out).unwrap();
        nix::unistd::dup2_stderr(&self.saved_err).unwrap();
        (result, Printed { out: text(&self.out), err: text(&self.err) })
    }
}

fn text(memory: &File) -> String {
    let mut bytes = vec![0; usize::try_from(memory.metadata().unwrap().len()).unwrap()];
    memory.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).expect("what is printed is UTF-8")
}

/// Puts `input` on descriptor 0, in packets: a read returns one of them.
fn feed(input: &[u8], piece: usize) {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_DIRECT).unwrap();
    let room = usize::try_from(fcntl(&write, FcntlArg::F_SETPIPE_SZ(PIPE)).unwrap()).unwrap() / PAGE;
    // A writer that fills the pipe would wait for itself.
    let piece = piece.max(input.len() / (room - 1) + 1).min(PAGE);
    let mut write = File::from(write);
    for packet in input.chunks(piece) {
        write.write_all(packet).unwrap();
    }
    nix::unistd::dup2_stdin(read).unwrap();
}
