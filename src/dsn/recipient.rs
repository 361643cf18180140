//! One recipient in a DSN: its row, in the form for RFC 3464 and for people. Pure.
//!
//! In: a row whose reply a hostile server wrote. Out: text of bounded length without control characters. Replies about our login are
//! not repeated: they may contain the password.

use mail::address::Address;
use mail::printable;
use mail::status::EnhancedStatus;
use state::given_up::{BOUNCED as BY_HAND, BY_OPERATOR as GIVEN_UP_BY_OPERATOR, LATE as GIVEN_UP};
use state::{Action, RecipientRow};

/// The most characters of a reply in a DSN (THREATS T-SMTP-6).
const REPLY: usize = 500;

/// A recipient in a DSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnRecipient {
    /// The forward-path.
    pub address: String,
    /// The address as the sender wrote it, if an alias changed it.
    pub written: String,
    /// RFC 3461 4.2, ORCPT: `type;address`, the address in xtext.
    pub orcpt: Option<String>,
    /// The action.
    pub action: Action,
    /// The status, in the class of the action.
    pub status: EnhancedStatus,
    /// The reply or reason.
    pub said: Said,
    /// Why it was given up, unless a reply was the cause.
    pub given_up: Option<GivenUp>,
    /// The time of the last reply, unix seconds. `None` if the time of the row is another one: that of expiry, or of a suspended
    /// route.
    pub at: Option<i64>,
}

/// Why delivery was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// The queue lifetime has passed.
    Expired,
    /// By an administrator.
    ByHand,
}

/// The source of the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A reply of a server.
    Reply {
        /// Its name or address literal; `None` for a unix socket.
        host: Option<String>,
        /// The reply, code first.
        text: String,
    },
    /// A reason of our own.
    Reason(String),
}

impl DsnRecipient {
    /// The recipient of `row`, with this action.
    pub fn new(row: &RecipientRow, action: Action, orcpt: Option<String>) -> DsnRecipient {
        let (given_up, reply) = last(&row.reply);
        let said = said(&row.relay, reply);
        let at = row.at.filter(|_| given_up.is_none() && matches!(said, Said::Reply { .. }));
        DsnRecipient {
            address: row.address.clone(),
            written: row.original.clone(),
            orcpt,
            action,
            status: status(action, &row.status),
            said,
            given_up,
            at,
        }
    }

    /// True if the address can be written in ASCII.
    pub(crate) fn has_ascii_address(&self) -> bool {
        Address::parse(&self.address).map_or(self.address.is_ascii(), |address| address.is_ascii())
    }
}

/// The status in the class of the action (RFC 3464 2.3.4 requires them to agree).
fn status(action: Action, text: &str) -> EnhancedStatus {
    let class = match action {
        Action::Relayed => 2,
        Action::Delayed => 4,
        Action::Failed => 5,
    };
    EnhancedStatus::parse_prefix(text).map_or(EnhancedStatus::new(class, 0, 0), |status| EnhancedStatus { class, ..status })
}

fn said(relay: &str, reply: &str) -> Said {
    let code = code(reply);
    if is_about_login(reply) {
        return Said::Reason(LOGIN_REFUSED.to_owned());
    }
    let text = shorten(&printable::text(reply));
    match code {
        Some(_) => Said::Reply { host: host(relay), text },
        None if text.is_empty() => Said::Reason("unknown reason".to_owned()),
        None => Said::Reason(text),
    }
}

/// The reply of the last attempt, and why it was the last. A message that was given up, requeued and given up again has two reasons
/// in front; the first is the newer one.
fn last(reply: &str) -> (Option<GivenUp>, &str) {
    let words = [(GIVEN_UP, GivenUp::Expired), (BY_HAND, GivenUp::ByHand), (GIVEN_UP_BY_OPERATOR, GivenUp::ByHand)];
    let (mut given_up, mut rest) = (None, reply);
    while let Some((last, why)) = words.iter().find_map(|(words, why)| Some((rest.strip_prefix(words)?, *why))) {
        given_up = given_up.or(Some(why));
        rest = last;
    }
    (given_up, rest)
}

/// The code of a reply.
fn code(reply: &str) -> Option<u16> {
    reply.get(..3).and_then(|digits| digits.parse().ok()).filter(|code| (200..600).contains(code))
}

/// The text instead of a reply that [`is_about_login`].
pub(super) const LOGIN_REFUSED: &str = "the next hop does not accept the login of this host";

/// True for a reply that may contain our credentials (T-OUT-4): the codes of RFC 4954 6 at any stage, and every reply to AUTH. If the
/// route was suspended for it, peer and stage are in front.
pub(super) fn is_about_login(reply: &str) -> bool {
    reply.contains("AUTH: ") || reply.split(": ").any(|said| matches!(code(said), Some(530 | 534 | 535 | 538)))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(REPLY) {
        Some((at, _)) => format!("{} ...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The name, or the address literal, in `mx.example[192.0.2.1]:25`.
fn host(relay: &str) -> Option<String> {
    let (name, rest) = relay.split_once('[')?;
    let (address, _) = rest.split_once(']')?;
    let literal = if address.contains(':') { format!("[IPv6:{address}]") } else { format!("[{address}]") };
    let host = if name.is_empty() { literal } else { name.to_owned() };
    host.bytes().all(|b| b.is_ascii_graphic()).then_some(host)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use mail::envelope::Notify;
    use state::Progress;

    pub(crate) fn row(reply: &str, status: &str) -> RecipientRow {
        RecipientRow {
            n: 0,
            address: "bob@x.example".into(),
            original: String::new(),
            notify: Notify::UNSAID,
            progress: Progress::Failed,
            status: status.into(),
            reply: reply.into(),
            relay: "mx.x.example[192.0.2.1]:25".into(),
            at: Some(1_795_358_629),
        }
    }

    #[test]
    fn a_reply_of_the_server_is_told_from_a_reason_of_ours() {
        let recipient = DsnRecipient::new(&row("550 5.1.1 no such user", "5.1.1"), Action::Failed, None);
        assert_eq!(recipient.said, Said::Reply { host: Some("mx.x.example".into()), text: "550 5.1.1 no such user".into() });
        let recipient = DsnRecipient::new(&row("connect: timed out", "4.4.1"), Action::Delayed, None);
        assert_eq!((recipient.said, recipient.status.to_string().as_str()), (Said::Reason("connect: timed out".into()), "4.4.1"));
        let given_up = DsnRecipient::new(&row(&format!("{GIVEN_UP}450 4.2.1 busy"), "5.4.7"), Action::Failed, None);
        assert_eq!((given_up.given_up, given_up.at), (Some(GivenUp::Expired), None));
        assert!(matches!(given_up.said, Said::Reply { text, .. } if text == "450 4.2.1 busy"));
    }

    /// RFC 3461 6.3 (h) and (i), RFC 3464 2.3.7
    #[test]
    fn what_was_given_up_by_hand_is_told_with_the_reply_of_the_last_attempt() {
        let words = [BY_HAND.to_owned(), format!("{BY_HAND}{GIVEN_UP}"), GIVEN_UP_BY_OPERATOR.to_owned()];
        for reply in words.map(|words| format!("{words}450 4.2.1 busy")) {
            let recipient = DsnRecipient::new(&row(&reply, "5.4.7"), Action::Failed, None);
            assert_eq!(recipient.said, Said::Reply { host: Some("mx.x.example".into()), text: "450 4.2.1 busy".into() });
            assert_eq!((recipient.given_up, recipient.at), (Some(GivenUp::ByHand), None));
        }
        let secret = DsnRecipient::new(&row(&format!("{BY_HAND}535 5.7.8 secret"), "5.4.7"), Action::Failed, None);
        assert!(matches!(secret.said, Said::Reason(text) if !text.contains("secret")), "T-OUT-4");
    }

    /// RFC 3464 2.3.7: not where the time of the last attempt is not known.
    #[test]
    fn only_a_reply_has_the_time_of_an_attempt() {
        let at = |reply: &str| DsnRecipient::new(&row(reply, "4.0.0"), Action::Delayed, None).at;
        assert_eq!(at("450 4.2.1 busy"), Some(1_795_358_629));
        assert_eq!((at("connect: timed out"), at(&format!("{GIVEN_UP}450 busy")), at("")), (None, None, None));
    }

    /// RFC 3464 2.3.4
    #[test]
    fn the_status_has_the_class_of_the_action() {
        let status = |text, action| DsnRecipient::new(&row("x", text), action, None).status.to_string();
        assert_eq!(status("5.7.8", Action::Delayed), "4.7.8");
        assert_eq!(status("nonsense", Action::Failed), "5.0.0");
        assert_eq!(status("2.0.0", Action::Relayed), "2.0.0");
    }

    #[test]
    fn t_out_4_what_a_server_says_about_our_login_is_not_repeated() {
        for reply in [
            "535 5.7.8 wrong: AGFsaWNlAHNlY3JldA==",
            "mx[192.0.2.1]:25: AUTH: 454 AGFsaWNlAHNlY3JldA==",
            "530 5.7.0 secret",
            "mx[192.0.2.1]:25: MAIL FROM: 535 5.7.8 secret",
        ] {
            let recipient = DsnRecipient::new(&row(reply, "4.7.8"), Action::Delayed, None);
            assert_eq!(recipient.said, Said::Reason("the next hop does not accept the login of this host".into()), "{reply}");
        }
    }

    #[test]
    fn t_smtp_6_a_reply_is_repeated_up_to_a_bound() {
        let recipient = DsnRecipient::new(&row(&format!("550 {}", "ä".repeat(9000)), "5.0.0"), Action::Failed, None);
        assert!(matches!(recipient.said, Said::Reply { text, .. } if text.chars().count() == 504));
    }

    #[test]
    fn the_remote_mta_is_a_name_or_a_literal() {
        assert_eq!(host("mx.x.example[192.0.2.1]:25").as_deref(), Some("mx.x.example"));
        assert_eq!(host("[192.0.2.1]:25").as_deref(), Some("[192.0.2.1]"));
        assert_eq!(host("[2001:db8::1]:25").as_deref(), Some("[IPv6:2001:db8::1]"));
        assert_eq!(host("/run/lmtp"), None);
        assert_eq!(host("mü[192.0.2.1]:25"), None);
    }
}
