//! Signatures as others see them: made with keys from `mailchute dkim keygen`, verified by mail-auth in this process, and by dkimpy
//! and OpenDKIM as programs, with the records that `mailchute dkim dns` prints.

// Always true here; it tells clippy that the helpers are test code too.
#![cfg(test)]

mod judges;
mod messages;
mod oversigning;
mod sender;
mod verifiers;
