//! The certificates that verified TLS trusts: those of one PEM file, or those of the system.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Where they come from.
pub(super) enum Roots {
    /// Loaded, from this file.
    File(PathBuf, RootCertStore),
    /// The system's store, read when it is needed.
    System,
}

impl std::fmt::Debug for Roots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Roots::File(path, _) => write!(f, "{}", path.display()),
            Roots::System => f.write_str("system"),
        }
    }
}

impl Roots {
    /// The certificates in `path`.
    ///
    /// Errors: the file cannot be read, holds none, or one that is none.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let failed = |why: String| format!("ca_file {}: {why}", path.display());
        let bytes = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|e| failed(e.to_string()))?;
            store.add(certificate).map_err(|e| failed(e.to_string()))?;
        }
        if store.is_empty() {
            return Err(failed("contains no PEM certificate".to_owned()));
        }
        Ok(Roots::File(path.to_owned(), store))
    }

    /// The system's store.
    pub(crate) fn of_system() -> Self {
        Roots::System
    }

    /// What is to be trusted.
    ///
    /// Errors: the system has no certificate that can be used. Single ones that cannot be are left out, as every other program
    /// does.
    pub(crate) fn load(&self) -> Result<RootCertStore, String> {
        let found = match self {
            Roots::File(_, store) => return Ok(store.clone()),
            Roots::System => rustls_native_certs::load_native_certs(),
        };
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let why = found.errors.first().map_or("the system has none".to_owned(), ToString::to_string);
            return Err(format!("no CA certificates ({why}); install the package ca-certificates or set ca_file"));
        }
        Ok(store)
    }
}
