//! Private keys: what signs, and the public half of it. All cryptography is aws-lc-rs; here is only what DKIM adds.
//!
//! In: PEM text of an administrator (PKCS#8 for RSA and Ed25519, PKCS#1 for RSA). Out: signatures over a SHA-256 digest. A key that
//! is too weak, encrypted or of another kind is refused by name.

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use mail::base64;
use mail::der::{INTEGER, OCTET_STRING, SEQUENCE, tagged};

/// Bits of the smallest RSA key that aws-lc takes.
const SMALLEST: usize = 2048;
/// The line length of PEM (RFC 7468 2).
const PEM_LINE: usize = 64;

/// A key that can sign. Its bytes are wiped when it is dropped, by aws-lc; it is never printed.
pub enum PrivateKey {
    /// rsa-sha256 (RFC 6376 3.3.1), 2048 to 8192 bits.
    Rsa(Box<RsaKeyPair>),
    /// ed25519-sha256 (RFC 8463).
    Ed25519(Box<Ed25519KeyPair>),
}

/// What kind of key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 2048 bits: what every verifier takes, and the record fits in two strings.
    Rsa2048,
    /// 3072 bits.
    Rsa3072,
    /// 4096 bits: the most that verifiers must take (RFC 8301 3.2).
    Rsa4096,
    /// Ed25519: small and fast, but many verifiers do not know it yet. For a second signature, not for the only one.
    Ed25519,
}

impl Kind {
    /// The RSA kind of that many bits; `None` for a size that is not offered.
    pub const fn rsa(bits: u32) -> Option<Kind> {
        match bits {
            2048 => Some(Kind::Rsa2048),
            3072 => Some(Kind::Rsa3072),
            4096 => Some(Kind::Rsa4096),
            _ => None,
        }
    }
}

/// Why a key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No private key in PEM form.
    NotPem,
    /// A key under a passphrase.
    Encrypted,
    /// An RSA key under 2048 bits. RFC 8301 3.2 lets signers go down to 1024; aws-lc does not sign with such keys, and receivers
    /// have begun not to count them.
    TooSmall,
    /// A key of another kind, or broken.
    Kind,
    /// The cryptographic library gave up.
    Library,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nonsense) = mail::sentence::instead(f) {
            return nonsense;
        }
        f.write_str(match self {
            KeyError::NotPem => "contains no PEM private key",
            KeyError::Encrypted => "contains an encrypted key; remove the passphrase with `openssl pkey`",
            KeyError::TooSmall => "contains an RSA key with less than 2048 bits; create a new one with `mailchute dkim keygen`",
            KeyError::Kind => "contains a broken key, or one that is neither RSA with 2048 to 8192 bits nor Ed25519",
            KeyError::Library => "is not accepted by the cryptographic library",
        })
    }
}

impl std::error::Error for KeyError {}

impl PrivateKey {
    /// The first private key in `pem`.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<PrivateKey, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| match memchr::memmem::find(pem, b"BEGIN ENCRYPTED PRIVATE KEY") {
            Some(_) => KeyError::Encrypted,
            None => KeyError::NotPem,
        })?;
        let der = Zeroizing::new(der);
        match &*der {
            PrivateKeyDer::Pkcs1(rsa) => {
                RsaKeyPair::from_der(rsa.secret_pkcs1_der()).map(PrivateKey::rsa).map_err(|_| refusal(rsa.secret_pkcs1_der()))
            }
            PrivateKeyDer::Pkcs8(pkcs8) => match Ed25519KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()) {
                Ok(key) => Ok(PrivateKey::Ed25519(Box::new(key))),
                Err(_) => {
                    let key = RsaKeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).map(PrivateKey::rsa);
                    key.map_err(|_| inside_pkcs8(pkcs8.secret_pkcs8_der()).map_or(KeyError::Kind, refusal))
                }
            },
            _ => Err(KeyError::Kind),
        }
    }

    /// A new key from the kernel's randomness. RSA takes tens of milliseconds.
    pub fn generate(kind: Kind) -> Result<PrivateKey, KeyError> {
        let rsa = |size| RsaKeyPair::generate(size).map(PrivateKey::rsa).map_err(|_| KeyError::Library);
        match kind {
            Kind::Rsa2048 => rsa(KeySize::Rsa2048),
            Kind::Rsa3072 => rsa(KeySize::Rsa3072),
            Kind::Rsa4096 => rsa(KeySize::Rsa4096),
            Kind::Ed25519 => Ed25519KeyPair::generate().map(|key| PrivateKey::Ed25519(Box::new(key))).map_err(|_| KeyError::Library),
        }
    }

    fn rsa(key: RsaKeyPair) -> PrivateKey {
        PrivateKey::Rsa(Box::new(key))
    }

    /// The key as PEM, PKCS#8 version 1, which OpenSSL reads too.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der: Pkcs8V1Der<'static> = match self {
            PrivateKey::Rsa(key) => key.as_der(),
            PrivateKey::Ed25519(key) => key.as_der(),
        }
        .map_err(|_| KeyError::Library)?;
        let digits = Zeroizing::new(base64::encode(der.as_ref()));
        // Room for everything at once: a string that grows leaves copies of the key behind.
        let mut pem = Zeroizing::new(String::with_capacity(digits.len() + digits.len().div_ceil(PEM_LINE) + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = digits.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(PEM_LINE.min(rest.len()));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// The value of `a=` (RFC 6376 3.3, RFC 8463 3).
    pub fn algorithm(&self) -> &'static str {
        match self {
            PrivateKey::Rsa(_) => "rsa-sha256",
            PrivateKey::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// The value of `k=` (RFC 6376 3.6.1, RFC 8463 4).
    pub(crate) fn key_type(&self) -> &'static str {
        match self {
            PrivateKey::Rsa(_) => "rsa",
            PrivateKey::Ed25519(_) => "ed25519",
        }
    }

    /// The octets of `p=`: for RSA the SubjectPublicKeyInfo that everybody publishes (RFC 6376 Appendix C makes it so, although
    /// its section 3.6.1 names another form), for Ed25519 the bare key (RFC 8463 4.2).
    pub(crate) fn public_bytes(&self) -> Result<Vec<u8>, KeyError> {
        match self {
            PrivateKey::Rsa(key) => {
                let der: PublicKeyX509Der<'static> = key.public_key().as_der().map_err(|_| KeyError::Library)?;
                Ok(der.as_ref().to_vec())
            }
            PrivateKey::Ed25519(key) => Ok(key.public_key().as_ref().to_vec()),
        }
    }

    /// The signature over `digest`, which is SHA-256: RSASSA-PKCS1-v1_5 over it (RFC 6376 3.3.1), or PureEdDSA with the digest as
    /// the message (RFC 8463 3).
    pub fn sign(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        match self {
            PrivateKey::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature).map_err(|_| KeyError::Library)?;
                Ok(signature)
            }
            PrivateKey::Ed25519(key) => Ok(key.try_sign(digest.as_ref()).map_err(|_| KeyError::Library)?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key itself.
        write!(f, "PrivateKey({})", self.key_type())
    }
}

/// Why aws-lc does not take an RSA key, in the form of PKCS#1.
fn refusal(pkcs1: &[u8]) -> KeyError {
    match modulus_bits(pkcs1) {
        Some(bits) if bits < SMALLEST => KeyError::TooSmall,
        _ => KeyError::Kind,
    }
}

/// The key in a PrivateKeyInfo of PKCS #8: version, algorithm, key.
fn inside_pkcs8(der: &[u8]) -> Option<&[u8]> {
    let (fields, _) = tagged(der, SEQUENCE)?;
    let (_, fields) = tagged(fields, INTEGER)?;
    let (_, fields) = tagged(fields, SEQUENCE)?;
    tagged(fields, OCTET_STRING).map(|(key, _)| key)
}

/// The length of the modulus of an RSAPrivateKey of PKCS #1: version, modulus.
fn modulus_bits(pkcs1: &[u8]) -> Option<usize> {
    let (fields, _) = tagged(pkcs1, SEQUENCE)?;
    let (_, fields) = tagged(fields, INTEGER)?;
    let (modulus, _) = tagged(fields, INTEGER)?;
    let at = modulus.iter().position(|byte| *byte != 0)?;
    let (first, rest) = modulus.get(at..)?.split_first()?;
    Some(rest.len() * 8 + (8 - first.leading_zeros() as usize))
}

#[cfg(test)]
mod tests;
