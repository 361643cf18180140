//! Every row of the table.

use super::*;
use crate::testing::Scratch;

/// A claimed message, with the digest of its row.
fn claimed(scratch: &Scratch) -> (QueueId, Vec<u8>) {
    let claimed = scratch.claimed(&["bob@receiver.example"]);
    (claimed.envelope.id, claimed.digest)
}

fn to_hold(scratch: &Scratch, (id, pinned): &(QueueId, Vec<u8>)) -> Carried {
    scratch.store().carry(*id, layout::CUR, Some(layout::HOLD), pinned, "").unwrap()
}

#[test]
fn a_file_is_moved_once_and_then_it_was_there() {
    let scratch = Scratch::new();
    let message = claimed(&scratch);
    assert!(matches!(to_hold(&scratch, &message), Carried::Moved));
    assert!(matches!(to_hold(&scratch, &message), Carried::WasThere));
    assert_eq!((scratch.names(layout::CUR).len(), scratch.names(layout::HOLD)), (0, vec![message.0.to_string()]));
}

#[test]
fn a_file_that_is_nowhere_has_vanished_and_one_that_somebody_moved_is_found() {
    let scratch = Scratch::new();
    let message = claimed(&scratch);
    std::fs::rename(scratch.file(layout::CUR, message.0), scratch.file(layout::FAILED, message.0)).unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::Elsewhere(layout::FAILED)));
    std::fs::remove_file(scratch.file(layout::FAILED, message.0)).unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::Vanished));
}

#[test]
fn the_same_file_again_is_removed_and_another_one_is_put_aside() {
    let scratch = Scratch::new();
    let message = claimed(&scratch);
    std::fs::copy(scratch.file(layout::CUR, message.0), scratch.file(layout::HOLD, message.0)).unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::WasThere));
    assert_eq!((scratch.names(layout::CUR).len(), scratch.names(layout::CORRUPT).len()), (0, 0));

    let message = claimed(&scratch);
    std::fs::write(scratch.file(layout::HOLD, message.0), "in the way").unwrap();
    let whole = std::fs::read(scratch.file(layout::CUR, message.0)).unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::Moved));
    assert_eq!(std::fs::read(scratch.file(layout::HOLD, message.0)).unwrap(), whole);
    assert_eq!(std::fs::read(scratch.file(layout::CORRUPT, message.0)).unwrap(), b"in the way");
}

#[test]
fn where_another_file_took_its_old_place_the_message_stays_in_its_new_one() {
    let scratch = Scratch::new();
    let message = claimed(&scratch);
    to_hold(&scratch, &message);
    std::fs::write(scratch.file(layout::CUR, message.0), "another").unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::WasThere));
    assert_eq!(scratch.names(layout::HOLD), [message.0.to_string()]);
    assert_eq!(std::fs::read(scratch.file(layout::CORRUPT, message.0)).unwrap(), b"another");
}

#[test]
fn a_directory_in_the_way_is_put_aside_like_a_file() {
    let scratch = Scratch::new();
    let message = claimed(&scratch);
    std::fs::create_dir(scratch.file(layout::HOLD, message.0)).unwrap();
    assert!(matches!(to_hold(&scratch, &message), Carried::Moved));
    assert!(scratch.file(layout::HOLD, message.0).is_file());
}

#[test]
fn what_the_kernel_refuses_for_this_file_stops_only_this_one() {
    let scratch = Scratch::new();
    let (id, pinned) = claimed(&scratch);
    std::fs::remove_file(scratch.file(layout::CUR, id)).unwrap();
    std::fs::create_dir(scratch.file(layout::CUR, id)).unwrap();
    assert!(matches!(scratch.store().carry(id, layout::CUR, None, &pinned, "").unwrap(), Carried::Refused(_)));
    std::fs::remove_dir(scratch.path().join(layout::TRASH)).unwrap();
    std::fs::create_dir(scratch.path().join(layout::TRASH)).unwrap();
    let store = scratch.store();
    std::fs::remove_dir(scratch.path().join(layout::TRASH)).unwrap();
    let gone = store.carry(id, layout::CUR, Some(layout::TRASH), &pinned, "").unwrap_err();
    assert!(gone.to_string().contains("/trash was removed"), "{gone}");
}

#[test]
fn a_corrupt_file_gets_a_free_name_and_its_reason_and_a_second_time_it_was_there() {
    let scratch = Scratch::new();
    let (id, pinned) = claimed(&scratch);
    std::fs::write(scratch.file(layout::CORRUPT, id), "an older one").unwrap();
    let carry = || scratch.store().carry(id, layout::CUR, Some(layout::CORRUPT), &pinned, "changed").unwrap();
    assert!(matches!(carry(), Carried::Moved));
    let names = scratch.names(layout::CORRUPT);
    assert_eq!((names.len(), names.iter().filter(|name| name.ends_with(".why")).count()), (3, 1), "{names:?}");
    assert!(matches!(carry(), Carried::WasThere));
}

#[test]
fn deleting_twice_is_no_error() {
    let scratch = Scratch::new();
    let (id, pinned) = claimed(&scratch);
    for _ in 0..2 {
        assert!(matches!(scratch.store().carry(id, layout::CUR, None, &pinned, "").unwrap(), Carried::Moved));
    }
    assert!(scratch.names(layout::CUR).is_empty());
}
