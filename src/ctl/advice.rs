//! Advice for failures: one sentence for each known kind of reason. Pure.
//!
//! In: a reason or a reply, and its enhanced status (RFC 3463). Out: advice that names the next command or setting, or nothing if the
//! reply says it all.
//!
//! A reply is untrusted text, and it repeats the address, which is untrusted too: `nobody-tls@example.net` says nothing about TLS.
//! So addresses, host names and quoted parts are ignored, only whole words count, and a precise status takes precedence over words. A
//! reply to RCPT or DATA never counts as a failure of our TLS, our login or our DNS.

use control::history::RouteView;
use control::listing::Recipient;
use control::why::WhyCodes;
use mail::code::{Cause, HoldCause};

/// The advice for one kind of reply.
struct Rule {
    /// Enhanced statuses with only this meaning. They take precedence over words.
    precise: &'static [&'static str],
    /// Phrases of whole words in lower case; one match is enough. `*` at the end matches any end of the last word.
    words: &'static [&'static str],
    /// Enhanced statuses with other meanings too. They count if no words match. `5.6.` matches every status with that prefix.
    vague: &'static [&'static str],
    advice: &'static str,
}

const fn rule(
    precise: &'static [&'static str],
    words: &'static [&'static str],
    vague: &'static [&'static str],
    advice: &'static str,
) -> Rule {
    Rule { precise, words, vague, advice }
}

const GIVEN_UP: &str = "it was not delivered within queue_lifetime; fix the cause in the last reply, then `mailchute requeue`";
const LOGIN: &str = "the next hop rejects our login: check the user in next_hop and the password file, then reload the daemon";
const LOGIN_NOT_TRIED: &str =
    "the login was not tried: the next hop offers no AUTH, or no trustworthy TLS; check the certificate, ca_file, and tls= in next_hop";
const TLS: &str = "TLS could not be negotiated as next_hop requires: check the certificate of the server, ca_file, and tls= in next_hop";
const UNREACHABLE: &str = "the server is unreachable: check host and port of next_hop, the network and the firewall (many block port 25)";
const DNS: &str = "the DNS does not answer: check /etc/resolv.conf and dns_servers";
const NO_DOMAIN: &str = "the domain does not exist or accepts no mail: the address is probably misspelt";
const NO_MAILBOX: &str = "there is no such mailbox: correct the address at its source";
const WAIT: &str = "the receiver is busy; delivery is retried, no action needed";

const UNCERTAIN: &str = "it may have been delivered: ask the recipient; `mailchute requeue` sends it again, perhaps as a duplicate, `mailchute remove` removes it";
const KEY: &str = "its DKIM key cannot be used: run `mailchute check`, fix the key, and reload the daemon, which then releases the message";
/// The advice for a message that this host lost.
pub(crate) const LOST: &str = "find out who changes files in the spool; the sender has to send it again";

/// Replies of servers. The first match counts: first the precise statuses of all rules, then the words, then the vague statuses.
const REPLIES: &[Rule] = &[
    rule(
        &["5.1.1", "5.1.3", "5.1.6", "5.2.1"],
        &[
            "user unknown",
            "no such user",
            "unknown user",
            "unknown recipient",
            "recipient unknown",
            "no such recipient",
            "invalid recipient",
            "no such mailbox",
            "mailbox not found",
            "user not found",
            "user does not exist",
            "mailbox does not exist",
            "recipient does not exist",
            "account does not exist",
            "does not have an account",
        ],
        &["5.1.0"],
        NO_MAILBOX,
    ),
    // Before the login rule, because the web page in such a reply mentions authentication too.
    rule(
        &["5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26", "4.7.23", "4.7.24", "4.7.25", "4.7.26"],
        &["spf", "dmarc", "dkim", "unauthenticated", "sender policy"],
        &[],
        "the receiver cannot authenticate our mail: check the SPF, DKIM and DMARC records of the sender's domain (`mailchute dkim dns`), and the reverse DNS (PTR) of this host",
    ),
    rule(&["5.7.8", "4.7.8", "5.7.9", "4.7.9"], &[], &[], LOGIN),
    rule(
        &[],
        &["relay access denied", "relaying denied", "not permitted to relay", "authentication required", "authentication is required"],
        &[],
        "the next hop does not relay for us: it requires a login, or our address in its access list",
    ),
    rule(
        &["4.2.2", "5.2.2"],
        &["over quota", "quota exceeded", "mailbox full", "mailbox is full"],
        &[],
        "the mailbox is full: only its owner can fix this",
    ),
    rule(
        &["5.6.7", "5.6.9"],
        &["needs smtputf8"],
        &[],
        "the receiver does not support addresses beyond ASCII: use another address of the recipient",
    ),
    rule(
        &["5.3.4", "5.2.3"],
        &["too large", "too big", "message size", "size limit", "bytes but the server accepts"],
        &[],
        "the message is larger than the receiver accepts",
    ),
    rule(&[], &["greylist*", "graylist*"], &["4.7.1"], "the receiver greylists unknown senders; delivery is retried, no action needed"),
    rule(
        &["5.1.7", "5.1.8", "4.1.7", "4.1.8"],
        &["sender address", "sender rejected", "sender verify", "from address", "return path"],
        &[],
        "the receiver rejects the sender's address: check -f and mailname",
    ),
    rule(&["5.1.2", "5.1.10"], &["no such domain", "domain does not exist", "domain not found", "nxdomain"], &[], NO_DOMAIN),
    rule(
        &[],
        &["spamhaus", "blocked", "blacklist*", "blocklist*", "denylist*", "reputation", "listed"],
        &[],
        "the receiver blocks the address of this host: the reply names the blocklist or a web page",
    ),
    rule(&[], &["rate limit*", "too many", "try again later", "throttl*", "busy"], &["4.7.0", "4.4.5", "4.5.3", "4.3.2", "4.2.1"], WAIT),
    rule(&[], &["mailbox unavailable"], &[], NO_MAILBOX),
    rule(
        &[],
        &["spam", "virus", "content", "policy"],
        &["5.7.1", "5.6."],
        "the receiver rejects the content or the sender of the message; see the reply",
    ),
];

/// The advice about why a message is held.
pub(crate) fn of_hold(cause: HoldCause) -> Option<&'static str> {
    Some(match cause {
        HoldCause::Uncertain | HoldCause::StateLost | HoldCause::Restored => UNCERTAIN,
        HoldCause::Dkim => KEY,
        HoldCause::Quota => "its user has reached the spool limit; it is released when there is room, `mailchute requeue` sends it now",
        HoldCause::Closed => "`mailchute open` opens admission and releases it",
        HoldCause::Size => "`mailchute requeue` sends it anyway, `mailchute remove` removes it",
        HoldCause::OverflowUid => "no user of this host sent it; inspect it with `mailchute cat` before `mailchute requeue`",
        HoldCause::Operator | HoldCause::ReasonLost | HoldCause::Moved | HoldCause::Internal | HoldCause::Unknown => return None,
    })
}

/// The advice about a recipient.
pub(crate) fn of_recipient(recipient: &Recipient) -> Option<&'static str> {
    of_why(&recipient.why, &recipient.remote_reply, &recipient.dsn)
}

/// The advice about a suspended route.
pub(crate) fn of_route(route: &RouteView) -> Option<&'static str> {
    of_why(&route.why, &route.reason, "")
}

/// The advice for a cause, if there is any; `said` is what the last attempt said, `status` may be empty.
pub(crate) fn of_why(why: &WhyCodes, said: &str, status: &str) -> Option<&'static str> {
    Some(match (why.cause, why.code) {
        (Some(Cause::ExpiredByOperator | Cause::Bounced), _) => "an administrator bounced it; `mailchute requeue` retries it",
        (Some(Cause::Expired | Cause::DeliverBy), _) => GIVEN_UP,
        (Some(Cause::Corrupt | Cause::Vanished), _) => LOST,
        (Some(Cause::Key), _) => KEY,
        (Some(Cause::NoReply | Cause::Stopped | Cause::StateLost), _) => UNCERTAIN,
        (Some(Cause::Dns), _) => DNS,
        (Some(Cause::NoDomain), _) => NO_DOMAIN,
        (Some(Cause::Unreachable), _) => UNREACHABLE,
        (Some(Cause::Tls), _) => TLS,
        (Some(Cause::Login), None) => LOGIN_NOT_TRIED,
        (Some(Cause::Login), Some(code @ 400..500)) => return of_reply(code, said_behind(code, said), status).or(Some(LOGIN)),
        (_, Some(code)) => return of_reply(code, said_behind(code, said), status),
        (Some(Cause::Capability), None) => return of_words(" ", status),
        (_, None) => return None,
    })
}

/// The text behind the code of a reply. The reason of a suspended route has peer and stage in front of the code.
fn said_behind(code: u16, said: &str) -> &str {
    said.split_once(&code.to_string()).map_or(said, |(_, rest)| rest.get(1..).unwrap_or_default())
}

/// Replies about the login concern us in every stage (RFC 4954 4 and 6).
fn of_reply(code: u16, said: &str, status: &str) -> Option<&'static str> {
    let own = said.split(|c: char| !c.is_ascii_digit() && c != '.').next().filter(|own| own.split('.').count() == 3);
    let words = words(&said.to_lowercase());
    match code {
        530 if has(&words, "starttls") => Some(TLS),
        530 | 534 | 535 | 538 => Some(LOGIN),
        _ => of_words(&words, own.unwrap_or(status)),
    }
}

/// `words` is made by [`words`].
fn of_words(words: &str, status: &str) -> Option<&'static str> {
    let precise = || REPLIES.iter().find(|rule| rule.precise.contains(&status));
    let said = || REPLIES.iter().find(|rule| rule.words.iter().any(|phrase| has(words, phrase)));
    let is_vague = |code: &&str| if code.ends_with('.') { status.starts_with(*code) } else { status == *code };
    let vague = || REPLIES.iter().find(|rule| rule.vague.iter().any(is_vague));
    precise().or_else(said).or_else(vague).map(|rule| rule.advice)
}

/// True if `words`, made by [`words`], has the phrase.
fn has(words: &str, phrase: &str) -> bool {
    match phrase.strip_suffix('*') {
        Some(begin) => words.contains(&format!(" {begin}")),
        None => words.contains(&format!(" {phrase} ")),
    }
}

/// The words of a text in lower case, with one blank before and after each. Quoted and bracketed parts, addresses and host names are
/// left out, because they are untrusted.
fn words(text: &str) -> String {
    let text = without_quoted(text);
    let mut words = String::from(" ");
    for token in text.split(|c: char| c.is_whitespace() || "<>()[],;:\"`".contains(c)) {
        // A dot at the end ends a sentence.
        if token.contains('@') || token.trim_end_matches('.').contains('.') {
            continue;
        }
        for word in token.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            words.push_str(word);
            words.push(' ');
        }
    }
    words
}

/// Removes quoted and bracketed parts. An unmatched mark stays.
fn without_quoted(text: &str) -> String {
    let (mut rest, mut kept) = (text, String::with_capacity(text.len()));
    while let Some(at) = rest.find(['<', '"', '`']) {
        let (before, marked) = rest.split_at(at);
        kept.push_str(before);
        let mut chars = marked.chars();
        let end = match chars.next() {
            Some('<') => '>',
            Some(mark) => mark,
            None => break,
        };
        rest = chars.as_str();
        if let Some((_, behind)) = rest.split_once(end) {
            // A blank keeps two words apart. A domain stays attached to its quoted local part.
            kept.push_str(if behind.starts_with('@') { "" } else { " " });
            rest = behind;
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The advice for what the daemon finds: with the code of a reply, and the cause that the stage in front of it has.
    fn advise(said: &str, status: &str) -> Option<&'static str> {
        let stages = [
            ("TLS handshake: ", Cause::Tls),
            ("STARTTLS: ", Cause::Tls),
            ("AUTH: ", Cause::Login),
            ("connect: ", Cause::Unreachable),
            ("greeting: ", Cause::Reply),
            ("MAIL FROM: ", Cause::Capability),
        ];
        let staged = stages.iter().find_map(|(words, cause)| {
            let (front, rest) = said.split_once(words)?;
            (front.is_empty() || front.ends_with(": ") && !front.trim_end().contains(' ')).then_some((Some(*cause), rest))
        });
        let (cause, rest) = staged.unwrap_or((None, said));
        let code = rest.get(..3).and_then(|code| code.parse().ok()).filter(|code| (200..600).contains(code));
        of_why(&WhyCodes { cause, code, ..WhyCodes::default() }, said, status)
    }

    #[test]
    fn each_kind_of_reason_leads_to_its_own_advice() {
        for (reason, status, advice) in [
            ("535 5.7.8 authentication failed", "5.7.8", "password file"),
            ("connect: Connection refused (os error 111)", "4.4.1", "host and port"),
            ("550 5.1.1 <x@y.example>: User unknown", "5.1.1", "no such mailbox"),
            ("550 5.7.26 unauthenticated mail is prohibited", "5.7.26", "SPF, DKIM and DMARC"),
            (
                "550-5.7.26 blocked because the sender is unauthenticated, see https://support.example/mail#authentication",
                "5.7.26",
                "SPF, DKIM and DMARC",
            ),
            ("450 4.2.0 Greylisted, see http://example", "4.2.0", "no action needed"),
            ("452 4.2.2 over quota", "4.2.2", "full"),
            ("550 5.7.1 DKIM: signature missing", "5.7.1", "SPF, DKIM and DMARC"),
            ("554 5.7.1 listed at zen.spamhaus.org, see dns", "5.7.1", "names the blocklist"),
            ("554 5.6.0 no", "5.6.0", "see the reply"),
        ] {
            assert!(advise(reason, status).is_some_and(|text| text.contains(advice)), "{reason}: {:?}", advise(reason, status));
        }
        assert_eq!(advise("250 2.0.0 kept", "2.0.0"), None);
        for (cause, advice) in [
            (Cause::Expired, "queue_lifetime"),
            (Cause::ExpiredByOperator, "an administrator bounced it"),
            (Cause::Vanished, "send it again"),
            (Cause::NoReply, "may have been delivered"),
            (Cause::Key, "DKIM key"),
            (Cause::Dns, "dns_servers"),
            (Cause::NoDomain, "misspelt"),
        ] {
            let why = WhyCodes { cause: Some(cause), code: Some(450), ..WhyCodes::default() };
            assert!(of_why(&why, "450 4.2.1 busy", "5.4.7").is_some_and(|text| text.contains(advice)), "{cause:?}");
        }
        assert!(of_hold(HoldCause::Quota).is_some_and(|text| text.contains("released when there is room")));
    }

    #[test]
    fn words_in_an_address_give_no_advice() {
        for local in
            ["nobody1535", "nobody-tls", "\"over quota\"", "\"535 auth: \"", "a=spf", "dkim", "tls handshake: ", "greylisted", "535"]
        {
            for domain in ["example.net", "dns.example", "spf.blocked.example", "[192.0.2.1]"] {
                let address = format!("{local}@{domain}");
                for reply in [
                    format!("550 5.1.1 <{address}>: no such user here"),
                    format!("550 <{address}>: user unknown"),
                    format!("550 5.1.1 {address}: Recipient address rejected: see https://dns.example/tls#spf"),
                    format!("550-5.1.1 user {address} is blocked, over quota and greylisted; authentication failed"),
                ] {
                    assert_eq!(advise(&reply, "5.1.1"), Some(NO_MAILBOX), "{reply}");
                }
            }
        }
    }

    #[test]
    fn only_our_own_failures_blame_our_tls_our_login_and_our_dns() {
        for (reason, status, advice) in [
            ("550 5.7.1 no TLS certificate, no handshake, DNS does not resolve", "5.7.1", Some("see the reply")),
            ("550 DNS authentication 535 tls", "5.0.0", None),
            ("TLS handshake: the certificate of mx.example is self-signed", "4.7.5", Some("check the certificate")),
            ("mx.example[192.0.2.1]:25: TLS handshake: received fatal alert", "", Some("check the certificate")),
            ("STARTTLS: TLS is required and the server does not offer STARTTLS", "4.7.4", Some("tls= in next_hop")),
            ("530 5.7.0 Must issue a STARTTLS command first", "5.7.0", Some("tls= in next_hop")),
            ("relay:587: AUTH: 535 no", "", Some("password file")),
            ("relay:587: AUTH: 454 4.7.0 busy", "", Some("receiver is busy")),
            ("AUTH: the password was not sent because the connection does not use TLS", "4.7.0", Some("tls= in next_hop")),
            ("530 5.5.1 Authentication Required", "5.5.1", Some("password file")),
            ("connect: cannot connect: no answer within 30 s", "4.4.1", Some("host and port")),
            ("mx.example[192.0.2.1]:25: connect: cannot connect: Connection refused", "", Some("host and port")),
            ("mx.example[192.0.2.1]:25: greeting: 554 5.7.1 blocked using zen.spamhaus.org", "", Some("names the blocklist")),
            ("MAIL FROM: an address or header field needs SMTPUTF8, which the server does not offer", "5.6.7", Some("beyond ASCII")),
            ("MAIL FROM: the message has 9 bytes, but the server accepts at most 8", "5.3.4", Some("larger than the receiver")),
        ] {
            let found = advise(reason, status);
            assert!(found.is_some() == advice.is_some() && found.is_none_or(|text| text.contains(advice.unwrap())), "{reason}: {found:?}");
        }
    }

    #[test]
    fn unmatched_quotes_do_not_loop() {
        for text in ["<", "\"", "`<\"", "<<>>", "550 \"<@>", "5é0 x", "", ": : :"] {
            assert_eq!(advise(text, ""), None, "{text}");
        }
    }

    #[test]
    fn every_phrase_of_a_rule_can_match() {
        for phrase in REPLIES.iter().flat_map(|rule| rule.words) {
            assert_eq!(words(phrase).trim(), phrase.trim_end_matches('*'));
        }
    }
}
