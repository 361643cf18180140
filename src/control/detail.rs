//! One message with its attempts and its history, as `show` and `trace` print it.

use mail::Actor;
use mail::code::{Progress, Trigger};
use serde::{Deserialize, Serialize};

use super::why::WhyCodes;

/// One delivery attempt for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The forward-path.
    pub address: String,
    /// Time of the first attempt with this result, unix seconds.
    pub since: i64,
    /// Time of the last attempt with this result, unix seconds.
    pub at: i64,
    /// The number of consecutive attempts with this result.
    pub times: u32,
    /// `relayed`, `deferred`, `failed`, `uncertain`.
    pub status: Progress,
    /// Why, in codes.
    #[serde(flatten)]
    pub why: WhyCodes,
    /// Enhanced status.
    pub dsn: String,
    /// The host that replied, with its address; otherwise the route.
    pub relay: String,
    /// The reply of the host, or the local reason.
    pub reply: String,
    /// The queue id on the next hop.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote_id: String,
    /// TLS version, cipher suite, and the result of the certificate verification.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls: String,
    /// Notes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// A server replied to this message.
    pub reached: bool,
    /// Milliseconds until the session was ready for mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// Milliseconds from MAIL to the last reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<u32>,
}

/// One message with its history: the output of `mailchute show`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// As in a listing.
    #[serde(flatten)]
    pub entry: super::listing::Entry,
    /// Information about the caller, as reported by the caller's `sendmail`.
    #[serde(default)]
    pub caller: mail::envelope::CallerInfo,
    /// Warnings from injection.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// True if the caller's gid and pid were reported by the kernel.
    #[serde(default)]
    pub attested: bool,
    /// SHA-256 of the spool file, hex.
    pub digest: String,
    /// Delivery attempts, oldest first.
    #[serde(default)]
    pub tries: Vec<Attempt>,
    /// Events, oldest first.
    pub history: Vec<Happening>,
}

/// An event in the history of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// Unix seconds.
    pub at: i64,
    /// `accepted`, `relayed`, `deferred`, `held` …: a code of `history`, or of `recipient` for an attempt.
    pub kind: String,
    /// Why, as a code of the kind: of `hold` for `held`, of `op` for `asked`, of `cause` for `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What made the system do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Who wanted it.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// The details, for people.
    pub text: String,
}
