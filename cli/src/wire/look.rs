//! The CA that a stranger shows, before anything is trusted or said. The connection ends with the handshake: not a byte of
//! a request goes over it. What is seen here is compared by a person, or with a fingerprint from elsewhere, and only
//! then pinned (`maekin_host::pin`), which proves on every later connection that the other end holds a key that this CA
//! signed.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};

/// What was seen of a server's certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The fingerprint of the CA behind its certificate: SHA-256 (DER), 64 lower-case hex digits.
    Ca(String),
    /// A certificate of its own making: a node that is no member yet, or no node.
    Alone,
}

/// Where it is taken down.
pub(crate) type Told = Arc<Mutex<Option<Seen>>>;

/// A configuration that trusts nobody and takes down what it sees.
///
/// # Errors
/// [`Error`] when the crypto provider offers no TLS version, which `ring` does.
pub(crate) fn config() -> Result<(ClientConfig, Told), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seen = Arc::new(Mutex::new(None));
    let verifier = Looker { seen: Arc::clone(&seen), provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((config, seen))
}

/// SHA-256 as 64 lower-case hex digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
struct Looker {
    seen: Arc<Mutex<Option<Seen>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = intermediates.last().map_or(Seen::Alone, |ca| Seen::Ca(sha256_hex(ca)));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        // Nothing is sent over a connection that only looks: what is refused here need not be finished.
        Err(Error::General("only looked".to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
