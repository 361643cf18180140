//! Keys of OpenSSL in, keys for OpenSSL out, and what is refused.

use aws_lc_rs::digest::{SHA256, digest};

use super::*;

/// `openssl genpkey -algorithm ed25519` with the key of RFC 8032 7.1, test 1, which is that of RFC 8463 A.2.
const ED25519: &[u8] = b"-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
-----END PRIVATE KEY-----\n";

#[test]
fn the_ed25519_key_of_rfc_8463_has_the_public_key_printed_there() {
    let key = PrivateKey::from_pem(ED25519).expect("a key");
    assert_eq!((key.algorithm(), key.key_type()), ("ed25519-sha256", "ed25519"));
    assert_eq!(base64::encode(&key.public_bytes().expect("bytes")), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let record = crate::record::text(&key).expect("a record");
    assert_eq!(record, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
}

#[test]
fn a_generated_key_is_written_and_read_back() {
    for kind in [Kind::Rsa2048, Kind::Ed25519] {
        let key = PrivateKey::generate(kind).expect("a key");
        let pem = key.to_pem().expect("PEM");
        assert!(pem.lines().all(|line| line.len() <= 64), "RFC 7468 2");
        let again = PrivateKey::from_pem(pem.as_bytes()).expect("the same key");
        assert_eq!(again.public_bytes(), key.public_bytes());
        let digest = digest(&SHA256, b"both schemes are deterministic");
        assert_eq!(again.sign(&digest), key.sign(&digest));
        assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.key_type()), "nothing of the key");
    }
}

#[test]
fn pkcs1_is_read_like_pkcs8() {
    let key = PrivateKey::from_pem(include_bytes!("testdata/pkcs1.pem")).expect("a key");
    let same = PrivateKey::from_pem(include_bytes!("testdata/pkcs8.pem")).expect("a key");
    assert_eq!(key.public_bytes(), same.public_bytes());
    assert_eq!(key.algorithm(), "rsa-sha256");
}

#[test]
fn t_dkim_3_what_cannot_sign_is_refused_by_name() {
    let refused = |pem: &[u8]| PrivateKey::from_pem(pem).err();
    assert_eq!(refused(include_bytes!("testdata/rsa1024.pem")), Some(KeyError::TooSmall));
    assert_eq!(refused(include_bytes!("testdata/rsa1024_pkcs1.pem")), Some(KeyError::TooSmall));
    assert_eq!(refused(include_bytes!("testdata/p256.pem")), Some(KeyError::Kind));
    assert_eq!(refused(include_bytes!("testdata/encrypted.pem")), Some(KeyError::Encrypted));
    assert_eq!(refused(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), Some(KeyError::Kind));
    for text in
        [b"".as_slice(), b"\0\xff", b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
    {
        assert_eq!(refused(text), Some(KeyError::NotPem), "{text:?}");
        assert!(refused(text).is_some_and(|why| why.to_string().contains("PEM")));
    }
}

#[test]
fn the_length_of_the_modulus_is_read_from_the_key() {
    let modulus = |bytes: &[u8]| {
        let fields = [&[INTEGER, 1, 0, INTEGER, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        modulus_bits(&[&[SEQUENCE, u8::try_from(fields.len()).unwrap()], &fields[..]].concat())
    };
    assert_eq!(modulus(&[0, 0x80, 0]), Some(16));
    assert_eq!(modulus(&[1, 0]), Some(9));
    assert_eq!((modulus(&[0, 0]), modulus(&[])), (None, None));
    assert_eq!(modulus_bits(&[SEQUENCE, 3, INTEGER, 1, 0]), None);
}

#[test]
fn the_offered_sizes_of_rsa_keys() {
    assert_eq!([2048, 3072, 4096].map(Kind::rsa), [Some(Kind::Rsa2048), Some(Kind::Rsa3072), Some(Kind::Rsa4096)]);
    assert_eq!([0, 1024, 2047, 8192].map(Kind::rsa), [None; 4]);
}
