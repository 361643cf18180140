//! The table of alarms. mailchute(8) explains each row.

use serde::{Deserialize, Serialize};

/// The severity of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// An administrator should look at it today.
    Warning,
    /// Mail is not delivered, or a failure may go unnoticed.
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
        /// The kind of an alarm.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Kind] = &[$(Kind::$variant,)*];

            /// Its name in events, files, variables and the manual.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// The severity of the alarm.
            pub fn severity(self) -> Severity {
                match self { $(Kind::$variant => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// Every delivery attempt failed for `alarm_silence_time`.
    NoDelivery = "no_delivery", Critical;
    /// The configured next hop has been suspended for `alarm_route_time`.
    RouteSuspended = "route_suspended", Critical;
    /// The oldest queued message is older than `alarm_age`.
    QueueOld = "queue_old", Warning;
    /// A key, a password or a secret cannot be used.
    CredentialUnusable = "credential_unusable", Critical;
    /// The spool's file system has less free space than `alarm_free_space`.
    SpoolFull = "spool_full", Critical;
    /// The disk or the database reported an error within the last hour.
    StorageFailed = "storage_failed", Critical;
    /// The database was lost, and messages are held since then.
    StateLost = "state_lost", Critical;
    /// The database, or the whole spool, was replaced by an older copy within the last day.
    StateRestored = "state_restored", Critical;
    /// An administrator closed admission. New mail is refused.
    AdmissionClosed = "admission_closed", Warning;
    /// An administrator paused delivery. New mail stays queued.
    DeliveryPaused = "delivery_paused", Warning;
    /// A user is near a spool limit.
    QuotaNear = "quota_near", Warning;
    /// This host lost messages: their files in the spool were changed or removed.
    MessageLost = "message_lost", Critical;
    /// There are files in `corrupt/`.
    CorruptFile = "corrupt_file", Warning;
    /// A message failed and no DSN could be delivered.
    DsnUndeliverable = "dsn_undeliverable", Warning;
    /// A webhook missed events, or has accepted none for an hour.
    WebhookBehind = "webhook_behind", Warning;
    /// The canary did not arrive.
    CanaryMissing = "canary_missing", Critical;
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The kind.
    pub kind: Kind,
    /// The route, webhook or uid concerned; empty if the kind has no subject.
    pub subject: String,
    /// The reason, one printable line.
    pub reason: String,
}
