//! The capabilities of a server: the reply to EHLO as values. Keywords count in any case (RFC 5321 4.1.1.1).
//!
//! smtp-proto reads the keywords; LIMITS (RFC 9422), which it does not know, is read here. An unreadable
//! line counts as no offer; mail is sent all the same.

use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_CHUNKING, EXT_DSN, EXT_ENHANCED_STATUS_CODES, EXT_PIPELINING, EXT_SIZE, EXT_SMTP_UTF8,
    EXT_START_TLS, EhloResponse,
};

use mail::Reply;

/// The extensions that we use. The default is a server without any (HELO).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 1870. `Some(0)` is "no fixed limit".
    pub size: Option<u64>,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 3030. Known, not used: BDAT saves no round trip over a pipelined DATA.
    pub chunking: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 4954, mechanism PLAIN.
    pub auth_plain: bool,
    /// RFC 4954, mechanism LOGIN.
    pub auth_login: bool,
    /// RFC 9422 MAILMAX: transactions in one session.
    pub mail_max: Option<u32>,
    /// RFC 9422 RCPTMAX: recipients in one transaction.
    pub rcpt_max: Option<u32>,
}

impl Capabilities {
    /// The capabilities that a positive reply to EHLO or LHLO lists.
    pub fn from_ehlo(reply: &Reply) -> Self {
        let mut found = Capabilities::default();
        // The first line is the server's name. Each line is read alone, so that an unreadable one spoils only itself.
        for line in reply.lines().iter().skip(1) {
            found.add(line);
        }
        found
    }

    fn add(&mut self, line: &str) {
        let (keyword, parameters) = line.split_once([' ', '=']).unwrap_or((line, ""));
        if keyword.eq_ignore_ascii_case("LIMITS") {
            self.add_limits(parameters);
            return;
        }
        let canonical = format!("250-x\r\n250 {line}\r\n");
        let Ok(offer) = EhloResponse::parse(&mut canonical.as_bytes().iter()) else { return };
        self.pipelining |= offer.has_capability(EXT_PIPELINING);
        self.eight_bit_mime |= offer.has_capability(EXT_8BIT_MIME);
        self.smtputf8 |= offer.has_capability(EXT_SMTP_UTF8);
        self.dsn |= offer.has_capability(EXT_DSN);
        self.enhanced_status_codes |= offer.has_capability(EXT_ENHANCED_STATUS_CODES);
        self.chunking |= offer.has_capability(EXT_CHUNKING);
        self.starttls |= offer.has_capability(EXT_START_TLS);
        self.auth_plain |= offer.auth() & AUTH_PLAIN != 0;
        self.auth_login |= offer.auth() & AUTH_LOGIN != 0;
        if offer.has_capability(EXT_SIZE) {
            self.size = Some(u64::try_from(offer.size).unwrap_or(0));
        }
    }

    /// RFC 9422 4: one malformed limit makes the whole extension void.
    fn add_limits(&mut self, parameters: &str) {
        let (mut mail_max, mut rcpt_max) = (None, None);
        for word in parameters.split_ascii_whitespace() {
            let Some((name, value)) = word.split_once('=') else { return };
            let slot = match name {
                n if n.eq_ignore_ascii_case("MAILMAX") => &mut mail_max,
                n if n.eq_ignore_ascii_case("RCPTMAX") => &mut rcpt_max,
                _ => continue,
            };
            match value.parse::<u32>() {
                Ok(limit @ 1..=999_999) => *slot = Some(limit),
                _ => return,
            }
        }
        (self.mail_max, self.rcpt_max) = (mail_max, rcpt_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Capabilities {
        Capabilities::from_ehlo(&Reply::new(250, [&["mx.example"], lines].concat()))
    }

    #[test]
    fn keywords_count_in_any_case_and_any_order() {
        let all = read(&[
            "pipelining",
            "Size 10240000",
            "8bitmime",
            "smtpUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
            "CHUNKING",
            "starttls",
            "AUTH LOGIN plain XOAUTH2",
            "LIMITS RCPTMAX=50 MAILMAX=3 RCPTDOMAINMAX=1",
        ]);
        assert_eq!(
            all,
            Capabilities {
                pipelining: true,
                size: Some(10_240_000),
                eight_bit_mime: true,
                smtputf8: true,
                dsn: true,
                enhanced_status_codes: true,
                chunking: true,
                starttls: true,
                auth_plain: true,
                auth_login: true,
                mail_max: Some(3),
                rcpt_max: Some(50),
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_offered_and_spoils_nothing_else() {
        let odd = read(&["", "  ", "SIZE big", "PIPELINING-X", "AUTH", "LIMITS MAILMAX=0", "LIMITS x", "\u{fffd}", "DSN"]);
        assert_eq!(odd, Capabilities { size: Some(0), dsn: true, ..Capabilities::default() });
        assert_eq!(read(&["SIZE"]).size, Some(0));
        assert!(read(&["AUTH=LOGIN"]).auth_login, "the form of servers before RFC 2554");
    }

    #[test]
    fn the_servers_name_is_no_keyword() {
        assert_eq!(Capabilities::from_ehlo(&Reply::new(250, ["PIPELINING"])), Capabilities::default());
    }
}
