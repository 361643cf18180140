//! To whom a DSN goes, and about which messages there is none (RFC 3834 2, THREATS T-DSN-1). Pure.
//!
//! In: the reverse-path and the header section of the message, both of which its sender chose. Out: one address. The null
//! reverse-path never comes here: nothing is ever due about it.

use config::Names;
use config::names::is_loopback;
use mail::Address;
use mail::header;
use mail::header::Section;

/// Received fields that no message without a loop has: half of what ends its way altogether.
const HOPS: usize = 50;

/// Where the DSN goes.
///
/// * Mail that is itself an automatic answer: nowhere. A DSN that comes back through an answering machine ends here.
/// * Other automatic mail (`Auto-Submitted`, `Precedence: bulk`, as cron writes them): to `admin` alone, because nobody reads the
///   mail of its sender, and its sender may be somebody else's list.
/// * A reverse-path at a local domain: to `admin`, if there is one. There are no mailboxes here.
/// * Otherwise: the reverse-path.
///
/// Errors: why nobody is told.
pub(crate) fn addressee(reverse_path: &str, header: &[u8], names: &Names, admin: Option<&Address>) -> Result<Address, &'static str> {
    let section = Section::scan(header);
    if section.named(header, "Received").count() > HOPS {
        return Err("it has more than 50 Received fields, so it is in a loop");
    }
    let word = |name: &str| {
        let value = section.named(header, name).next().map(|field| header::unfold(field.value_in(header))).unwrap_or_default();
        String::from_utf8_lossy(&value).split([';', ' ', '(']).next().unwrap_or_default().to_ascii_lowercase()
    };
    let automatic = word("Auto-Submitted");
    if automatic == "auto-replied" {
        return Err("it is an automatic answer itself");
    }
    let is_bulk = matches!(word("Precedence").as_str(), "bulk" | "list" | "junk");
    if is_bulk || !matches!(automatic.as_str(), "" | "no") {
        return admin.cloned().ok_or("it was sent automatically, and no admin_address is configured");
    }
    let sender = Address::parse(reverse_path).map_err(|_| "its reverse-path is not an address")?;
    match admin {
        Some(admin) if names.is_local(sender.domain()) => Ok(admin.clone()),
        // No other host can take mail for localhost.
        _ if is_loopback(sender.domain()) => Ok(Address::new(sender.local(), &names.mailname).unwrap_or(sender)),
        _ => Ok(sender),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reverse_path: &str, header: &str, admin: Option<&str>) -> Result<String, &'static str> {
        let names = Names::of(Some("h.example"), None, "web1", &[]).unwrap();
        let admin = admin.map(|text| Address::parse(text).unwrap());
        addressee(reverse_path, header.as_bytes(), &names, admin.as_ref()).map(|address| address.to_string())
    }

    const ADMIN: Option<&str> = Some("admin@x.example");

    #[test]
    fn u03_a_local_sender_is_told_through_the_administrator() {
        assert_eq!(told("me@y.example", "Subject: x\r\n", ADMIN).as_deref(), Ok("me@y.example"));
        for local in ["me@h.example", "me@WEB1", "root@localhost"] {
            assert_eq!(told(local, "", ADMIN).as_deref(), Ok("admin@x.example"), "{local}");
        }
        assert_eq!(told("me@h.example", "", None).as_deref(), Ok("me@h.example"));
        assert_eq!(told("root@localhost", "", None).as_deref(), Ok("root@h.example"));
    }

    #[test]
    fn t_dsn_1_automatic_mail_is_told_to_the_administrator_or_to_nobody() {
        for header in ["Auto-Submitted: auto-generated\r\n", "Precedence: Bulk\r\n", "precedence: list\r\n", "Auto-Submitted: x; y\r\n"] {
            assert_eq!(told("me@y.example", header, ADMIN).as_deref(), Ok("admin@x.example"), "{header}");
            assert!(told("me@y.example", header, None).is_err(), "{header}");
        }
        assert_eq!(told("me@y.example", "Auto-Submitted: no\r\nPrecedence: first-class\r\n", None).as_deref(), Ok("me@y.example"));
    }

    #[test]
    fn t_dsn_1_answers_and_loops_are_told_to_nobody() {
        for header in ["Auto-Submitted: auto-replied\r\n", "auto-submitted: Auto-Replied (vacation)\r\n"] {
            assert!(told("me@y.example", header, ADMIN).is_err(), "{header}");
        }
        let hops = |count| "Received: by x; now\r\n".repeat(count);
        assert!(told("me@y.example", &hops(50), ADMIN).is_ok() && told("me@y.example", &hops(51), ADMIN).is_err());
    }
}
