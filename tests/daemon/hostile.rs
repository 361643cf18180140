//! A drop directory full of other people's inventions, and a daemon that goes on delivering.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fs2::FileExt;

use crate::delivery::MESSAGE;
use crate::support::command::{wait_for, wait_until_idle};
use crate::support::installation::Installation;
use crate::support::parts;
use crate::support::scripted::{Receiver, Script};

fn installed() -> (Installation, Receiver) {
    let receiver = Script::new().start();
    let mut installation = Installation::rootless();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.start_daemon();
    installation.stop_daemon();
    (installation, receiver)
}

fn new(installation: &Installation) -> PathBuf {
    installation.paths.spool.join("new")
}

#[test]
fn t_spool_1_one_of_each_hostile_object_delays_nobody() {
    let (mut installation, receiver) = installed();
    let new = new(&installation);
    let id = |n: u32| format!("0000000000{n:06X}");
    nix::unistd::mkfifo(&new.join(id(1)), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", new.join(id(2))).unwrap();
    std::fs::create_dir_all(new.join(id(3)).join("full")).unwrap();
    std::fs::write(new.join(OsString::from_vec(b"\xff\xfe".to_vec())), "x").unwrap();
    std::fs::File::create(new.join(id(4))).unwrap().set_len(1 << 40).unwrap();
    std::fs::write(new.join(id(5)), "closed").unwrap();
    std::fs::set_permissions(new.join(id(5)), std::fs::Permissions::from_mode(0o0)).unwrap();
    std::fs::write(new.join(id(6)), vec![b'{'; 9 << 20]).unwrap();
    let locked = std::fs::File::create(new.join(id(7))).unwrap();
    locked.lock_exclusive().unwrap();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    installation.start_daemon();
    receiver.wait_for_messages(1);
    wait_for("only what cannot be moved", || installation.spooled_bytes("new") == [id(3).into_bytes(), id(7).into_bytes()]);
    // Four files with their reasons, besides the daemon's own.
    assert_eq!(installation.spooled("corrupt").len(), 8, "{:?}", installation.spooled("corrupt"));
    drop(locked);
    wait_for("the file that was locked", || installation.spooled_bytes("new") == [id(3).into_bytes()]);
    wait_until_idle(installation.daemon_pid(), Duration::from_secs(2), 0.25);
    installation.stop_daemon();
}

#[test]
fn t_spool_5_ten_thousand_immovable_names_neither_hide_mail_nor_keep_the_daemon_busy() {
    require!(crate::support::parts::time());
    let (mut installation, receiver) = installed();
    for n in 0..10_100 {
        std::fs::create_dir_all(new(&installation).join(format!("d{n}/full"))).unwrap();
    }
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    installation.start_daemon();
    receiver.wait_for_messages(1);
    wait_until_idle(installation.daemon_pid(), Duration::from_secs(3), 0.33);
    installation.stop_daemon();
}

/// A process that holds a write lease on `path` until its stdin ends.
fn lease(python: &Path, path: &Path) -> Child {
    const SCRIPT: &str = "import fcntl, os, signal, sys\n\
        signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
        fd = os.open(sys.argv[1], os.O_RDWR)\n\
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
        print('held', flush=True)\n\
        sys.stdin.read()\n";
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn t_spool_2_a_lease_on_a_file_only_delays_it() {
    let python = require!(parts::tool("python3"));
    let (mut installation, receiver) = installed();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    let name = installation.spooled("new").remove(0);
    let mut holder = lease(&python, &new(&installation).join(&name));
    installation.start_daemon();
    installation.sendmail(&["other@receiver.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(1);
    assert_eq!(installation.spooled("new"), [name]);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    receiver.wait_for_messages(2);
    installation.wait_until_drained();
    assert!(installation.spooled("corrupt").is_empty());
}

#[test]
fn a_message_that_vanishes_from_cur_stops_only_itself() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut installation = Installation::rootless();
    installation.relay_to(&format!("smtp://{closed}?tls=none"), "");
    installation.start_daemon();
    installation.sendmail(&["bob@receiver.example"], MESSAGE).succeeded();
    installation.wait_for_entry("the refusal", |entry| entry.to_string().contains("refused"));
    std::fs::remove_file(installation.paths.spool.join("cur").join(&installation.spooled("cur")[0])).unwrap();
    let receiver = Script::new().start_at(&closed.to_string());
    installation.mailchute(&["flush"]).succeeded();
    installation.wait_for_log("was lost on this host");
    installation.sendmail(&["other@receiver.example"], MESSAGE).succeeded();
    receiver.wait_for_messages(1);
    installation.stop_daemon();
}

#[test]
fn ten_thousand_recipients_arrive_once_each() {
    require!(crate::support::parts::time());
    let (mut installation, receiver) = installed();
    let recipients: String = (0..10_000).map(|n| format!("To: r{n}@receiver.example\n")).collect();
    installation.sendmail(&["-t"], format!("From: a@sender.example\n{recipients}\nHello\n").as_bytes()).succeeded();
    installation.start_daemon();
    let messages = receiver.wait_for_messages(100);
    installation.wait_until_drained();
    let mut arrived: Vec<String> = messages.into_iter().flat_map(|message| message.recipients).collect();
    arrived.sort();
    arrived.dedup();
    assert_eq!((arrived.len(), receiver.messages().len()), (10_000, 100));
}
