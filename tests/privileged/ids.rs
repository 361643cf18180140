//! Queue ids: one id, one message, for ever.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::only_id;
use crate::delivery::MESSAGE;
use crate::support::command::{run, wait_for};
use crate::support::installation::{CALLER_ID, Installation, OTHER_ID};
use crate::support::isolation::mount;
use crate::support::scripted::{Reply, Script};

const OTHER_MESSAGE: &[u8] = b"From: mallory@sender.example\nSubject: another\n\nAnother\n";

/// Puts `bytes` into `new/` under the name `id`, as a file of `uid` that was born in the spool (in `tmp/`, which nobody scans).
fn replay(installation: &Installation, uid: u32, id: &str, bytes: &[u8]) {
    let mut command = installation.program_as(uid, "sh");
    command.args(["-c", "umask 027; cat >../tmp/replay && chmod 640 ../tmp/replay && mv -n ../tmp/replay \"$0\"", id]);
    run(command.current_dir(installation.paths.spool.join("new")), bytes).succeeded();
}

/// A spool file of `uid` with `message` that carries the queue id `id`, made by the product and renamed by force: what an
/// attacker with time can compute.
fn forged(installation: &Installation, uid: u32, id: &str, message: &[u8]) -> Vec<u8> {
    installation.sendmail_as(uid, &["victim@receiver.example"], message).succeeded();
    let made = only_id(installation);
    let path = installation.paths.spool.join("new").join(&made);
    let mut bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap();
    let line = String::from_utf8(bytes[..=end].to_vec()).unwrap().replace(&made, id);
    bytes.splice(..=end, line.bytes());
    let at = line.find("\"crc32\":\"").unwrap() + 9;
    bytes[at..at + 8].fill(b'0');
    let checksum = format!("{:08x}", crc32fast::hash(&bytes));
    bytes[at..at + 8].copy_from_slice(checksum.as_bytes());
    bytes
}

#[test]
fn a_second_message_with_a_queued_id_neither_replaces_nor_stops_the_first() {
    isolated!();
    let receiver = Script::new().first(1, "MAIL", Reply::Lines("451 4.3.0 later".into())).start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    let id = only_id(&installation);
    let first = std::fs::read(installation.paths.spool.join("new").join(&id)).unwrap();
    std::fs::remove_file(installation.paths.spool.join("new").join(&id)).unwrap();
    let twin = forged(&installation, OTHER_ID, &id, OTHER_MESSAGE);
    replay(&installation, CALLER_ID, &id, &first);
    installation.start_daemon();
    wait_for("the claim", || installation.spooled("cur") == [id.clone()]);
    replay(&installation, OTHER_ID, &id, &twin);
    wait_for("the twin to be put away", || installation.spooled("corrupt").len() == 2);
    installation.mailchute(&["flush"]).succeeded();
    let messages = receiver.wait_for_messages(1);
    installation.wait_until_drained();
    assert!(messages[0].data.ends_with(b"Hello\r\n.leading dot\r\n"), "{messages:?}");
    assert_eq!(receiver.messages().len(), 1);
}

#[test]
fn the_file_of_a_delivered_message_is_never_delivered_again() {
    isolated!();
    let receiver = Script::new().start();
    let mut installation = Installation::system();
    installation.relay_to(&receiver.url("smtp", "tls=none"), "");
    installation.sendmail_as(CALLER_ID, &["bob@receiver.example"], MESSAGE).succeeded();
    let id = only_id(&installation);
    let file = std::fs::read(installation.paths.spool.join("new").join(&id)).unwrap();
    installation.start_daemon();
    receiver.wait_for_messages(1);
    installation.wait_until_drained();
    // Its own sender, another user, and another message under the old id; with the daemon at work and over a restart.
    installation.stop_daemon();
    let other = forged(&installation, OTHER_ID, &id, OTHER_MESSAGE);
    replay(&installation, CALLER_ID, &id, &file);
    installation.start_daemon();
    installation.wait_until_drained();
    for (uid, bytes) in [(CALLER_ID, &file), (OTHER_ID, &file), (OTHER_ID, &other)] {
        replay(&installation, uid, &id, bytes);
        installation.wait_until_drained();
    }
    installation.sendmail_as(CALLER_ID, &["last@receiver.example"], MESSAGE).succeeded();
    wait_for("the last message", || receiver.messages().iter().any(|message| message.recipients == ["<last@receiver.example>"]));
    assert_eq!(receiver.messages().len(), 2, "{:?}", receiver.messages());
    let shown = installation.mailchute(&["show", &id]).succeeded().stdout;
    assert!(shown.contains("bob@receiver.example") && !shown.contains("victim@"), "its history is still its own: {shown}");
}

/// Random numbers of our choice in /dev/urandom, for programs started from now on.
struct Dice {
    pipe: std::fs::File,
}

impl Dice {
    fn install(directory: &Path) -> Dice {
        let fifo = directory.join("dice");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
        let flags = nix::libc::O_NONBLOCK;
        let pipe = std::fs::File::options().read(true).write(true).custom_flags(flags).open(&fifo).unwrap();
        mount(&["--bind".as_ref(), &fifo, "/dev/urandom".as_ref()]);
        Dice { pipe }
    }

    /// The next numbers: one `first`, then nothing but `rest`. What is left of the last ones is thrown away.
    fn load(&mut self, first: u64, rest: u64) {
        let mut old = [0; 4096];
        while self.pipe.read(&mut old).is_ok_and(|read| read > 0) {}
        for number in std::iter::once(first).chain(std::iter::repeat_n(rest, 255)) {
            self.pipe.write_all(&number.to_ne_bytes()).unwrap();
        }
    }
}

#[test]
fn two_injectors_that_roll_the_same_id_keep_both_messages() {
    isolated!();
    let installation = Installation::system();
    installation.relay_to("smtp://127.0.0.1:25?tls=none", "");
    let scratch = tempfile::tempdir().unwrap();
    run(installation.program("chmod").arg("755").arg(scratch.path()), b"").succeeded();
    let mut dice = Dice::install(scratch.path());
    const SAME: u64 = 0xAAAA_AAAA;
    const OTHER: u64 = 0xBBBB_BBBB;
    // Both must fall into one second, which half of an id is; and a Message-ID leaves the dice to the id.
    let message = [b"Message-ID: <1@sender.example>\n".as_slice(), MESSAGE].concat();
    for _ in 0..20 {
        dice.load(SAME, SAME);
        installation.sendmail_as(CALLER_ID, &["first@receiver.example"], &message).succeeded();
        let first = only_id(&installation);
        let bytes = std::fs::read(installation.paths.spool.join("new").join(&first)).unwrap();
        dice.load(SAME, OTHER);
        installation.sendmail_as(OTHER_ID, &["second@receiver.example"], &message).succeeded();
        let ids = installation.spooled("new");
        assert_eq!(ids.len(), 2);
        assert_eq!(std::fs::read(installation.paths.spool.join("new").join(&first)).unwrap(), bytes);
        let second = ids.iter().find(|id| **id != first).unwrap();
        if second.ends_with("BBBBBBBB") {
            return;
        }
        for id in ids {
            std::fs::remove_file(installation.paths.spool.join("new").join(id)).unwrap();
        }
    }
    panic!("no two injections ever fell into one second");
}
