//! The Received field that the daemon adds to a message (SENDMAIL.md H1). Pure.
//!
//! In: data of the kernel and of the configuration. Out: bytes in wire form. Nothing here comes from the sender.

use jiff::tz::TimeZone;

use mail::queue_id::QueueId;
use mail::{date, limits};

/// The name in the field.
const PRODUCT: &str = "mailchute";

/// The Received field of local pickup (RFC 5321 4.4): no `from` and no `with`, because no SMTP took place (RFC 3848).
///
/// `uid` is the sender's as reported by the kernel, `None` with `received_uid = false`; `time` is when `sendmail` accepted the message,
/// unix seconds; `zone` is that of the host.
pub fn received(mailname: &str, uid: Option<u32>, id: QueueId, time: i64, zone: &TimeZone) -> Vec<u8> {
    let host = host(mailname);
    let from = uid.map_or_else(String::new, |uid| format!(", from userid {uid}"));
    format!("Received: by {host} ({PRODUCT}{from})\r\n\tid {id}; {}\r\n", date::rfc5322(time, zone)).into_bytes()
}

/// The mailname without what could end the field, begin a comment or another clause: a mistyped configuration must not break mail.
fn host(mailname: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    let host: String = mailname.chars().filter(kept).take(limits::DOMAIN).collect();
    if host.is_empty() { "localhost".to_owned() } else { host }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::header::Section;
    use mail::wire::WireCheck;

    fn field(mailname: &str, uid: Option<u32>) -> String {
        let id = QueueId::new(0x6921_CE05, 0xAB);
        String::from_utf8(received(mailname, uid, id, 1_795_358_629, &TimeZone::UTC)).expect("text")
    }

    #[test]
    fn h1_the_field_names_the_host_the_user_id_and_the_queue_id() {
        assert_eq!(
            field("host.example.org", Some(1000)),
            "Received: by host.example.org (mailchute, from userid 1000)\r\n\tid 6921CE05000000AB; Sun, 22 Nov 2026 14:43:49 +0000\r\n"
        );
        assert_eq!(
            field("host.example.org", None),
            "Received: by host.example.org (mailchute)\r\n\tid 6921CE05000000AB; Sun, 22 Nov 2026 14:43:49 +0000\r\n"
        );
    }

    #[test]
    fn h1_no_mailname_breaks_out_of_the_field() {
        for mailname in ["a\r\nBcc: x@y", "a\0b", "a (x", "a; b", "", &"x".repeat(5000)] {
            let text = field(mailname, Some(0));
            let section = Section::scan(text.as_bytes());
            assert_eq!((section.fields.len(), section.end), (1, text.len()), "{mailname:?}");
            let mut check = WireCheck::default();
            check.feed(text.as_bytes()).expect("wire form");
            assert!(check.finish().expect("wire form").longest_line < limits::LINE);
        }
        assert!(field("", None).contains("by localhost "));
        assert!(field("bücher.example", None).contains("by bücher.example "));
    }
}
