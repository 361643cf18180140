//! `sendmail`, and by name `newaliases` and `runq`.
fn main() -> std::process::ExitCode {
    submit::main()
}
