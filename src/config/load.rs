//! Reads `mailchute.toml` and reports errors with their line.

use std::path::Path;

use exit::{Exit, Failure};

use crate::params::Params;
use crate::paths::Paths;
use crate::wrong;

/// The configuration of one program.
#[derive(Clone, Debug)]
pub struct Config {
    /// The paths of this installation.
    pub paths: Paths,
    /// The settings.
    pub params: Params,
}

impl Config {
    /// Finds the paths of this process and reads its configuration file. A missing file counts as an empty one.
    ///
    /// Errors: EX_CONFIG with `file:line:column: reason`.
    pub fn load() -> Result<Config, Failure> {
        let paths = Paths::of_this_process();
        let params = match sys::fs::read_whole(&paths.config_file) {
            Ok(bytes) => parse(&bytes, &paths.config_file)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Params::default(),
            Err(e) => return Err(failure(&paths.config_file, &format!("cannot be read: {e}"))),
        };
        Ok(Config { paths, params })
    }
}

/// The parameters in `bytes`; `path` is for the error text.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Params, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| failure(path, "is not UTF-8"))?;
    let params = toml::from_str::<Params>(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        let reason = mail::printable::text(&wrong::words(e.message()));
        Failure::new(Exit::Config, format!("{}:{line}: {reason}", path.display()))
    })?;
    params.consistent().map_err(|why| Failure::new(Exit::Config, format!("{}: {why}", path.display())))?;
    Ok(params)
}

fn failure(path: &Path, reason: &str) -> Failure {
    Failure::new(Exit::Config, format!("{} {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Params, Failure> {
        parse(text.as_bytes(), Path::new("/etc/mailchute/mailchute.toml"))
    }

    #[test]
    fn an_empty_file_is_a_working_configuration() {
        assert_eq!(read("").map(|p| p.message_size_limit.0).ok(), Some(50 << 20));
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let error = read("mailname = \"h.example\"\nsmtpd_banner = \"x\"\n").err().map(|e| (e.exit, e.text));
        let (exit, text) = error.unwrap_or((Exit::Ok, String::new()));
        assert_eq!(exit, Exit::Config);
        assert!(text.starts_with("/etc/mailchute/mailchute.toml:2: unknown key smtpd_banner; see mailchute.toml(5)"), "{text}");
    }

    #[test]
    fn errors_say_what_to_write_instead() {
        for (text, wanted) in [
            ("nexthop = 1", ":1: unknown key nexthop; did you mean next_hop?"),
            ("[domain.\"x\"]\nselector = []", ":2: unknown key selector; did you mean selectors?"),
            ("[webhook.\"x\"]\nfoo = 1", ":2: unknown key foo; see mailchute.toml(5)"),
            ("\ndns_servers = [\"1.1.1.1\"]", ":2: invalid socket address syntax: write address:port, such as 1.1.1.1:53"),
            ("mailname = foo", "; put strings in quotation marks"),
            ("mailname = true_mail.example", "; put strings in quotation marks"),
            ("next_hop = smtp://h", "; put strings in quotation marks"),
            ("retry_min = \"5h\"", "retry_min (18000 s) is longer than retry_max (14400 s): set both"),
        ] {
            let said = read(text).unwrap_err().text;
            assert!(said.ends_with(wanted), "{text}: {said}");
        }
        assert!(read("retry_min = \"4h\"").is_ok(), "as long is not longer");
    }

    #[test]
    fn t_log_no_error_repeats_a_password() {
        for text in [
            "next_hop = \"smtp://user:hunter2@foo\"",
            "next_hop = \"smtp://user:hunter2@foo\" junk",
            "next_hop = smtp://user:hunter2@foo",
            "next_hop = \"user:hunter2@foo\"",
            "next_hop = \"smtp://user:hun@ter hunter2@foo\"",
            "next_hop = [\"smtp://user:hunter2@foo\"]",
            "recipient_limit = \"smtp://user:hunter2@foo\"",
            "\"smtp://user:hunter2@foo\" = 1",
            "[webhook.\"x\"]\nurl = \"https://user:hunter2@foo/\"",
        ] {
            let said = read(text).unwrap_err().text;
            assert!(!said.contains("hunter2"), "{text}: {said}");
        }
    }
}
