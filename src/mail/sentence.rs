//! Every sentence that this program makes for people passes through here. Pure.
//!
//! In a special build (`--cfg nonsense`, tests/nonsense/) each becomes nonsense. That build must behave as any other: the same files,
//! exit codes, codes in JSON, events and metrics. It proves that nothing is decided from a sentence.

/// A sentence that is put together.
#[cfg(not(nonsense))]
#[must_use]
pub fn made(text: impl Into<String>) -> String {
    text.into()
}

/// Nonsense: one word for each place in the source.
#[cfg(nonsense)]
#[must_use]
#[track_caller]
pub fn made(_: impl Into<String>) -> String {
    format!("zq{}", std::panic::Location::caller().line())
}

/// A sentence that stands in the source.
#[cfg(not(nonsense))]
#[must_use]
pub const fn fixed(text: &'static str) -> &'static str {
    text
}

/// Nonsense, and the same for all of them.
#[cfg(nonsense)]
#[must_use]
pub const fn fixed(_: &'static str) -> &'static str {
    "zq"
}

/// What stands in place of a sentence that a `Display` would write; `None` in every build but the special one.
#[cfg(not(nonsense))]
pub fn instead(_: &mut std::fmt::Formatter<'_>) -> Option<std::fmt::Result> {
    None
}

/// What stands in place of a sentence that a `Display` would write.
#[cfg(nonsense)]
#[track_caller]
pub fn instead(f: &mut std::fmt::Formatter<'_>) -> Option<std::fmt::Result> {
    Some(write!(f, "zq{}", std::panic::Location::caller().line()))
}
