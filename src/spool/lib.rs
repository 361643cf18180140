//! The contract between the programs: what lies where, in which form, and in which order it is written.
//!
//! `docs/SPOOL.md` and mailchute-spool(5) say the same in prose. Identity is st_uid, and nothing else: any local user can write
//! any bytes into `new/`.

pub mod admission;
pub mod drop;
pub mod file;
pub mod layout;
