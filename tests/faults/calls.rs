//! System calls by name, and the kinds of them that faults are for.

use nix::errno::Errno;
use nix::libc::{self, c_long};

/// Number, name, and what can go wrong with it.
type Row = (c_long, &'static str, &'static [Errno]);

const OPENING: &[Errno] =
    &[Errno::EACCES, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EINTR, Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS];
const READING: &[Errno] = &[Errno::EIO, Errno::EINTR, Errno::ENOMEM, Errno::EAGAIN];
const WRITING: &[Errno] = &[Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EINTR, Errno::EAGAIN, Errno::EFBIG];
const SYNCING: &[Errno] = &[Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::EINTR];
const NAMING: &[Errno] =
    &[Errno::EIO, Errno::ENOSPC, Errno::EDQUOT, Errno::ENOMEM, Errno::EACCES, Errno::EROFS, Errno::EPERM, Errno::EMLINK];
const ASKING: &[Errno] = &[Errno::EIO, Errno::ENOMEM, Errno::EACCES, Errno::EINTR];
const LOCKING: &[Errno] = &[Errno::EINTR, Errno::ENOLCK, Errno::EAGAIN, Errno::ENOMEM, Errno::EIO];
const MAKING: &[Errno] = &[Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EACCES, Errno::ENOBUFS];
const TALKING: &[Errno] = &[Errno::EINTR, Errno::EIO, Errno::ENOBUFS, Errno::ECONNRESET, Errno::EPIPE, Errno::ENOMEM];
const WAITING: &[Errno] = &[Errno::EINTR, Errno::ENOMEM];
const MEMORY: &[Errno] = &[Errno::ENOMEM];

/// Every call on a file or a socket that our programs make, and memory.
const TABLE: &[Row] = &[
    (libc::SYS_open, "open", OPENING),
    (libc::SYS_openat, "openat", OPENING),
    (libc::SYS_read, "read", READING),
    (libc::SYS_pread64, "pread64", READING),
    (libc::SYS_readv, "readv", READING),
    (libc::SYS_getdents64, "getdents64", READING),
    (libc::SYS_getrandom, "getrandom", &[Errno::EINTR]),
    (libc::SYS_write, "write", WRITING),
    (libc::SYS_pwrite64, "pwrite64", WRITING),
    (libc::SYS_writev, "writev", WRITING),
    (libc::SYS_ftruncate, "ftruncate", WRITING),
    (libc::SYS_fallocate, "fallocate", WRITING),
    (libc::SYS_fsync, "fsync", SYNCING),
    (libc::SYS_fdatasync, "fdatasync", SYNCING),
    (libc::SYS_syncfs, "syncfs", SYNCING),
    (libc::SYS_linkat, "linkat", NAMING),
    (libc::SYS_renameat2, "renameat2", NAMING),
    (libc::SYS_rename, "rename", NAMING),
    (libc::SYS_renameat, "renameat", NAMING),
    (libc::SYS_unlink, "unlink", NAMING),
    (libc::SYS_unlinkat, "unlinkat", NAMING),
    (libc::SYS_mkdir, "mkdir", NAMING),
    (libc::SYS_mkdirat, "mkdirat", NAMING),
    (libc::SYS_fchmod, "fchmod", NAMING),
    (libc::SYS_chmod, "chmod", NAMING),
    (libc::SYS_fchmodat, "fchmodat", NAMING),
    (libc::SYS_fchown, "fchown", NAMING),
    (libc::SYS_fstat, "fstat", ASKING),
    (libc::SYS_stat, "stat", ASKING),
    (libc::SYS_lstat, "lstat", ASKING),
    (libc::SYS_newfstatat, "newfstatat", ASKING),
    (libc::SYS_statx, "statx", ASKING),
    (libc::SYS_fstatfs, "fstatfs", ASKING),
    (libc::SYS_statfs, "statfs", ASKING),
    (libc::SYS_access, "access", ASKING),
    (libc::SYS_readlink, "readlink", ASKING),
    (libc::SYS_getcwd, "getcwd", ASKING),
    (libc::SYS_lseek, "lseek", &[Errno::EIO]),
    (libc::SYS_close, "close", &[Errno::EIO, Errno::ENOSPC]),
    (libc::SYS_flock, "flock", LOCKING),
    (libc::SYS_fcntl, "fcntl", LOCKING),
    (libc::SYS_socket, "socket", MAKING),
    (libc::SYS_accept4, "accept4", MAKING),
    (libc::SYS_eventfd2, "eventfd2", MAKING),
    (libc::SYS_epoll_create1, "epoll_create1", MAKING),
    (libc::SYS_inotify_init1, "inotify_init1", MAKING),
    (libc::SYS_inotify_add_watch, "inotify_add_watch", &[Errno::ENOSPC, Errno::ENOMEM, Errno::EACCES]),
    (libc::SYS_socketpair, "socketpair", MAKING),
    (libc::SYS_bind, "bind", &[Errno::EADDRINUSE, Errno::EACCES, Errno::ENOSPC, Errno::EROFS]),
    (libc::SYS_listen, "listen", &[Errno::EADDRINUSE, Errno::ENOBUFS]),
    (libc::SYS_connect, "connect", &[Errno::ECONNREFUSED, Errno::ENETUNREACH, Errno::EINTR, Errno::EADDRNOTAVAIL, Errno::ETIMEDOUT]),
    (libc::SYS_sendto, "sendto", TALKING),
    (libc::SYS_sendmsg, "sendmsg", TALKING),
    (libc::SYS_recvfrom, "recvfrom", TALKING),
    (libc::SYS_recvmsg, "recvmsg", TALKING),
    (libc::SYS_setsockopt, "setsockopt", &[Errno::ENOMEM, Errno::ENOBUFS]),
    (libc::SYS_getsockopt, "getsockopt", &[Errno::ENOMEM, Errno::ENOBUFS]),
    (libc::SYS_getsockname, "getsockname", &[Errno::ENOBUFS]),
    (libc::SYS_getpeername, "getpeername", &[Errno::ENOTCONN]),
    (libc::SYS_shutdown, "shutdown", &[Errno::ENOTCONN]),
    (libc::SYS_poll, "poll", WAITING),
    (libc::SYS_epoll_ctl, "epoll_ctl", &[Errno::ENOSPC, Errno::ENOMEM]),
    (libc::SYS_epoll_wait, "epoll_wait", &[Errno::EINTR]),
    (libc::SYS_clone3, "clone3", &[Errno::EAGAIN, Errno::ENOMEM]),
    (libc::SYS_mmap, "mmap", MEMORY),
    (libc::SYS_brk, "brk", MEMORY),
];

/// The name of a call, for people.
pub(crate) fn name(call: c_long) -> String {
    TABLE.iter().find(|(number, ..)| *number == call).map_or_else(|| format!("call {call}"), |(_, name, _)| (*name).to_owned())
}

/// The errors that a call on a file or a socket is tried with; none for other calls.
pub(crate) fn errors(call: c_long) -> &'static [Errno] {
    TABLE.iter().find(|(number, ..)| *number == call).map_or(&[], |(.., errors)| errors)
}

/// True for the calls whose third argument is the length of what they write.
pub(crate) fn is_write(call: c_long) -> bool {
    [libc::SYS_write, libc::SYS_pwrite64, libc::SYS_sendto].contains(&call)
}

/// True for the calls that make things durable.
pub(crate) fn is_sync(call: c_long) -> bool {
    [libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_syncfs].contains(&call)
}

/// True for the calls that change names.
pub(crate) fn is_naming(call: c_long) -> bool {
    [libc::SYS_linkat, libc::SYS_renameat2, libc::SYS_rename, libc::SYS_unlink, libc::SYS_unlinkat, libc::SYS_ftruncate].contains(&call)
}
