//! `mailchuted`: the flusher daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::program()
}
