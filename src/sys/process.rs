//! This process: its user, what it inherited, and how it drops privileges.

use std::ffi::OsString;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User};

/// The real user id.
pub fn uid() -> u32 {
    Uid::current().as_raw()
}

/// The effective user id.
pub fn euid() -> u32 {
    Uid::effective().as_raw()
}

/// The real group id.
pub fn gid() -> u32 {
    Gid::current().as_raw()
}

/// The passwd entry of `uid`; `None` if there is none or it cannot be read.
pub fn user(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten()
}

/// The name of `uid`; `uid1234` if it has none: containers run any uid (SENDMAIL.md S1).
pub fn user_name(uid: u32) -> String {
    user(uid).map_or_else(|| format!("uid{uid}"), |user| user.name)
}

/// The id of the user `name`.
pub fn user_id(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// The id of the group `name`.
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// True if `uid` is a member of the group `gid`, by its passwd entry or the group's list.
pub fn is_member(uid: u32, gid: u32) -> bool {
    let Some(user) = user(uid) else { return false };
    user.gid.as_raw() == gid || Group::from_gid(Gid::from_raw(gid)).ok().flatten().is_some_and(|group| group.mem.contains(&user.name))
}

/// The home directory: by passwd, else `$HOME`.
pub fn home_directory() -> Option<PathBuf> {
    super::passwd::entry(uid())
        .map(|entry| entry.home)
        .or_else(|| std::env::var_os("HOME").map(PathBuf::from))
        .filter(|path| path.is_absolute())
}

/// The host name of the kernel.
pub fn host_name() -> String {
    nix::unistd::gethostname().unwrap_or_else(|_| OsString::new()).to_string_lossy().into_owned()
}

/// Sets the umask so that new files are private, and makes a file size limit an error instead of a fatal signal (SENDMAIL.md P8).
/// Rust's runtime has already opened /dev/null on closed descriptors 0 to 2 (THREATS T-ENV-2) and ignored SIGPIPE. A blocked signal
/// has the effect of an ignored one here: the call that caused it fails with EFBIG.
pub fn prepare() {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    block(Signal::SIGXFSZ);
}

/// Disables core files, and access to the memory of this process by other processes of its user: it contains keys and a password
/// (THREATS T-OUT-4).
pub fn keep_memory_private() {
    // Fails only if a sandbox forbids it; then the limits of the unit still apply.
    let _ = nix::sys::prctl::set_dumpable(false);
}

fn block(signal: Signal) {
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(signal);
    // Cannot fail for a valid set. If it did, the signal would keep its default action.
    let _ = set.thread_block();
}

/// Blocks SIGHUP, which ends nothing from here on: for `sendmail`, a vanishing terminal (SENDMAIL.md P8); for the daemon, a reload
/// that comes before it listens. Threads begin with what the one that makes them has blocked.
pub fn block_hangup() {
    block(Signal::SIGHUP);
}

/// Ends [`block_hangup`] for this thread; one that came meanwhile is delivered now.
pub fn unblock_hangup() {
    let mut set = nix::sys::signal::SigSet::empty();
    set.add(Signal::SIGHUP);
    // As above.
    let _ = set.thread_unblock();
}

/// How many descriptors this process may have open; `None` where the kernel does not say.
pub fn descriptor_limit() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

/// Switches permanently to `uid`:`gid`, without supplementary groups. Only root can do that.
///
/// Errors: the kernel's; then the process must stop.
pub fn become_user(uid: u32, gid: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setgroups(&[gid])?;
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}
