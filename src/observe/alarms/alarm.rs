//! What can be wrong with a mail system that sends: the table of alarms. mailchute(8) explains each row.

use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody should look at it today.
    Warning,
    /// Mail does not leave, or may be lost from sight.
    Critical,
}

impl Severity {
    /// `warning` or `critical`.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $severity:ident;)*) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Kind] = &[$(Kind::$variant,)*];

            /// Its name in events, files, variables and the manual.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self { $(Kind::$variant => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// Nothing was relayed for `alarm_silence_time`, though it was tried.
    NoDelivery = "no_delivery", Critical;
    /// The configured next hop has been suspended for `alarm_route_time`.
    RouteSuspended = "route_suspended", Critical;
    /// The oldest waiting message is older than `alarm_age`.
    QueueOld = "queue_old", Warning;
    /// A key, a password or a secret cannot be used.
    CredentialUnusable = "credential_unusable", Critical;
    /// The file system of the spool has less room than `alarm_free_space`.
    SpoolFull = "spool_full", Critical;
    /// The disk or the database refused within the last hour.
    StorageFailed = "storage_failed", Critical;
    /// The database was lost, and messages are held since.
    StateLost = "state_lost", Critical;
    /// An administrator closed admission: no new mail is taken.
    AdmissionClosed = "admission_closed", Warning;
    /// An administrator stopped delivery: mail is taken and waits.
    DeliveryPaused = "delivery_paused", Warning;
    /// Files lie in `corrupt/`.
    CorruptFile = "corrupt_file", Warning;
    /// A failure that nobody could be told of.
    DsnUndeliverable = "dsn_undeliverable", Warning;
    /// A webhook lost events, or has not taken any for an hour.
    WebhookBehind = "webhook_behind", Warning;
    /// The canary did not arrive.
    CanaryMissing = "canary_missing", Critical;
}

/// One thing that is wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: Kind,
    /// Of what: a route, a webhook; empty where there is only one.
    pub subject: String,
    /// Why, one printable line.
    pub reason: String,
}
