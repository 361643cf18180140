//! Address lists as people write them (RFC 5322 3.4, obsolete forms included).
