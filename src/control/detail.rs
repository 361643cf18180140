//! One message with its attempts and its history, as `show` and `trace` print it.

use serde::{Deserialize, Serialize};

/// One attempt at one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The forward-path.
    pub address: String,
    /// When it was first so, unix seconds.
    pub since: i64,
    /// When it ended, unix seconds.
    pub at: i64,
    /// How often in a row the same was found.
    pub times: u32,
    /// `relayed`, `waiting`, `failed`, `uncertain`.
    pub status: String,
    /// Enhanced status.
    pub dsn: String,
    /// The host that answered, with its address; else the route.
    pub relay: String,
    /// Its reply, or the reason.
    pub reply: String,
    /// The queue id that the next hop named.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remote_id: String,
    /// TLS version, cipher suite, and how the certificate was verified.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tls: String,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// A server answered about the message.
    pub reached: bool,
    /// Milliseconds until the session could take mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// Milliseconds from MAIL to the last reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<u32>,
}

/// One message, whole: what `mailchute show` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// As in a listing.
    #[serde(flatten)]
    pub entry: super::listing::Entry,
    /// What the caller's `sendmail` said of it: claims.
    #[serde(default)]
    pub caller: mail::envelope::CallerInfo,
    /// What injection changed or noticed.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// True if the caller's group and process ids are the kernel's word too.
    #[serde(default)]
    pub attested: bool,
    /// SHA-256 of the spool file, hex.
    pub digest: String,
    /// Every attempt, oldest first.
    #[serde(default)]
    pub tries: Vec<Attempt>,
    /// What happened, oldest first.
    pub history: Vec<Happening>,
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happening {
    /// Unix seconds.
    pub at: i64,
    /// `accepted`, `relayed`, `delayed` …
    pub kind: String,
    /// The details.
    pub text: String,
}
