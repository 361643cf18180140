//! The contract between the programs: the layout of the spool, the file format, and the order of writes.
//!
//! `docs/SPOOL.md` and mailchute-spool(5) describe it in prose. Only st_uid identifies a submitter: any local user can write any
//! bytes to `new/`.

pub mod admission;
pub mod drop;
pub mod drop_error;
pub mod file;
pub mod layout;
