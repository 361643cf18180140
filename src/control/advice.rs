//! What a person can do about a reason: one sentence for each kind that is known. Pure.
//!
//! In: a reason or a reply, and its enhanced status (RFC 3463). Out: advice that names the next command or the next place to look,
//! or nothing where we know no better than the reply itself.

/// A kind of reason: words of which one stands in it, in lower case (`^`: at its beginning), or its enhanced status (`5.6.`: its
/// beginning); and the advice.
struct Rule {
    words: &'static [&'static str],
    statuses: &'static [&'static str],
    advice: &'static str,
}

const fn rule(words: &'static [&'static str], statuses: &'static [&'static str], advice: &'static str) -> Rule {
    Rule { words, statuses, advice }
}

/// The first that fits counts: our own words before those of servers, and words before codes.
const RULES: &[Rule] = &[
    rule(&["^given up by an administrator"], &[], "an administrator gave it up; `mailchute requeue` begins anew"),
    rule(
        &["^given up after the give-up time"],
        &[],
        "it waited for the whole give_up_time; mend what the last reply says, then `mailchute requeue`",
    ),
    rule(
        &["^dkim: "],
        &[],
        "its DKIM key cannot be used: run `mailchute check`, mend the key, and reload the daemon, which sends what was held for it",
    ),
    rule(
        &["uncertain", "between the final dot", "may have been delivered"],
        &[],
        "it may have arrived: look there first; `mailchute requeue` sends it again, perhaps a second time, `mailchute remove` drops it",
    ),
    rule(&["^over the cap"], &[], "its user has too much in the spool; it goes on when there is room, `mailchute requeue` sends it now"),
    rule(&["^admission is closed"], &[], "`mailchute open` opens admission again, and sends it"),
    rule(&["message_size_limit"], &[], "`mailchute requeue` sends it all the same, `mailchute remove` drops it"),
    rule(&["overflow uid"], &[], "nobody on this host sent it; look at it with `mailchute cat` before `mailchute requeue`"),
    // Before the login: the page that such a reply points to is about authentication as well.
    rule(
        &["spf", "dmarc", "dkim", "unauthenticated", "sender policy"],
        &["5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26"],
        "the receiver wants proof of who we are: check the SPF, DKIM and DMARC records of the sender's domain (`mailchute dkim dns`), and the reverse name of this host",
    ),
    rule(
        &["535", "534", "auth: ", "login of this host", "authentication"],
        &["5.7.8", "4.7.8", "5.7.9", "4.7.9"],
        "the next hop does not take our login: check the user in next_hop and the password file, then reload the daemon",
    ),
    rule(
        &["certificate", "tls", "handshake"],
        &["4.7.4", "5.7.4", "4.7.5", "5.7.5"],
        "TLS did not come about as next_hop wants it: check the certificate of the server, ca_file, and tls= in next_hop",
    ),
    rule(
        &["spamhaus", "blocked", "blacklist", "blocklist", "denylist", "reputation", " listed"],
        &[],
        "the receiver blocks the address of this host: the reply names the list or the page to ask at",
    ),
    rule(
        &["connection refused", "no route to host", "network is unreachable", "timed out", "timeout", "connect: "],
        &["4.4.1"],
        "the server cannot be reached: check host and port of next_hop, the network and the firewall (many block port 25); `mailchute flush` tries at once",
    ),
    rule(
        &["nxdomain", "no such domain", "does not exist"],
        &["5.1.2"],
        "the domain does not exist or takes no mail: the address is probably misspelt",
    ),
    rule(&["dns", "resolv"], &["4.4.3"], "the DNS does not answer: check /etc/resolv.conf and dns_servers"),
    rule(&["greylist", "graylist", "greylisted"], &["4.7.1"], "the receiver lets strangers wait; it is tried again, nothing is to be done"),
    rule(
        &["relay access denied", "relaying denied", "not permitted to relay"],
        &[],
        "the next hop does not relay for us: it wants a login, or our address in its list",
    ),
    rule(
        &["user unknown", "no such user", "mailbox unavailable", "does not have an account", "unknown user", "invalid recipient"],
        &["5.1.1", "5.1.0", "5.1.3", "5.1.6", "5.2.1"],
        "there is no such mailbox: correct the address where it comes from; nothing can be sent there",
    ),
    rule(
        &["over quota", "quota exceeded", "mailbox full", "mailbox is full"],
        &["4.2.2", "5.2.2"],
        "the mailbox is full: only its owner can help",
    ),
    rule(&["too large", "message size", "size limit"], &["5.3.4", "5.2.3"], "the message is larger than the receiver takes"),
    rule(
        &["rate limit", "too many", "try again later", "throttl", "busy"],
        &["4.7.0", "4.4.5", "4.5.3", "4.3.2", "4.2.1"],
        "the receiver asks to wait; it is tried again, nothing is to be done",
    ),
    rule(
        &["sender", "from address", "return path"],
        &["5.1.7", "5.1.8"],
        "the receiver does not accept the sender's address: check -f and mailname",
    ),
    rule(
        &["spam", "virus", "content", "policy"],
        &["5.7.1", "5.6."],
        "the receiver refuses what the message says or who sends it; the reply says more",
    ),
];

/// The advice for a reason, if there is any.
pub fn advise(reason: &str, status: &str) -> Option<&'static str> {
    let reason = reason.to_lowercase();
    let has = |word: &str| word.strip_prefix('^').map_or_else(|| reason.contains(word), |begin| reason.starts_with(begin));
    let said = |rule: &&Rule| rule.words.iter().any(|word| has(word));
    let coded = |rule: &&Rule| {
        rule.statuses.iter().any(|code| match code.strip_suffix('.') {
            Some(_) => status.starts_with(code),
            None => status == *code,
        })
    };
    RULES.iter().find(said).or_else(|| RULES.iter().find(coded)).map(|rule| rule.advice)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("450 4.2.0 Greylisted, see http://example", "4.2.0", "nothing is to be done"),
            ("452 4.2.2 over quota", "4.2.2", "full"),
            ("550 5.7.1 DKIM: signature missing", "5.7.1", "SPF, DKIM and DMARC"),
            ("554 5.7.1 listed at zen.spamhaus.org, see dns", "5.7.1", "names the list"),
            ("dkim: no key for sender.example", "", "DKIM key"),
            ("uncertain: the connection was lost after the final dot", "", "may have arrived"),
            ("554 5.6.0 no", "5.6.0", "reply says more"),
            ("given up after the give-up time; last: 450 4.2.1 busy", "5.4.7", "give_up_time"),
            ("given up by an administrator after the last attempt; last: 450 4.2.1 busy", "5.4.7", "an administrator gave it up"),
            ("over the cap: uid 7 has 5 messages", "", "goes on when there is room"),
        ] {
            assert!(advise(reason, status).is_some_and(|text| text.contains(advice)), "{reason}: {:?}", advise(reason, status));
        }
        assert_eq!(advise("250 2.0.0 kept", "2.0.0"), None);
    }

    #[test]
    fn words_are_lower_case_or_they_would_never_be_found() {
        assert!(RULES.iter().flat_map(|rule| rule.words).all(|word| *word == word.to_lowercase()));
    }
}
