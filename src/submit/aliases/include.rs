//! `:include:`: a file with more targets.

use std::io::Read;
use std::path::Path;

use super::target::{Target, targets};

/// Bytes of a list; a longer one is no list.
const LIMIT: u64 = 4 << 20;

/// The targets in the file at `path`.
///
/// The file must be root's, and nobody else may be able to write it: what stands in it decides where root's mail goes. No link is
/// followed in the last place, and a FIFO cannot make us wait.
///
/// Errors: one line.
pub fn read(path: &str) -> Result<Vec<Target>, String> {
    let file = sys::fs::open_hostile_path(Path::new(path)).map_err(|e| format!("{path}: {}", e.desc()))?;
    let stat = sys::fs::stat(&file).map_err(|e| format!("{path}: {}", e.desc()))?;
    if !sys::fs::is_regular(&stat) || stat.st_uid != 0 || sys::fs::mode(&stat) & 0o022 != 0 {
        return Err(format!("{path}: must be a regular file of root that nobody else can write"));
    }
    let mut text = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut text).map_err(|e| format!("{path}: {e}"))?;
    if text.len() as u64 > LIMIT {
        return Err(format!("{path}: larger than 4 MiB"));
    }
    parse(&text).map_err(|why| format!("{path}: {why}"))
}

/// The targets in the text of such a file: separated by commas or line ends, `#` at the start of a line begins a comment.
///
/// Errors: the first thing that is wrong. A list that holds something else than targets is no list.
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
