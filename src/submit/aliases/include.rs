//! `:include:`: a file with targets.

use std::io::Read;
use std::path::Path;

use super::target::{Target, targets};

/// Maximum size of a list in bytes.
const LIMIT: u64 = 4 << 20;

/// Reads the targets in the file at `path`.
///
/// The file must belong to root and be writable by root only, because it decides where root's mail goes. A symbolic link is not
/// followed, and a FIFO does not block.
///
/// Errors: one line.
pub fn read(path: &str) -> Result<Vec<Target>, String> {
    let file = sys::fs::open_hostile_path(Path::new(path)).map_err(|e| format!("{path}: {}", e.desc()))?;
    let stat = sys::fs::stat(&file).map_err(|e| format!("{path}: {}", e.desc()))?;
    if !sys::fs::is_regular(&stat) || stat.st_uid != 0 || sys::fs::mode(&stat) & 0o022 != 0 {
        return Err(format!("{path}: it must be a regular file that only root can write"));
    }
    let mut text = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut text).map_err(|e| format!("{path}: {e}"))?;
    if text.len() as u64 > LIMIT {
        return Err(format!("{path}: larger than 4 MiB"));
    }
    parse(&text).map_err(|why| format!("{path}: {why}"))
}

/// Parses the text of such a file: targets separated by commas or line ends; `#` at the start of a line starts a comment.
///
/// Errors: the first error. One invalid target makes the whole list invalid.
pub fn parse(text: &[u8]) -> Result<Vec<Target>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut all = Vec::new();
    for line in lines {
        let (found, problems) = targets(line.trim());
        if let Some(why) = problems.into_iter().next() {
            return Err(why);
        }
        all.extend(found);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_9_a_list_of_addresses_in_lines_and_commas() {
        let text = b"# people\na@x.example, bob\n\n  \\carol\n#x\n:include:/etc/more\n";
        assert_eq!(parse(text).unwrap().len(), 4);
        assert!(parse(b"|cat\n").is_err() && parse(b"a b\n").is_err() && parse(b"\xff\n").is_err());
    }

    #[test]
    fn section_9_only_a_file_of_root_that_nobody_else_writes() {
        for path in ["/dev/null", "/tmp", "/nonexistent", "/proc/self/mem"] {
            assert!(read(path).is_err(), "{path}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a@x.example\n").unwrap();
        let path = file.path().to_str().unwrap();
        let is_root = sys::process::euid() == 0;
        assert_eq!(read(path).is_ok(), is_root);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        assert!(read(path).is_err());
        let link = file.path().with_extension("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(read(link.to_str().unwrap()).is_err());
        std::fs::remove_file(link).unwrap();
    }
}
