//! One scratch installation with an RSA and an Ed25519 key for example.org, and the records that it publishes.

use std::path::Path;
use std::sync::OnceLock;

use config::paths::Paths;
use config::{self, Config};
use dkim::Kind;
use dkim::{BodyHasher, KeyRing, Signer, Signing};
use mail::header::Section;

use crate::support::oracles::Txt;

/// The name and the text of a TXT record.
pub(crate) type Record = (String, String);

/// Signs like the daemon, publishes like an administrator.
pub(crate) struct Sender {
    ring: KeyRing,
    pub records: Vec<Record>,
}

impl Sender {
    /// The one of this process: making RSA keys takes its time.
    pub(crate) fn get() -> &'static Sender {
        static SENDER: OnceLock<Sender> = OnceLock::new();
        SENDER.get_or_init(Sender::new)
    }

    fn new() -> Sender {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::system(root.path());
        std::fs::create_dir_all(&paths.keys).unwrap();
        let toml = b"[domain.\"example.org\"]\nselectors = [\"rsa\", \"ed\"]\n";
        let config = Config { params: config::parse(toml, Path::new("mailchute.toml")).unwrap(), paths };
        ctl::keys::keygen(&config, "example.org", "rsa", Kind::Rsa2048).unwrap();
        ctl::keys::keygen(&config, "example.org", "ed", Kind::Ed25519).unwrap();
        let ring = KeyRing::load(&config.params, &config.paths.keys);
        assert_eq!(ring.problems(), [""; 0]);
        Sender { ring, records: zone_records(&ctl::keys::dns(&config, "example.org").unwrap()) }
    }

    /// What it publishes, for the verifiers that are programs.
    pub(crate) fn txt(&self) -> Vec<Txt<'_>> {
        self.records.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
    }

    /// The signers for a message, chosen by its From field.
    pub(crate) fn signers(&self, message: &[u8]) -> &[Signer] {
        match self.ring.for_header(message) {
            Signing::Signers(signers) => signers,
            other => panic!("not to be signed: {other:?}"),
        }
    }

    /// `message` with a signature of each key before it.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        sign_with(self.signers(message), message)
    }

    /// `message` with a signature of one key before it.
    pub(crate) fn sign_as(&self, selector: &str, message: &[u8]) -> Vec<u8> {
        let signers = self.signers(message);
        let at = signers.iter().position(|signer| signer.selector.as_str() == selector).unwrap();
        sign_with(&signers[at..=at], message)
    }
}

fn sign_with(signers: &[Signer], message: &[u8]) -> Vec<u8> {
    let section = Section::scan(message);
    let mut body = BodyHasher::default();
    // Odd pieces, so that they end anywhere.
    message[section.body..].chunks(7).for_each(|piece| body.update(piece));
    let mut signed = dkim::sign(signers, &message[..section.end], &body.finish(), 1_795_358_629).unwrap();
    signed.extend_from_slice(message);
    signed
}

/// The records of a zone file in which strings hold no escapes.
fn zone_records(zone: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for line in zone.lines().filter(|line| !line.starts_with(';')) {
        if let Some((name, _)) = line.split_once(". IN TXT ") {
            records.push((name.to_owned(), String::new()));
        }
        for string in line.split('"').skip(1).step_by(2) {
            assert!(string.len() <= 255);
            records.last_mut().unwrap().1.push_str(string);
        }
    }
    assert_eq!(records.len(), 2, "{zone}");
    records
}
