//! Key files: `keys/DOMAIN/SELECTOR.pem`, read only when nobody but their owner could have read or replaced them.
//!
//! In: the keys directory, names, and who will use the keys. Out: a private key, or a refusal with the command that fixes it.
//! Trusted: root, and the user that signs. Every name is opened below an open directory, no symbolic link is followed, and what is
//! checked is what was opened, so nothing can be exchanged between check and use.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use zeroize::Zeroizing;

use super::key::{KeyError, PrivateKey};
use super::name::{Selector, SigningDomain};

/// Bytes of a key file that are read. An RSA key of 8192 bits takes 6.4 KiB.
const LARGEST: u64 = 64 << 10;

/// Why a key file or its directory was refused.
#[derive(Debug)]
pub struct KeyFileError {
    /// What was refused.
    pub path: PathBuf,
    /// Why.
    pub why: Refusal,
}

/// The reason of a [`KeyFileError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing has that name.
    Missing,
    /// Something has that name already.
    Exists,
    /// A symbolic link: where it points may belong to anybody.
    Link,
    /// Neither a regular file nor, for a directory, a directory.
    Kind,
    /// It belongs to a user who is neither root nor the one who signs (the second number).
    Owner(u32, u32),
    /// Group or others can read the file; the mode.
    Readable(u32),
    /// Group or others can exchange what is in the directory; the mode.
    Writable(u32),
    /// Over 64 KiB.
    TooLarge,
    /// The content is no usable key.
    Key(KeyError),
    /// The kernel denies access to the signing user.
    Denied(u32),
    /// Another error of the kernel.
    Kernel(Errno),
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        let path = self.path.display();
        match self.why {
            Refusal::Missing => write!(f, "{path} does not exist; create it with `mailchute dkim keygen`"),
            Refusal::Exists => write!(f, "{path} exists and is never overwritten; choose another selector"),
            Refusal::Link => write!(f, "{path} is a symbolic link; put the key itself there"),
            Refusal::Kind => write!(f, "{path} has the wrong file type: a key must be a regular file in the directory of its domain"),
            Refusal::Owner(owner, signer) => {
                let signer = sys::process::user_name(signer);
                write!(f, "{path} belongs to {}, who could replace it; run `chown {signer} {path}`", sys::process::user_name(owner))
            }
            Refusal::Readable(mode) => write!(f, "{path} has mode {mode:04o}, so others can read the key; run `chmod 600 {path}`"),
            Refusal::Writable(mode) => {
                write!(f, "{path} has mode {mode:04o}, so others can replace the keys in it; run `chmod 700 {path}`")
            }
            Refusal::TooLarge => write!(f, "{path} is too large for a key; it must contain one PEM key"),
            Refusal::Key(why) => write!(f, "{path} {why}"),
            Refusal::Denied(signer) => {
                let signer = sys::process::user_name(signer);
                write!(f, "{path} cannot be opened by {signer}; run `chown {signer} {path}`")
            }
            Refusal::Kernel(errno) => write!(f, "{path}: {}", errno.desc()),
        }
    }
}

impl std::error::Error for KeyFileError {}

/// The path of the key below the keys directory.
pub fn path(keys: &Path, domain: &SigningDomain, selector: &Selector) -> PathBuf {
    keys.join(domain.as_str()).join(file_name(selector))
}

fn file_name(selector: &Selector) -> String {
    format!("{selector}.pem")
}

/// Reads a key. `signer` is the user id that signs with it: the process' own in the daemon.
///
/// Errors: [`KeyFileError`] for everything that is not a private key which only `signer` and root could have touched.
pub fn read(keys: &Path, domain: &SigningDomain, selector: &Selector, signer: u32) -> Result<PrivateKey, KeyFileError> {
    let at = |path: PathBuf| move |why| KeyFileError { path, why };
    let top = sys::fs::open_directory(keys).map_err(|e| refusal(e, signer)).map_err(at(keys.to_owned()))?;
    check_directory(&top, signer).map_err(at(keys.to_owned()))?;

    let path = path(keys, domain, selector);
    let below = keys.join(domain.as_str());
    let directory = sys::private::enter_directory(&top, domain.as_str()).map_err(|e| match e {
        // The key is what a person misses.
        Errno::ENOENT => KeyFileError { path: path.clone(), why: Refusal::Missing },
        e => KeyFileError { path: below.clone(), why: refusal(e, signer) },
    })?;
    check_directory(&directory, signer).map_err(at(below))?;

    let file = sys::fs::open_hostile(&directory, file_name(selector)).map_err(|e| refusal(e, signer)).map_err(at(path.clone()))?;
    read_open(file, signer).map_err(at(path))
}

fn refusal(errno: Errno, signer: u32) -> Refusal {
    match errno {
        Errno::ENOENT => Refusal::Missing,
        Errno::EEXIST => Refusal::Exists,
        Errno::ELOOP => Refusal::Link,
        // O_NOFOLLOW with O_DIRECTORY says ENOTDIR for a link, too; ENXIO is a socket.
        Errno::ENOTDIR | Errno::ENXIO => Refusal::Kind,
        Errno::EACCES | Errno::EPERM => Refusal::Denied(signer),
        errno => Refusal::Kernel(errno),
    }
}

fn check_directory(directory: &impl AsFd, signer: u32) -> Result<(), Refusal> {
    let stat = sys::fs::stat(directory).map_err(Refusal::Kernel)?;
    check_owner(&stat, signer)?;
    match sys::fs::mode(&stat) {
        mode if mode & 0o022 != 0 => Err(Refusal::Writable(mode)),
        _ => Ok(()),
    }
}

fn check_owner(stat: &FileStat, signer: u32) -> Result<(), Refusal> {
    if stat.st_uid == 0 || stat.st_uid == signer { Ok(()) } else { Err(Refusal::Owner(stat.st_uid, signer)) }
}

/// Checks what was opened, then reads it.
fn read_open(file: File, signer: u32) -> Result<PrivateKey, Refusal> {
    let stat = sys::fs::stat(&file).map_err(Refusal::Kernel)?;
    if !sys::fs::is_regular(&stat) {
        return Err(Refusal::Kind);
    }
    check_owner(&stat, signer)?;
    let mode = sys::fs::mode(&stat);
    if mode & 0o077 != 0 {
        return Err(Refusal::Readable(mode));
    }
    // Room for everything at once: a vector that grows leaves copies of the key behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut pem).map_err(|e| Refusal::Kernel(errno_of(e)))?;
    if pem.len() as u64 > LARGEST {
        return Err(Refusal::TooLarge);
    }
    PrivateKey::from_pem(&pem).map_err(Refusal::Key)
}

/// Writes a new key, mode 0600 in a directory 0700, both owned by the owner of the keys directory, and makes it durable. It appears
/// under its name whole or not at all, and never in the place of another.
///
/// Errors: [`KeyFileError`]; then nothing has the name, unless [`Refusal::Exists`].
pub fn write(keys: &Path, domain: &SigningDomain, selector: &Selector, key: &PrivateKey) -> Result<PathBuf, KeyFileError> {
    let path = path(keys, domain, selector);
    let at = |path: PathBuf| move |errno: Errno| KeyFileError { path, why: refusal(errno, sys::process::euid()) };
    let pem = key.to_pem().map_err(|why| KeyFileError { path: path.clone(), why: Refusal::Key(why) })?;
    let top = sys::fs::open_readable_directory(keys).map_err(at(keys.to_owned()))?;
    let owner = sys::fs::stat(&top).map_err(at(keys.to_owned()))?;
    let directory = domain_directory(&top, domain, &owner).map_err(at(keys.join(domain.as_str())))?;
    write_below(&directory, &file_name(selector), pem.as_bytes(), &owner).map_err(at(path.clone()))?;
    Ok(path)
}

/// Opens the directory of the domain, making it where it is missing.
fn domain_directory(top: &File, domain: &SigningDomain, owner: &FileStat) -> nix::Result<File> {
    match sys::private::make_directory(top, domain.as_str()) {
        Ok(()) => {
            let directory = sys::private::open_directory(top, domain.as_str())?;
            give(&directory, owner)?;
            top.sync_all().map_err(errno_of)?;
            Ok(directory)
        }
        Err(Errno::EEXIST) => sys::private::open_directory(top, domain.as_str()),
        Err(e) => Err(e),
    }
}

/// Writes under another name, syncs, and renames without replacing: a crash leaves a whole key or a file that is no key.
fn write_below(directory: &File, name: &str, content: &[u8], owner: &FileStat) -> nix::Result<()> {
    let random = sys::clock::random().map_err(errno_of)?;
    let draft = format!(".{random:016x}.new");
    let mut file = sys::private::create(directory, &draft)?;
    let result = file
        .write_all(content)
        .map_err(errno_of)
        .and_then(|()| give(&file, owner))
        .and_then(|()| file.sync_all().map_err(errno_of))
        .and_then(|()| sys::fs::rename_new(directory, &draft, directory, name));
    if result.is_err() {
        // Best effort: what stays is a file of ours, mode 0600, that no name leads to.
        let _ = sys::fs::unlink(directory, &draft);
    }
    result.and_then(|()| directory.sync_all().map_err(errno_of))
}

/// Root makes keys for the daemon's user: without this the daemon could not read them. Others can only make their own.
fn give(file: &impl AsFd, owner: &FileStat) -> nix::Result<()> {
    if sys::process::euid() == 0 { sys::private::give_to(file, owner.st_uid, owner.st_gid) } else { Ok(()) }
}

fn errno_of(e: std::io::Error) -> Errno {
    Errno::from_raw(e.raw_os_error().unwrap_or(0))
}

#[cfg(test)]
mod tests;
