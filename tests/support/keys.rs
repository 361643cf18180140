//! DKIM keys of one test, made without the product: what it writes and what it publishes are judged against other people's code.

use rcgen::KeyPair;

/// A private key in PKCS #8 and the TXT record of its public half.
pub(crate) struct DkimKey {
    pub private_pem: String,
    pub txt: String,
}

/// An Ed25519 key (RFC 8463).
pub(crate) fn ed25519() -> DkimKey {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    // The record holds the bare key: the 12 bytes of SubjectPublicKeyInfo before it are 16 characters of base64.
    let bare = public_base64(&key).split_off(16);
    DkimKey { private_pem: key.serialize_pem(), txt: format!("v=DKIM1; k=ed25519; p={bare}") }
}

/// A 2048-bit RSA key.
pub(crate) fn rsa() -> DkimKey {
    let key = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    DkimKey { private_pem: key.serialize_pem(), txt: format!("v=DKIM1; k=rsa; p={}", public_base64(&key)) }
}

/// SubjectPublicKeyInfo.
fn public_base64(key: &KeyPair) -> String {
    key.public_key_pem().lines().filter(|line| !line.starts_with("---")).collect()
}
