//! The configuration: `mailchute.toml`, and the paths that the build fixed.
//!
//! In: one TOML file that the administrator wrote (0644, no secrets). Out: [`Config`], or an error with file, line and reason.
//! An empty file is a working configuration. `sendmail` reads it at each start, the daemon at start and on SIGHUP.

pub mod load;
pub mod names;
pub mod next_hop;
pub mod params;
pub mod paths;
pub mod policy;
pub mod sample;
pub mod units;
pub mod webhook;
pub mod wrong;

pub use load::{Config, parse};
pub use names::Names;
pub use next_hop::{NextHop, TlsPolicy};
pub use params::{DkimPolicy, DomainParams, Dot, MailqUsers, OnUncertain, Params, SenderPolicy, TArguments, UnknownLocal, WebhookParams};
pub use paths::Paths;
pub use units::{Size, Span};
pub use webhook::WebhookUrl;
