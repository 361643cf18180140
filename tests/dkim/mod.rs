//! Signatures as others see them: made with keys from `mailchute dkim keygen`, verified by mail-auth in this process, and by dkimpy
//! and OpenDKIM as programs, with the records that `mailchute dkim dns` prints.

mod judges;
mod messages;
mod oversigning;
mod sender;
mod verifiers;
