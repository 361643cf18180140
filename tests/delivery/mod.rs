//! One message's way from `sendmail` to a receiver that follows a script. No root is needed: one user's installation.

mod faults;
mod life;
mod operators;
mod outcomes;
mod trust;

/// A message without a recipient field: recipients are operands.
pub(crate) const MESSAGE: &[u8] = b"From: alice@sender.example\nSubject: hello\n\nHello\n.leading dot\n";

/// True if the queue entry has a recipient with this status, and a reply or reason that holds `text`.
pub(crate) fn has(entry: &serde_json::Value, address: &str, status: &str, text: &str) -> bool {
    let recipients = entry["recipients"].as_array().map(Vec::as_slice).unwrap_or_default();
    recipients.iter().any(|one| one["address"] == address && one["status"] == status && one.to_string().contains(text))
}
