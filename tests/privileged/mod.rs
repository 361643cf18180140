//! A system installation with several users: what a caller without rights can do, and what not even a hostile one can.

mod disk;
mod drop_directory;
mod identity;
mod ids;

use spool::layout;

use crate::support::installation::Installation;

/// The only name in `new/`.
#[track_caller]
fn only_id(installation: &Installation) -> String {
    let names = installation.spooled(layout::NEW);
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}
