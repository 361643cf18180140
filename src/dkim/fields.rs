//! The table of signed fields, and which fields of a message it picks. Pure.

use mail::header::{Field, Section};

/// How far a field is protected. All its present instances are signed in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// What is there is signed; another instance may be added above it without breaking the signature.
    Present,
    /// Listed once more than present (RFC 6376 5.4.2), so adding one breaks the signature: a second From or Subject would be
    /// shown under our name (RFC 6376 8.15, THREATS T-DKIM-2).
    Oversigned,
}

/// The signed fields (RFC 6376 5.4.1), lower case, in the order of `h=`.
///
/// Not listed, because they change on the way or say nothing: Received, Return-Path, X-*, Bcc, Comments, Keywords. Resent fields are
/// signed where present but not oversigned: whoever resends the message puts a new block of them on top (RFC 5322 3.6.6), and that
/// must not break our signature. Sender, In-Reply-To and References likewise: mailing lists set Sender.
pub const SIGNED: &[(&str, Cover)] = &[
    ("from", Cover::Oversigned),
    ("to", Cover::Oversigned),
    ("cc", Cover::Oversigned),
    ("subject", Cover::Oversigned),
    ("date", Cover::Oversigned),
    ("message-id", Cover::Oversigned),
    ("reply-to", Cover::Oversigned),
    ("mime-version", Cover::Oversigned),
    ("content-type", Cover::Oversigned),
    ("content-transfer-encoding", Cover::Oversigned),
    // RFC 8058 4: both fields of one-click unsubscription must be covered.
    ("list-unsubscribe", Cover::Oversigned),
    ("list-unsubscribe-post", Cover::Oversigned),
    ("list-id", Cover::Oversigned),
    ("list-help", Cover::Oversigned),
    ("list-post", Cover::Oversigned),
    ("list-archive", Cover::Oversigned),
    ("list-owner", Cover::Oversigned),
    ("list-subscribe", Cover::Oversigned),
    ("sender", Cover::Present),
    ("in-reply-to", Cover::Present),
    ("references", Cover::Present),
    ("resent-date", Cover::Present),
    ("resent-from", Cover::Present),
    ("resent-sender", Cover::Present),
    ("resent-to", Cover::Present),
    ("resent-cc", Cover::Present),
    ("resent-message-id", Cover::Present),
];

/// What is signed of one message.
#[derive(Debug, Default)]
pub struct Selection<'a> {
    /// The names for `h=`, in order, each as often as it counts.
    pub names: Vec<&'static str>,
    /// The fields to hash, in the order of `h=`: of several with one name the lowest first (RFC 6376 5.4.2).
    pub fields: Vec<&'a Field>,
}

/// Picks the fields of `section`, which was scanned from `header`. One look at each field, so many fields cost no more than their
/// bytes.
pub fn select<'a>(section: &'a Section, header: &[u8]) -> Selection<'a> {
    let mut found: Vec<Vec<&Field>> = SIGNED.iter().map(|_| Vec::new()).collect();
    for field in section.fields.iter().rev() {
        let place = SIGNED.iter().position(|(name, _)| field.is(header, name));
        if let Some(fields) = place.and_then(|place| found.get_mut(place)) {
            fields.push(field);
        }
    }
    let mut selection = Selection::default();
    for ((name, cover), fields) in SIGNED.iter().zip(found) {
        selection.names.extend(fields.iter().map(|_| *name));
        if *cover == Cover::Oversigned {
            selection.names.push(name);
        }
        selection.fields.extend(fields);
    }
    selection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_instances_are_listed_lowest_first_and_one_more_where_oversigned() {
        let header = b"References: r\r\nTo: upper\r\nReceived: x\r\nSUBJECT: s\r\nto : lower\r\n";
        let section = Section::scan(header);
        let selection = select(&section, header);
        let values: Vec<&[u8]> = selection.fields.iter().map(|field| field.value_in(header)).collect();
        assert_eq!(values, [b" lower\r\n".as_slice(), b" upper\r\n", b" s\r\n", b" r\r\n"]);
        assert_eq!(selection.names.get(..6), Some(["from", "to", "to", "to", "cc", "subject"].as_slice()));
        assert_eq!(selection.names.last(), Some(&"references"));
    }

    #[test]
    fn t_dkim_2_what_a_reader_sees_is_oversigned() {
        let oversigned = |name| SIGNED.contains(&(name, Cover::Oversigned));
        for name in ["from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type", "list-unsubscribe"] {
            assert!(oversigned(name), "{name}");
        }
        assert!(!oversigned("sender"));
    }
}
