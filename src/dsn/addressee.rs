//! The recipient of a DSN, and the messages without DSNs (RFC 3834 2, THREATS T-DSN-1). Pure.
//!
//! In: the reverse-path and the header section of the message, both chosen by its sender. Out: one address. Messages with a null
//! reverse-path never get here: they never cause a DSN.

use config::Names;
use config::names::is_loopback;
use mail::Address;
use mail::code::NoDsn;
use mail::header;
use mail::header::Section;

/// More Received fields than this mean a loop. It is half of the limit for mail.
const HOPS: usize = 50;

/// The recipient of the DSN.
///
/// * Mail that is an automatic reply: no DSN. A DSN that returns through an autoresponder ends here.
/// * Other automatic mail (`Auto-Submitted`, `Precedence: bulk`, such as mail from cron): only to `admin`, because nobody reads the
///   mail of its sender, and its sender may be somebody else's list.
/// * A reverse-path at a local domain: to `admin`, if configured. There are no mailboxes here.
/// * Otherwise: to the reverse-path.
///
/// Errors: why no DSN is sent.
pub(crate) fn addressee(reverse_path: &str, header: &[u8], names: &Names, admin: Option<&Address>) -> Result<Address, NoDsn> {
    let section = Section::scan(header);
    if section.named(header, "Received").count() > HOPS {
        return Err(NoDsn::Loop);
    }
    let word = |name: &str| {
        let value = section.named(header, name).next().map(|field| header::unfold(field.value_in(header))).unwrap_or_default();
        String::from_utf8_lossy(&value).split([';', ' ', '(']).next().unwrap_or_default().to_ascii_lowercase()
    };
    let automatic = word("Auto-Submitted");
    if automatic == "auto-replied" {
        return Err(NoDsn::AutoReplied);
    }
    let is_bulk = matches!(word("Precedence").as_str(), "bulk" | "list" | "junk");
    if is_bulk || !matches!(automatic.as_str(), "" | "no") {
        return admin.cloned().ok_or(NoDsn::NoAdmin);
    }
    let sender = Address::parse(reverse_path).map_err(|_| NoDsn::BadReversePath)?;
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

    fn to(reverse_path: &str, header: &str, admin: Option<&str>) -> Result<String, NoDsn> {
        let names = Names::of(Some("h.example"), None, "web1", &[]).unwrap();
        let admin = admin.map(|text| Address::parse(text).unwrap());
        addressee(reverse_path, header.as_bytes(), &names, admin.as_ref()).map(|address| address.to_string())
    }

    const ADMIN: Option<&str> = Some("admin@x.example");

    #[test]
    fn u03_dsns_for_local_senders_go_to_the_administrator() {
        assert_eq!(to("me@y.example", "Subject: x\r\n", ADMIN).as_deref(), Ok("me@y.example"));
        for local in ["me@h.example", "me@WEB1", "root@localhost"] {
            assert_eq!(to(local, "", ADMIN).as_deref(), Ok("admin@x.example"), "{local}");
        }
        assert_eq!(to("me@h.example", "", None).as_deref(), Ok("me@h.example"));
        assert_eq!(to("root@localhost", "", None).as_deref(), Ok("root@h.example"));
    }

    #[test]
    fn t_dsn_1_dsns_about_automatic_mail_go_to_the_administrator_or_to_nobody() {
        for header in ["Auto-Submitted: auto-generated\r\n", "Precedence: Bulk\r\n", "precedence: list\r\n", "Auto-Submitted: x; y\r\n"] {
            assert_eq!(to("me@y.example", header, ADMIN).as_deref(), Ok("admin@x.example"), "{header}");
            assert!(to("me@y.example", header, None).is_err(), "{header}");
        }
        assert_eq!(to("me@y.example", "Auto-Submitted: no\r\nPrecedence: first-class\r\n", None).as_deref(), Ok("me@y.example"));
    }

    #[test]
    fn t_dsn_1_automatic_replies_and_loops_cause_no_dsn() {
        for header in ["Auto-Submitted: auto-replied\r\n", "auto-submitted: Auto-Replied (vacation)\r\n"] {
            assert!(to("me@y.example", header, ADMIN).is_err(), "{header}");
        }
        let hops = |count| "Received: by x; now\r\n".repeat(count);
        assert!(to("me@y.example", &hops(50), ADMIN).is_ok() && to("me@y.example", &hops(51), ADMIN).is_err());
    }
}
