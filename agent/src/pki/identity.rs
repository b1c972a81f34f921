//! This node's key, and the certificate that makes it a member.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maekin_host::file::{read_text, write_atomic};
use maekin_host::pin;
use maekin_image::manifest::sha256_hex;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::bundle::{Bundle, CaCert};
use super::ca::LIMIT;
use super::peer::{Dates, names_address, parse_dates, parse_peer};
use super::{PkiError, SERVER_NAME, new_key};

/// This node's key pair.
pub(crate) struct NodeKey {
    pair: KeyPair,
}

impl NodeKey {
    /// Reads the key from `dir`, or makes it.
    ///
    /// # Errors
    /// [`PkiError`].
    pub(crate) fn ensure(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join("node.key");
        if path.exists() {
            let pair = KeyPair::from_pem(&read_text(&path, LIMIT)?).map_err(|source| PkiError::Damaged {
                path,
                what: "node key",
                source,
            })?;
            return Ok(Self { pair });
        }
        let pair = new_key()?;
        write_atomic(&path, pair.serialize_pem().as_bytes(), 0o600)?;
        Ok(Self { pair })
    }

    /// The public half.
    pub(crate) fn public(&self) -> &impl PublicKeyData {
        &self.pair
    }

    /// The private half, PEM (PKCS #8): for this node's own programs only.
    pub(crate) fn private_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    /// SHA-256 of the public key.
    pub(crate) fn sha256(&self) -> String {
        sha256_hex(&self.pair.subject_public_key_info())
    }

    /// A signing request for this key, PEM.
    ///
    /// # Errors
    /// [`PkiError::Make`].
    pub(crate) fn request(&self) -> Result<String, PkiError> {
        let make = |source| PkiError::Make { what: "a signing request", source };
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serialize_request(&self.pair).and_then(|csr| csr.pem()).map_err(make)
    }

    /// A certificate by ourselves, PEM: what the API shows before there is a cluster.
    ///
    /// # Errors
    /// [`PkiError::Make`].
    pub(crate) fn self_signed(&self, name: &str) -> Result<String, PkiError> {
        let make = |source| PkiError::Make { what: "a first certificate", source };
        let params = CertificateParams::new(vec![name.to_owned(), "localhost".to_owned()]).map_err(make)?;
        params.self_signed(&self.pair).map(|cert| cert.pem()).map_err(make)
    }
}

/// The files that prove membership: a certificate for our key, and the CA that signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Our certificate, PEM.
    pub(crate) cert: String,
    /// The CAs that are trusted, PEM after PEM: the cluster's, and while that is changed the other one too.
    pub(crate) ca: String,
}

impl Credentials {
    /// Where our certificate lies.
    pub(crate) fn cert_path(dir: &Path) -> PathBuf {
        dir.join("node.crt")
    }

    /// Reads them from `dir`; `None` where they are not there, or not for `key` and `node_id`.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub(crate) fn load(dir: &Path, key: &NodeKey, node_id: &str) -> Result<Option<Self>, PkiError> {
        let (cert_path, ca_path) = (Self::cert_path(dir), dir.join("ca.crt"));
        if !cert_path.exists() || !ca_path.exists() {
            return Ok(None);
        }
        let credentials = Self { cert: read_text(&cert_path, LIMIT)?, ca: read_text(&ca_path, LIMIT)? };
        Ok(credentials.fits(key, node_id).then_some(credentials))
    }

    /// Writes them to `dir`; the node's certificate last, since its presence is what says that the node has joined.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub(crate) fn store(&self, dir: &Path) -> Result<(), PkiError> {
        write_atomic(&dir.join("ca.crt"), self.ca.as_bytes(), 0o644)?;
        write_atomic(&Self::cert_path(dir), self.cert.as_bytes(), 0o644)?;
        Ok(())
    }

    /// The CAs that are trusted.
    ///
    /// # Errors
    /// [`PkiError::Unreadable`].
    pub(crate) fn bundle(&self) -> Result<Bundle, PkiError> {
        Bundle::parse(&self.ca)
    }

    /// The one of them that signed our certificate.
    pub(crate) fn issuer(&self) -> Option<CaCert> {
        let cert = CertificateDer::from_pem_slice(self.cert.as_bytes()).ok()?;
        let bundle = self.bundle().ok()?;
        bundle.iter().find(|ca| pin::signed(&ca.der, &cert, SERVER_NAME)).cloned()
    }

    /// Whether the certificate may be used by a server at `address`.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        let der = CertificateDer::from_pem_slice(self.cert.as_bytes());
        der.is_ok_and(|der| names_address(&der, address))
    }

    /// The certificate's number and times.
    pub(crate) fn dates(&self) -> Option<Dates> {
        let der = CertificateDer::from_pem_slice(self.cert.as_bytes()).ok()?;
        parse_dates(&der)
    }

    /// Whether the certificate is for `key` and `node_id`.
    pub(crate) fn fits(&self, key: &NodeKey, node_id: &str) -> bool {
        let peer = CertificateDer::from_pem_slice(self.cert.as_bytes()).ok().and_then(|der| parse_peer(&der));
        peer.is_some_and(|peer| peer.key_sha256 == key.sha256() && peer.node_id == node_id)
    }
}
