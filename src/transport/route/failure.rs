//! Why a route has no hosts, with the status of RFC 3463.

use std::fmt;

use mail::code::{Cause, Stage, Subject};
use mail::{Diagnosis, EnhancedStatus, sentence};

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The DNS did not answer, or the configured next hop is wrong: retry later.
    Transient,
    /// The DNS answered that this domain does not accept mail from us.
    Permanent,
}

/// A route without hosts. For a configured next hop the class is always [`Class::Transient`]: the failure concerns the route, never a
/// message or a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteFailure {
    /// The enhanced status, in the class of `class`.
    pub status: EnhancedStatus,
    /// One printable line: what failed, why, and the next step if there is one.
    pub text: String,
    /// Transient or permanent.
    pub class: Class,
}

impl RouteFailure {
    /// What it was and what it is about, in codes.
    pub fn diagnosis(&self) -> Diagnosis {
        let cause = if self.class == Class::Permanent { Cause::NoDomain } else { Cause::Dns };
        Diagnosis { stage: Some(Stage::Route), ..Diagnosis::of(cause, Subject::Destination) }
    }

    /// X.1.2: the domain does not exist, or has neither mail exchangers nor addresses. RFC 3463 3.2 says of it "does not exist or
    /// is incapable of accepting mail", so both answers are the same fact about the recipient's domain; X.4.4 is kept for
    /// domains that name mail exchangers which then lead nowhere.
    pub(crate) fn no_such_domain(text: String) -> Self {
        Self::permanent(1, 2, text)
    }

    /// X.1.10: RFC 7505 4.2.
    pub(crate) fn null_mx(text: String) -> Self {
        Self::permanent(1, 10, text)
    }

    /// X.4.4: mail exchangers without any address (RFC 5321 5.1: "MUST be reported as an error").
    pub(crate) fn no_usable_exchange(text: String) -> Self {
        Self::permanent(4, 4, text)
    }

    /// X.4.6: the mail would return to this host. Permanent, because this host never listens: no retry can succeed until
    /// somebody changes the DNS or the configuration, and the sender should get a bounce today rather than in five days.
    pub(crate) fn loops_back(text: String) -> Self {
        Self::permanent(4, 6, text)
    }

    /// 4.4.3: no answer from the directory.
    pub(crate) fn no_answer(text: String) -> Self {
        RouteFailure { status: EnhancedStatus::new(4, 4, 3), text: sentence::made(text), class: Class::Transient }
    }

    /// 4.4.4: the configured next hop has no address.
    pub(crate) fn no_such_host(text: String) -> Self {
        RouteFailure { status: EnhancedStatus::new(4, 4, 4), text: sentence::made(text), class: Class::Transient }
    }

    fn permanent(subject: u16, detail: u16, text: String) -> Self {
        RouteFailure { status: EnhancedStatus::new(5, subject, detail), text: sentence::made(text), class: Class::Permanent }
    }
}

impl fmt::Display for RouteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl std::error::Error for RouteFailure {}
