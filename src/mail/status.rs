//! The reply of a server (RFC 5321 4.2) and its enhanced status (RFC 3463). The input is already limited in size.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::printable;

/// An enhanced mail system status code, `class.subject.detail` (RFC 3463 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl EnhancedStatus {
    /// The status `class.subject.detail`.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        EnhancedStatus { class, subject, detail }
    }

    /// The status at the start of `text`, if any.
    pub fn parse_prefix(text: &str) -> Option<Self> {
        let word = text.split([' ', '\t']).next()?;
        let mut parts = word.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || !matches!(class, "2" | "4" | "5") {
            return None;
        }
        let number = |part: &str| {
            let digits = !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        Some(EnhancedStatus { class: class.parse().ok()?, subject: number(subject)?, detail: number(detail)? })
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One complete reply of a server. The lines are made printable when the reply is built, so that no terminal, log line or
/// database ever sees what a hostile server put there (THREATS T-SMTP-6, T-OUT-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    /// A reply from its code (200 to 599) and its lines without code and CRLF.
    pub fn new<S: AsRef<str>>(code: u16, lines: impl IntoIterator<Item = S>) -> Self {
        Reply { code, lines: lines.into_iter().map(|line| printable::text(line.as_ref())).collect() }
    }

    /// The three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The lines, printable.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2yz. RFC 5321 4.2.1: the first digit decides, unknown codes included.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status, if the text has one whose class agrees with the code (else the code is to be trusted).
    pub fn enhanced(&self) -> Option<EnhancedStatus> {
        let status = EnhancedStatus::parse_prefix(self.lines.first()?)?;
        (u16::from(status.class) == self.code / 100).then_some(status)
    }

    /// The enhanced status, or `x.0.0` in the class of the code (RFC 3463 3.1).
    pub fn enhanced_or_generic(&self) -> EnhancedStatus {
        let class = match self.code / 100 {
            2 => 2,
            5 => 5,
            _ => 4,
        };
        self.enhanced().unwrap_or(EnhancedStatus::new(class, 0, 0))
    }
}

impl fmt::Display for Reply {
    /// `550 5.1.1 no such user`, the lines joined by one space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        self.lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enhanced_status_counts_only_where_it_agrees_with_the_code() {
        let agree = Reply::new(550, ["5.1.1 no such user"]);
        assert_eq!(agree.enhanced(), Some(EnhancedStatus::new(5, 1, 1)));
        assert_eq!(Reply::new(550, ["4.1.1 odd"]).enhanced_or_generic(), EnhancedStatus::new(5, 0, 0));
        assert_eq!(Reply::new(450, ["5.1.1.1 odd"]).enhanced(), None);
        assert_eq!(agree.to_string(), "550 5.1.1 no such user");
    }

    #[test]
    fn an_enhanced_status_is_three_numbers_of_a_known_class_at_the_start() {
        let parsed = |text: &str| EnhancedStatus::parse_prefix(text).map(|status| status.to_string());
        for good in ["2.0.0", "4.999.1", "5.1.100"] {
            assert_eq!(parsed(good).as_deref(), Some(good));
            assert_eq!(parsed(&format!("{good}\ttext")).as_deref(), Some(good));
        }
        for bad in
            ["", "2", "2.0", "3.0.0", "1.0.0", "5.1.1.1", "5..1", "5.1.", "5.1000.1", "5.+1.1", "5.1.x", "x5.1.1", " 5.1.1", "55.1.1"]
        {
            assert_eq!(parsed(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_first_digit_of_the_code_decides_unknown_codes_included() {
        for (code, kinds, generic) in [
            (250, [true, false, false], "2.0.0"),
            (299, [true, false, false], "2.0.0"),
            (354, [false, false, false], "4.0.0"),
            (400, [false, true, false], "4.0.0"),
            (499, [false, true, false], "4.0.0"),
            (500, [false, false, true], "5.0.0"),
            (599, [false, false, true], "5.0.0"),
        ] {
            let reply = Reply::new(code, ["text"]);
            assert_eq!([reply.is_positive(), reply.is_transient(), reply.is_permanent()], kinds, "{code}");
            assert_eq!((reply.code(), reply.enhanced_or_generic().to_string().as_str()), (code, generic));
        }
        let reply = Reply::new(250, ["first", "", "2.1.0 third"]);
        assert_eq!((reply.lines().len(), reply.enhanced(), reply.to_string().as_str()), (3, None, "250 first 2.1.0 third"));
        assert_eq!(Reply::new(421, [""; 0]).enhanced(), None);
    }

    #[test]
    fn t_smtp_6_a_reply_cannot_carry_control_characters() {
        let reply = Reply::new(550, ["5.1.1 \x1b[31mred\nX-Injected: yes"]);
        assert!(reply.to_string().chars().all(|c| !c.is_control()));
    }
}
