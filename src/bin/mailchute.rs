//! `mailchute`: the administrator's command; also `mailq`, by its name.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::program()
}
