//! Why a recipient, an attempt or a route is as it is, in codes: as words on the wire.

use mail::Diagnosis;
use mail::code::{Cause, Stage, Subject};
use serde::{Deserialize, Serialize};

/// A diagnosis; what is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyCodes {
    /// The cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// How far the attempt had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The code of the reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
}

impl From<Diagnosis> for WhyCodes {
    fn from(Diagnosis { cause, subject, stage, code }: Diagnosis) -> WhyCodes {
        WhyCodes { cause, subject, stage, code }
    }
}

impl From<WhyCodes> for Diagnosis {
    fn from(WhyCodes { cause, subject, stage, code }: WhyCodes) -> Diagnosis {
        Diagnosis { cause, subject, stage, code }
    }
}
