//! mailchute: a send-only mail system for one host.
//!
//! ```text
//!   a program                                                                    the next hop
//!       │ stdin, argv                                                                 ▲ SMTP
//!       ▼                                                                             │
//!   submit ──drop──▶ spool/new ──claim──▶ relay::intake ─▶ queue ─▶ route ─▶ smtp session
//!   (sendmail,        (files, one per      (mailchuted, its own user)         │
//!    the caller's      message; the                                           ├─ encode, dkim
//!    own uid)          contract)           outcome ◀─ smtp transaction ◀──────┘
//!                                             │
//!   ctl (mailchute, mailq) ──control socket──▶ history, failed/
//! ```
//!
//! Read it in the order of a message's way:
//!
//! * [`mail`] — the vocabulary: addresses, envelope, queue id, header scanner, replies. Pure.
//! * [`submit`] — argv and stdin of an untrusted caller become one durable file. Exit 0 means kept.
//! * [`spool`] — the contract between the programs: directories, file format, the injection order, the claim, the state.
//! * [`relay`] — the daemon: claims, schedules, routes, signs, delivers, and records every outcome.
//! * [`control`] — what the daemon and the administrator's programs say to each other over the unix socket.
//! * [`ctl`] — the administrator's command.
//! * [`dkim`] — names, keys and records of DKIM, which the signer and the administrator's command share.
//! * [`config`] — one table of parameters, and the paths that the build fixed.
//! * [`log`] — one function per event.
//! * [`sys`] — safe names for system calls that std does not have, or not as we need them.
//! * [`exit`] — the one table of exit codes.
//!
//! Imports go one way: `submit`, `relay`, `ctl` → `control`, `dkim`, `spool`, `config`, `log`, `sys` → `mail`.
//! `submit` and `relay` never import each other. `tests/architecture.rs` keeps this true.

pub mod config;
pub mod control;
#[cfg(feature = "ctl")]
pub mod ctl;
#[cfg(any(feature = "relay", feature = "ctl"))]
pub mod dkim;
pub mod exit;
pub mod log;
pub mod mail;
#[cfg(feature = "relay")]
pub mod relay;
pub mod spool;
#[cfg(feature = "submit")]
pub mod submit;
pub mod sys;
