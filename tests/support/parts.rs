//! The parts that `tests/run` brings below target/testparts, and what happens to a test whose part is missing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command;

/// Where they lie.
const PARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/testparts");

/// Why a test cannot run here. One line: what is missing, and how to get it.
#[derive(Debug)]
pub(crate) struct Missing(pub String);

/// The unpacked Debian packages.
pub(crate) fn packages() -> Result<PathBuf, Missing> {
    part("root", "the unpacked mail and DNS servers")
}

/// The unpacked Debian packages of programs that send mail: those for this host, or with MAILCHUTE_CALLERS those of another release,
/// which is named.
pub(crate) fn callers() -> Result<(PathBuf, Option<String>), Missing> {
    let release = std::env::var("MAILCHUTE_CALLERS").ok().filter(|release| !release.is_empty());
    let name = release.as_ref().map_or_else(|| "callers".to_owned(), |release| format!("callers-{release}"));
    Ok((part(&name, "the unpacked programs that send mail")?, release))
}

/// The version of an unpacked package, from its changelog.
pub(crate) fn version(packages: &Path, package: &str) -> Option<String> {
    let log = packages.join("usr/share/doc").join(package).join("changelog.Debian.gz");
    let text = command::run(Command::new("zcat").arg(log), b"").stdout;
    Some(text.split_once('(')?.1.split_once(')')?.0.to_owned())
}

/// Writes down what a foreign program made of something of ours: printed, and added to the file that tests/run shows. It is no
/// failure of ours, whatever it is.
pub(crate) fn record(line: &str) {
    println!("RECORDED: {line}");
    append("MAILCHUTE_FOREIGN", "foreign", line);
}

/// One line more in the file that `variable` names, or in `name` beside the parts.
fn append(variable: &str, name: &str, line: &str) {
    let path = std::env::var_os(variable).map_or_else(|| Path::new(PARTS).join(name), PathBuf::from);
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    // Where there are no parts there is nothing to write to, and nothing to record.
    let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
}

/// The directory that holds node's package nodemailer.
pub(crate) fn node_modules() -> Result<PathBuf, Missing> {
    Ok(part("node", "nodemailer")?.join("node_modules"))
}

/// The packages of the virtual environment, for a Python that is not its own.
pub(crate) fn site_packages() -> Result<PathBuf, Missing> {
    let library = part("venv", "the Python environment")?.join("lib");
    let versions = std::fs::read_dir(&library).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("site-packages"))
        .find(|directory| directory.is_dir())
        .ok_or_else(|| Missing(format!("no Python packages below {}", library.display())))
}

/// The unpacked packages of a mail system that has a root of its own: `exim`, `sendmail`.
pub(crate) fn mail_system(name: &str) -> Result<PathBuf, Missing> {
    part(name, &format!("the unpacked {name}"))
}

/// The unpacked makers of file systems, and qemu's storage daemon.
pub(crate) fn disks() -> Result<PathBuf, Missing> {
    part("disks", "the makers of file systems")
}

/// The modules of Perl that judge DSNs.
pub(crate) fn perl_modules() -> Result<PathBuf, Missing> {
    Ok(part("judges", "the reader of notices in Perl")?.join("usr/share/perl5"))
}

/// The Python of the virtual environment.
pub(crate) fn python() -> Result<PathBuf, Missing> {
    let python = part("venv", "the Python environment")?.join("bin/python");
    // It is a link, into a directory that may be closed to this user.
    if python.is_file() { Ok(python) } else { Err(Missing(format!("{} cannot be run by this user", python.display()))) }
}

/// An error in a quick run (`tests/run quick`), where a test that needs more than this tree ends as soon as it says so.
pub(crate) fn beyond_this_tree(what: &str) -> Result<(), Missing> {
    if is_quick() { Err(Missing(format!("needs {what}, which a quick run does without"))) } else { Ok(()) }
}

/// An error in a quick run: the test takes more than some seconds.
pub(crate) fn time() -> Result<(), Missing> {
    beyond_this_tree("time")
}

fn is_quick() -> bool {
    std::env::var_os("MAILCHUTE_QUICK").is_some()
}

/// A part counts only with its stamp, which is written last.
fn part(name: &str, what: &str) -> Result<PathBuf, Missing> {
    beyond_this_tree(what)?;
    let parts = PathBuf::from(PARTS);
    if parts.join(name).is_dir() && parts.join(format!("{name}.stamp")).is_file() {
        return Ok(parts.join(name));
    }
    Err(Missing(format!("{what} is not in {}; run tests/run", parts.display())))
}

/// The programs of the build in which every sentence is nonsense: tests/nonsense/run makes it, and says where.
pub(crate) fn nonsense() -> Result<PathBuf, Missing> {
    beyond_this_tree("a second build")?;
    let programs = std::env::var_os("MAILCHUTE_NONSENSE").map(PathBuf::from);
    programs.ok_or_else(|| Missing("the build with nonsense for sentences is not made; run tests/nonsense/run".to_owned()))
}

/// A tool of the host.
pub(crate) fn tool(name: &str) -> Result<PathBuf, Missing> {
    beyond_this_tree(name)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Missing(format!("{name} is not installed")))
}

/// Says loudly that `test` does not run; in CI, where nothing may be missing, fails it. A quick run leaves it out by design.
pub(crate) fn skip(test: &str, missing: &Missing) {
    let line = format!("SKIPPED: {test}: {}", missing.0);
    eprintln!("{line}");
    // Test runners swallow what passing tests print; tests/run shows the lines of this file.
    append("MAILCHUTE_SKIPS", "skipped", &line);
    assert!(is_quick() || std::env::var_os("CI").is_none(), "{line} (CI has no part missing)");
}

/// The name of the test that this stands in, as the test runner knows it.
macro_rules! test_name {
    () => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here);
        let name = name.strip_suffix("::here").unwrap_or(name);
        name.split_once("::").map_or(name, |(_crate, rest)| rest)
    }};
}

/// The value of a `Result<T, Missing>`; where it is missing, the test ends here, skipped.
macro_rules! require {
    ($part:expr) => {
        match $part {
            Ok(part) => part,
            Err(missing) => return $crate::support::parts::skip(test_name!(), &missing),
        }
    };
}
