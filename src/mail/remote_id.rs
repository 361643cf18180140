//! The queue id that the next hop assigned to a message, by which its administrator can find it.
//!
//! No standard defines its position in the text of the 250. These are the forms of widespread servers. An unknown form yields no id; the
//! whole reply is stored in any case.

use super::status::EnhancedStatus;

/// The longest id that is kept, in bytes.
const LONGEST: usize = 128;

/// The id in a positive reply to the final dot, as `Reply` prints it: `250 2.0.0 Ok: queued as 4XyZ`.
pub fn of_reply(reply: &str) -> Option<&str> {
    let words = text_of(reply);
    let id = [queued_as, id_is, accepted, google, qmail, amazon].into_iter().find_map(|form| form(&words))?;
    let id = id.trim_matches(|c: char| "<>()[]\"'.,;:".contains(c));
    (!id.is_empty() && id.len() <= LONGEST).then_some(id)
}

/// The words behind the code and the enhanced status.
fn text_of(reply: &str) -> Vec<&str> {
    let mut words = reply.split_whitespace().peekable();
    words.next_if(|word| word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit()));
    words.next_if(|word| EnhancedStatus::parse_prefix(word).is_some());
    words.collect()
}

fn is(word: &str, wanted: &str) -> bool {
    word.eq_ignore_ascii_case(wanted)
}

/// Postfix, Haraka, MailHog, SendGrid: `Ok: queued as 4XyZ`.
fn queued_as<'a>(words: &[&'a str]) -> Option<&'a str> {
    let at = words.windows(2).position(|pair| matches!(pair, [queued, as_] if is(queued, "queued") && is(as_, "as")))?;
    words.get(at + 2).copied()
}

/// Exim: `OK id=1rXxxx-0000ab-1C`. Exchange: `[InternalId=9126805, Hostname=…]`.
fn id_is<'a>(words: &[&'a str]) -> Option<&'a str> {
    words.iter().find_map(|word| {
        let (key, id) = word.trim_start_matches('[').split_once('=')?;
        (is(key, "id") || is(key, "InternalId")).then_some(id)
    })
}

/// sendmail and OpenSMTPD: `41K3xyz Message accepted for delivery`.
fn accepted<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        [id, message, accepted, ..] if is(message, "Message") && is(accepted, "accepted") => Some(id),
        _ => None,
    }
}

/// Google: `OK  1700000000 a1-20020a05si123.45 - gsmtp`.
fn google<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        [.., id, "-", "gsmtp"] => Some(id),
        _ => None,
    }
}

/// qmail: `ok 1700000000 qp 12345`.
fn qmail<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        [ok, _, "qp", id, ..] if is(ok, "ok") => Some(id),
        _ => None,
    }
}

/// Amazon: `Ok 0100018bcfe5-4e9f-000000`, nothing else.
fn amazon<'a>(words: &[&'a str]) -> Option<&'a str> {
    match words {
        [ok, id] if is(ok, "ok") && id.len() >= 8 && id.bytes().any(|b| b.is_ascii_digit()) => Some(id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_where_the_common_servers_put_it() {
        for (reply, id) in [
            ("250 2.0.0 Ok: queued as 4XyZ1k2QpPz9", "4XyZ1k2QpPz9"),
            ("250 Message Queued as (5A3-1.1) today", "5A3-1.1"),
            ("250 OK id=1rXxxx-0000ab-1C", "1rXxxx-0000ab-1C"),
            ("250 2.6.0 <m@x> [InternalId=9126805, Hostname=EX1.x] 8192 bytes in 0.1, 80 KB/sec Queued mail for delivery", "9126805"),
            ("250 2.0.0 41K3xyz012345 Message accepted for delivery", "41K3xyz012345"),
            ("250 2.0.0 OK  1700000000 a1-20020a05si123.45 - gsmtp", "a1-20020a05si123.45"),
            ("250 ok 1700000000 qp 12345", "12345"),
            ("250 Ok 0100018bcfe54e9f-000000", "0100018bcfe54e9f-000000"),
        ] {
            assert_eq!(of_reply(reply), Some(id), "{reply}");
        }
    }

    #[test]
    fn what_names_no_id_has_none() {
        for reply in ["250 2.0.0 Ok", "250 ok", "250", "", "250 queued as", "250 2.0.0 Ok: queued as ()", "250 Requested mail action okay"]
        {
            assert_eq!(of_reply(reply), None, "{reply}");
        }
        // What could be the id of Amazon is long, and has a digit.
        for reply in ["250 Ok 1234567", "250 Ok thank-you", "250 No 12345678", "250 Ok 12345678 more"] {
            assert_eq!(of_reply(reply), None, "{reply}");
        }
        assert_eq!(of_reply(&format!("250 Ok: queued as {}", "A".repeat(4000))), None);
    }
}
