//! The four mail systems, each with an empty configuration as far as it goes: everything is relayed to one receiver.

mod exim;
mod ours;
mod postfix;
mod sendmail;

pub(crate) use exim::Exim;
pub(crate) use ours::Ours;
pub(crate) use postfix::Postfix;
pub(crate) use sendmail::Sendmail;

use std::path::Path;
use std::process::Command;

use crate::support::foreign_root::ForeignRoot;
use crate::support::isolation::mount;
use crate::support::scripted::{Receiver, Script, Transaction};

/// The name of the host, and the domain that bare addresses get.
pub(crate) const HOST: &str = "host.sender.example";
pub(crate) const DOMAIN: &str = "sender.example";
/// The user of the first case.
const FIRST_UID: u32 = 7000;

/// One `sendmail` and the mail system behind it.
pub(crate) trait MailSystem: Sync {
    /// As people call it.
    fn name(&self) -> &'static str;
    /// `sendmail` as `uid`, with its own group alone, under the name `called`.
    fn command(&self, uid: u32, called: &str) -> Command;
    /// Everything that the receiver got, when nothing is left to deliver.
    fn arrived(&self) -> Vec<Transaction>;
}

/// The user of case `index`.
pub(crate) fn uid(index: usize) -> u32 {
    FIRST_UID + u32::try_from(index).unwrap()
}

/// The login name of case `index`.
pub(crate) fn login(index: usize) -> String {
    format!("u{}", uid(index))
}

/// The lines of the users of `count` cases in a passwd file.
fn passwd(count: usize) -> String {
    (0..count).map(|index| format!("{}:x:{1}:{1}:Alice Q. Example,Room 1,555:/:/bin/sh\n", login(index), uid(index))).collect()
}

/// Gives the world of this test its host name and its users. The roots get theirs from here.
pub(crate) fn share_host_name_and_users(count: usize) {
    std::fs::write("/proc/sys/kernel/hostname", HOST).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = std::fs::read_to_string("/etc/passwd").unwrap() + &passwd(count);
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    mount(&["--bind".as_ref(), file.path(), "/etc/passwd".as_ref()]);
}

/// A receiver that takes everything and offers what current servers offer.
fn receiver(address: &str) -> Receiver {
    ["PIPELINING", "SIZE 104857600", "8BITMIME", "DSN", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        .iter()
        .fold(Script::new(), |script, capability| script.offer(capability))
        .start_at(address)
}

/// Makes a root know the host, the users of the cases and these of its own.
fn settle(root: &ForeignRoot, users: &[(&str, u32)]) {
    let cases = std::fs::read_to_string("/etc/passwd").unwrap();
    let cases: String = cases.lines().filter(|line| line.contains(":Alice Q. Example,")).map(|line| format!("{line}\n")).collect();
    let own: String = users.iter().map(|(name, id)| format!("{name}:x:{id}:{id}::/:/bin/false\n")).collect();
    root.write(
        "etc/passwd",
        format!("root:x:0:0:root:/root:/bin/sh\nmail:x:8:8::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n{own}{cases}"),
    );
    let groups: String = users.iter().map(|(name, id)| format!("{name}:x:{id}:\n")).collect();
    root.write("etc/group", format!("root:x:0:\nmail:x:8:\nnogroup:x:65534:\n{groups}"));
    root.write("etc/hosts", format!("127.0.0.1 {HOST} localhost\n"));
    root.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\nservices: files\n");
    root.write("etc/mailname", format!("{DOMAIN}\n"));
}

/// A file or directory inside a root gets its owner and mode.
fn own(root: &ForeignRoot, name: &str, (user, group, mode): (u32, u32, u32)) {
    let path = root.join(name);
    if !path.exists() {
        std::fs::create_dir_all(&path).unwrap();
    }
    std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// The `sendmail` inside `root`, as `uid` with its own group alone, under the name `called`.
fn sendmail_inside(root: &ForeignRoot, uid: u32, called: &str) -> Command {
    let id = uid.to_string();
    let mut command = root.command("/usr/bin/setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    give_name(&mut command, "/usr/sbin/sendmail", called);
    command
}

/// Ends a command that runs what follows with `program`, whose argv[0] is `called`.
fn give_name(command: &mut Command, program: &str, called: &str) {
    match called {
        "sendmail" => command.arg(program),
        name => command.args(["bash", "-c", "exec -a \"$1\" \"$0\" \"${@:2}\"", program, name]),
    };
}

/// The names in a directory inside a root.
fn names(path: &Path) -> Vec<String> {
    std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
