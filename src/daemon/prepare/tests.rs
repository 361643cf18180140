//! What is sent is what was claimed, signed; everything else is an obstacle.

use std::io::Read as _;
use std::os::unix::fs::FileExt;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use super::*;
use crate::dispatch::Dispatch;
use crate::plan::Policy;
use crate::queue::JobRecipient;
use crate::testing::setup;
use dkim::{Kind, PrivateKey, Selector, SigningDomain};
use store::ClaimedMessage;

use testing::{MESSAGE, Scratch, envelope};

const NOW: i64 = 1_795_358_700;

/// The job of all recipients of a claimed message.
fn work(setup: &Setup, claimed: &ClaimedMessage) -> Work {
    let dispatch = Dispatch::new(1);
    let (message, rows, _) = crate::rows::rows_of(claimed, &Policy::of(&setup.params).plan(claimed, NOW));
    let recipients: Vec<JobRecipient> = rows.into_iter().map(|row| JobRecipient { n: row.n, address: row.address }).collect();
    let route = setup.router.route_of(&claimed.envelope.recipients[0].address);
    dispatch.start_attempt(message, vec![(route.clone(), recipients)]);
    dispatch.take(&route).unwrap()
}

fn claim(scratch: &Scratch, bytes: &[u8]) -> ClaimedMessage {
    let id = scratch.inject(envelope(&["a@receiver.example", "b@receiver.example"]), bytes);
    testing::message(scratch.store().claim(id.to_string()).unwrap())
}

fn bytes(content: &Content) -> Vec<u8> {
    let mut all = content.prefix.clone();
    match &content.bytes {
        Bytes::Memory { bytes, range } => all.extend_from_slice(&bytes[range.clone()]),
        Bytes::File { file, offset, length } => {
            let mut bytes = vec![0; usize::try_from(*length).unwrap()];
            file.read_exact_at(&mut bytes, *offset).unwrap();
            all.extend(bytes);
        }
    }
    all
}

/// A message of three mebibytes: lines of every length up to 90.
fn large() -> Vec<u8> {
    let mut message = MESSAGE.to_vec();
    for n in 0.. {
        message.extend(std::iter::repeat_n(b'a' + (n % 26) as u8, n % 91));
        message.extend_from_slice(b"\r\n");
        if message.len() >= 3 << 20 {
            return message;
        }
    }
    unreachable!()
}

#[test]
fn small_and_large_messages_come_out_as_they_went_in_behind_one_received_field() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "");
    for message in [MESSAGE.to_vec(), large()] {
        let claimed = claim(&scratch, &message);
        let prepared = prepare(&scratch.store(), &setup, &work(&setup, &claimed), true, NOW).unwrap();
        let sent = bytes(&prepared.content);
        assert!(sent.starts_with(b"Received: ") && sent.ends_with(&message) && prepared.content.prefix.len() < 500);
        assert_eq!(prepared.envelope.size, sent.len() as u64);
        let recipients: Vec<String> = prepared.envelope.recipients.iter().map(|r| r.address.to_string()).collect();
        assert_eq!(recipients, ["a@receiver.example", "b@receiver.example"]);
    }
    assert_eq!(scratch.names(layout::CUR).len(), 2, "the private copy has no name");
}

#[test]
fn t_spool_2_a_file_that_was_changed_after_the_claim_is_never_sent() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "");
    for message in [MESSAGE.to_vec(), large()] {
        let last = message.len() as u64 - 3;
        for change in [
            &(|file: &File, line: u64| file.write_all_at(b"X", line + last).unwrap()) as &dyn Fn(&File, u64),
            &|file, line| file.set_len(line + last).unwrap(),
            &|file, line| file.set_len(line + last + 100).unwrap(),
            &|file, _| file.write_all_at(b"x", 0).unwrap(),
            &|file, _| file.set_len(0).unwrap(),
        ] {
            let claimed = claim(&scratch, &message);
            let work = work(&setup, &claimed);
            let file = File::options().read(true).write(true).open(scratch.file(layout::CUR, claimed.envelope.id)).unwrap();
            let line = file::read_line(&file).unwrap().length();
            change(&file, line);
            let obstacle = prepare(&scratch.store(), &setup, &work, true, NOW).unwrap_err();
            assert!(matches!(obstacle, Obstacle::Lost(Loss { is_corrupt: true, .. })), "{obstacle:?}");
        }
    }
}

#[test]
fn t_spool_2_an_envelope_that_was_rewritten_to_promise_a_terabyte_is_not_copied() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "");
    let claimed = claim(&scratch, &large());
    let path = scratch.file(layout::CUR, claimed.envelope.id);
    let mut text = Vec::new();
    File::open(&path).unwrap().take(8192).read_to_end(&mut text).unwrap();
    let end = text.iter().position(|byte| *byte == b'\n').unwrap();
    let line = String::from_utf8(text[..=end].to_vec()).unwrap();
    let size = format!("\"size\":{}", claimed.envelope.size);
    let huge = line.replacen(&size, "\"size\":1099511627776", 1).replacen("1099511627776      ", "1099511627776", 1);
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(huge.as_bytes(), 0).unwrap();
    file.set_len(1 << 40).unwrap();
    let cpu = || nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    let start = cpu();
    let obstacle = prepare(&scratch.store(), &setup, &work(&setup, &claimed), true, NOW).unwrap_err();
    assert!(matches!(obstacle, Obstacle::Lost(Loss { is_corrupt: true, .. })), "{obstacle:?}");
    // Processor time: to read a terabyte, even of a hole, takes minutes of it.
    assert!((cpu() - start).tv_sec() < 5);
}

#[test]
fn a_vanished_file_is_told_from_a_disk_that_refuses() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "");
    let claimed = claim(&scratch, MESSAGE);
    let work = work(&setup, &claimed);
    let path = scratch.file(layout::CUR, claimed.envelope.id);
    std::fs::remove_file(&path).unwrap();
    let vanished = prepare(&scratch.store(), &setup, &work, true, NOW).unwrap_err();
    assert_eq!(vanished, Obstacle::Lost(Loss::vanished("")));
    // Nothing can be said of a file whose directory has vanished: both may come back.
    let (store, cur) = (scratch.store(), scratch.path().join(layout::CUR));
    std::fs::rename(&cur, scratch.path().join("away")).unwrap();
    for _ in 0..2 {
        let refused = prepare(&store, &setup, &work, true, NOW).unwrap_err();
        assert!(matches!(&refused, Obstacle::Disk(why) if why.contains("/cur was removed or replaced")), "{refused:?}");
        // Nor where somebody has made another one.
        let _ = std::fs::create_dir(&cur);
    }
    std::fs::remove_dir(&cur).unwrap();
    std::fs::rename(scratch.path().join("away"), &cur).unwrap();
    // Reading a directory fails as a bad disk does: an error of the kernel's that is not about the bytes.
    std::fs::create_dir(&path).unwrap();
    let refused = prepare(&scratch.store(), &setup, &work, true, NOW).unwrap_err();
    assert!(matches!(refused, Obstacle::Disk(_)), "{refused:?}");
}

#[test]
fn dkim_without_a_usable_key_holds_the_message_and_says_which() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "[domain.\"sender.example\"]\nselectors = [\"s1\"]\n");
    let claimed = claim(&scratch, MESSAGE);
    let Err(Obstacle::Dkim(reason)) = prepare(&scratch.store(), &setup, &work(&setup, &claimed), true, NOW) else {
        panic!("sent unsigned")
    };
    assert!(reason.contains("s1"), "{reason}");
}

/// A setup that signs for sender.example, and its key.
fn signing(scratch: &Scratch) -> (Setup, PrivateKey) {
    let keys = scratch.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let (domain, selector) = (SigningDomain::parse("sender.example").unwrap(), Selector::parse("s1").unwrap());
    let key = PrivateKey::generate(Kind::Ed25519).unwrap();
    dkim::file::write(&keys, &domain, &selector, &key).unwrap();
    (setup(scratch, "[domain.\"sender.example\"]\nselectors = [\"s1\"]\n"), key)
}

#[test]
fn t_dkim_1_small_and_large_messages_are_signed_over_exactly_what_is_sent() {
    let scratch = Scratch::new();
    let (setup, key) = signing(&scratch);
    for message in [MESSAGE.to_vec(), large()] {
        let claimed = claim(&scratch, &message);
        let sent = bytes(&prepare(&scratch.store(), &setup, &work(&setup, &claimed), true, NOW).unwrap().content);
        assert!(verifies(&sent, &key));
        let mut changed = sent.clone();
        let last = changed.iter().rposition(u8::is_ascii_alphabetic).unwrap();
        changed[last] ^= 1;
        assert!(!verifies(&changed, &key));
    }
}

#[test]
fn t_dkim_1_h8_converted_messages_are_signed_as_converted_and_announced_so() {
    let scratch = Scratch::new();
    let (setup, key) = signing(&scratch);
    for mut message in [MESSAGE.to_vec(), large()] {
        message.extend_from_slice("gr\u{fc}n\r\n".as_bytes());
        let claimed = claim(&scratch, &message);
        let work = work(&setup, &claimed);
        for takes_8bit in [true, false] {
            let prepared = prepare(&scratch.store(), &setup, &work, takes_8bit, NOW).unwrap();
            let sent = bytes(&prepared.content);
            assert!(verifies(&sent, &key), "{takes_8bit}");
            assert_eq!((prepared.envelope.size, sent.is_ascii()), (sent.len() as u64, !takes_8bit));
            assert_eq!(prepared.envelope.body, if takes_8bit { Body::EightBitMime } else { Body::SevenBit });
            assert_eq!(prepared.envelope.recipients.len(), 2);
            let note = prepared.note.unwrap();
            assert!(note.contains("utf-8") && note.contains("quoted-printable") != takes_8bit, "{note}");
        }
    }
    assert_eq!(scratch.names(layout::CUR).len(), 2, "no copy has a name");
}

#[test]
fn a_deadline_that_has_passed_is_an_obstacle_and_one_that_has_not_is_none() {
    let scratch = Scratch::new();
    let setup = setup(&scratch, "");
    for (by, is_late) in [(NOW - 1, true), (NOW, true), (NOW + 1, false)] {
        let mut envelope = envelope(&["a@receiver.example"]);
        envelope.deliver_by = Some(date::rfc3339(by));
        let id = scratch.inject(envelope, MESSAGE);
        let claimed = testing::message(scratch.store().claim(id.to_string()).unwrap());
        let result = prepare(&scratch.store(), &setup, &work(&setup, &claimed), true, NOW);
        assert_eq!(matches!(result, Err(Obstacle::Expired(_))), is_late, "{by}");
        assert_eq!(result.is_ok(), !is_late);
    }
}

#[test]
fn the_length_of_a_file_counts_its_envelope() {
    let scratch = Scratch::new();
    let claimed = claim(&scratch, MESSAGE);
    let file = scratch.store().length(layout::CUR, claimed.envelope.id).unwrap();
    assert_eq!(file, std::fs::metadata(scratch.file(layout::CUR, claimed.envelope.id)).unwrap().len());
    assert!(file > claimed.envelope.size);
}

/// The only key in the DNS.
struct Zone(Txt);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        Some(self.0.clone())
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

/// The verdict of mail-auth, with `key` in its DNS.
fn verifies(message: &[u8], key: &PrivateKey) -> bool {
    let record = DomainKey::parse(dkim::record::text(key).unwrap().as_bytes()).unwrap();
    let zone = Zone(Txt::DomainKey(Arc::new(record)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let parsed = AuthenticatedMessage::parse(message).unwrap();
    let parameters = Parameters::new(&parsed).with_txt_cache(&zone);
    let outputs = runtime.block_on(MessageAuthenticator::new_cloudflare().unwrap().verify_dkim(parameters));
    outputs.len() == 1 && outputs.iter().all(|output| *output.result() == DkimResult::Pass)
}
