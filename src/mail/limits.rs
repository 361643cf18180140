//! Hard limits, which no configuration can raise. Each has its source or its reason.

/// RFC 5321 4.5.3.1.1: octets of a local part.
pub(crate) const LOCAL_PART: usize = 64;
/// RFC 5321 4.5.3.1.2: octets of a domain.
pub const DOMAIN: usize = 255;
/// RFC 5322 2.1.1: octets of a line without its CRLF.
pub const LINE: usize = 998;
/// Bytes of a header section that `sendmail` buffers (SENDMAIL.md R4).
pub const HEADER_SECTION: usize = 1 << 20;
/// Recipients of one message, whatever the configuration says.
pub const RECIPIENTS: usize = 10_000;
/// Received fields before a message counts as looping (SENDMAIL.md I7, RFC 5321 6.3).
pub const RECEIVED: usize = 100;
/// Bytes of the envelope line in a spool file, its line feed included.
pub const ENVELOPE_LINE: usize = 8 << 20;
/// Bytes of one request on the control socket.
pub const CONTROL_REQUEST: usize = 64 << 10;
/// RFC 3461 4.4: octets of an ENVID; on the wire they are counted encoded.
pub const ENVID: usize = 100;
/// Bytes of a message that the daemon reads at all: while it hashes one, no other is claimed.
pub const MESSAGE: u64 = 4 << 30;
