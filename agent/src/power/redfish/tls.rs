//! Trusting a controller because it shows the certificate that it showed before. Controllers sign their own, with names
//! and dates that mean nothing; the fingerprint is all there is.

use std::sync::{Arc, Mutex, PoisonError};

use maekin_image::manifest::sha256_hex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// The SHA-256 of the certificate that was shown last.
pub(super) type Shown = Arc<Mutex<Option<String>>>;

/// What was shown last.
pub(super) fn shown(shown: &Shown) -> Option<String> {
    shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// TLS that accepts the certificate with this SHA-256; with none, any, for looking at it only.
///
/// # Errors
/// [`Error`] when the crypto provider offers no TLS version, which `ring` does.
pub(super) fn client_config(known: Option<&str>) -> Result<(ClientConfig, Shown), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let shown = Shown::default();
    let verifier = Pinned {
        known: known.map(str::to_owned),
        shown: Arc::clone(&shown),
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((config, shown))
}

#[derive(Debug)]
struct Pinned {
    known: Option<String>,
    shown: Shown,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = sha256_hex(end_entity);
        let good = self.known.as_ref().is_none_or(|known| *known == found);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        if good {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("another certificate".to_owned()))
        }
    }

    // That its bearer has the key is checked as ever: a certificate can be copied by anybody.
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
