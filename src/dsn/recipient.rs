//! One recipient in a DSN: its row, in the form for RFC 3464 and for people. Pure.
//!
//! In: a row whose reply a hostile server wrote. Out: text of bounded length without control characters. Replies about our login are
//! not repeated: they may contain the password.

use mail::address::Address;
use mail::code::{Cause, Stage};
use mail::status::EnhancedStatus;
use mail::{Diagnosis, printable, words};
use state::{Action, Progress, RecipientRow};

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
    /// This host lost the message.
    Lost,
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
        let given_up = given_up(&row.diagnosis);
        let said = said(row);
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

fn said(row: &RecipientRow) -> Said {
    let found = &row.diagnosis;
    if matches!(found.cause, Some(Cause::Corrupt | Cause::Vanished | Cause::Stopped | Cause::StateLost)) {
        return Said::Reason(words::of_recipient(found, ""));
    }
    if found.is_about_login() {
        return Said::Reason(LOGIN_REFUSED.to_owned());
    }
    let text = shorten(&printable::text(&row.reply));
    // Where the route was suspended for a reply, peer and stage stand in front of it. What was taken has no diagnosis.
    let is_reply = found.code.is_some() && !found.stage.is_some_and(Stage::is_route);
    match is_reply || row.progress == Progress::Relayed {
        true => Said::Reply { host: host(&row.relay), text },
        false if text.is_empty() => Said::Reason("unknown reason".to_owned()),
        false => Said::Reason(text),
    }
}

/// Why it was given up, if it was.
fn given_up(found: &Diagnosis) -> Option<GivenUp> {
    match found.cause? {
        Cause::Expired | Cause::DeliverBy => Some(GivenUp::Expired),
        Cause::ExpiredByOperator | Cause::Bounced => Some(GivenUp::ByHand),
        Cause::Corrupt | Cause::Vanished => Some(GivenUp::Lost),
        _ => None,
    }
}

/// The text instead of a reply about our login (T-OUT-4), which may contain our credentials.
pub(super) const LOGIN_REFUSED: &str = "the next hop does not accept the login of this host";

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
    use mail::code::Subject;
    use mail::envelope::Notify;

    pub(crate) fn row(reply: &str, status: &str) -> RecipientRow {
        let code = reply.get(..3).and_then(|code| code.parse().ok());
        let cause = if code.is_some() { Cause::Reply } else { Cause::Unreachable };
        RecipientRow {
            n: 0,
            address: "bob@x.example".into(),
            original: String::new(),
            notify: Notify::UNSAID,
            progress: Progress::Failed,
            diagnosis: Diagnosis { code, ..Diagnosis::of(cause, Subject::Message) },
            status: status.into(),
            reply: reply.into(),
            relay: "mx.x.example[192.0.2.1]:25".into(),
            at: Some(1_795_358_629),
        }
    }

    /// The same, given up for this cause.
    pub(crate) fn given_up(reply: &str, cause: Cause) -> RecipientRow {
        let row = row(reply, "5.4.7");
        RecipientRow { diagnosis: row.diagnosis.given_up(cause), ..row }
    }

    #[test]
    fn a_reply_of_the_server_is_told_from_a_reason_of_ours() {
        let told = DsnRecipient::new(&row("550 5.1.1 no such user", "5.1.1"), Action::Failed, None);
        assert_eq!(told.said, Said::Reply { host: Some("mx.x.example".into()), text: "550 5.1.1 no such user".into() });
        let told = DsnRecipient::new(&row("connect: timed out", "4.4.1"), Action::Delayed, None);
        assert_eq!((told.said, told.status.to_string().as_str()), (Said::Reason("connect: timed out".into()), "4.4.1"));
        let given_up = DsnRecipient::new(&given_up("450 4.2.1 busy", Cause::Expired), Action::Failed, None);
        assert_eq!((given_up.given_up, given_up.at), (Some(GivenUp::Expired), None));
        assert!(matches!(given_up.said, Said::Reply { text, .. } if text == "450 4.2.1 busy"));
    }

    #[test]
    fn what_this_host_lost_is_told_as_lost_whatever_the_last_attempt_said() {
        for cause in [Cause::Corrupt, Cause::Vanished] {
            let told = DsnRecipient::new(&given_up("450 4.2.1 busy", cause), Action::Failed, None);
            assert!(matches!(told.said, Said::Reason(text) if text.starts_with("lost on this host") && !text.contains("450")));
            assert_eq!(told.given_up, Some(GivenUp::Lost));
        }
    }

    /// RFC 3461 6.3 (h) and (i), RFC 3464 2.3.7
    #[test]
    fn what_was_given_up_by_hand_is_told_with_the_reply_of_the_last_attempt() {
        for cause in [Cause::Bounced, Cause::ExpiredByOperator] {
            let told = DsnRecipient::new(&given_up("450 4.2.1 busy", cause), Action::Failed, None);
            assert_eq!(told.said, Said::Reply { host: Some("mx.x.example".into()), text: "450 4.2.1 busy".into() });
            assert_eq!((told.given_up, told.at), (Some(GivenUp::ByHand), None));
        }
        let secret = DsnRecipient::new(&given_up("535 5.7.8 secret", Cause::Bounced), Action::Failed, None);
        assert!(matches!(secret.said, Said::Reason(text) if !text.contains("secret")), "T-OUT-4");
    }

    /// RFC 3464 2.3.7: not where the time of the last attempt is not known.
    #[test]
    fn only_a_reply_has_the_time_of_an_attempt() {
        let at = |row: RecipientRow| DsnRecipient::new(&row, Action::Delayed, None).at;
        assert_eq!(at(row("450 4.2.1 busy", "4.0.0")), Some(1_795_358_629));
        let others = [row("connect: timed out", "4.0.0"), given_up("450 busy", Cause::Expired), row("", "4.0.0")];
        assert_eq!(others.map(at), [None, None, None]);
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
        let stage = |stage, code| Diagnosis { stage: Some(stage), code, ..Diagnosis::of(Cause::Reply, Subject::Connection) };
        for (reply, diagnosis) in [
            ("535 5.7.8 wrong: AGFsaWNlAHNlY3JldA==", stage(Stage::MailFrom, Some(535))),
            ("mx[192.0.2.1]:25: AUTH: 454 AGFsaWNlAHNlY3JldA==", stage(Stage::Auth, Some(454))),
            ("530 5.7.0 secret", stage(Stage::Data, Some(530))),
            ("secret", Diagnosis::of(Cause::Login, Subject::Credential)),
        ] {
            let told = DsnRecipient::new(&RecipientRow { diagnosis, ..row(reply, "4.7.8") }, Action::Delayed, None);
            assert_eq!(told.said, Said::Reason("the next hop does not accept the login of this host".into()), "{reply}");
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
