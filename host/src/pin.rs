//! Trusting a server because it shows the CA whose fingerprint we were given, and a certificate signed by it: by a node
//! that joins a cluster, and by the installer that tries whether it could.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

/// 2026-06-01: the moment that certificates are looked at first. A joining node's clock may be anything, and a fingerprint
/// does not age; see [`verify_ageless`].
const MOMENT: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));

/// TLS for a client that knows nothing of the cluster but the fingerprint of its CA.
///
/// # Errors
/// [`Error`] when the crypto provider offers no TLS version, which `ring` does.
pub fn client_config(ca_sha256: &str) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    unnamed(PinnedCa { ca_sha256: ca_sha256.to_owned(), provider, ageless: true })
}

/// The same on a machine whose clock is right: a certificate that has run out, such as that of a member that was removed, is
/// refused.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_by_the_clock(ca_sha256: &str) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    unnamed(PinnedCa { ca_sha256: ca_sha256.to_owned(), provider, ageless: false })
}

fn unnamed(verifier: PinnedCa) -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The same for one that shows a certificate of its own, with its chain.
///
/// # Errors
/// [`Error`] when the certificate and the key do not belong together.
pub fn client_config_as(
    ca_sha256: &str,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        PinnedCa { ca_sha256: ca_sha256.to_owned(), provider: Arc::clone(&provider), ageless: true };
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
}

/// Whether `ca` signed `cert`, for a server of this name, whatever the time is.
#[must_use]
pub fn signed(ca: &CertificateDer<'_>, cert: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    verify_ageless(ca, &provider, cert, &name, &[]).is_ok()
}

fn verifier(
    ca: &CertificateDer<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|e| Error::General(e.to_string()))
}

/// A certificate has to hold at some time. Which it is, a node whose clock may be anything cannot tell.
fn verify_ageless(
    ca: &CertificateDer<'_>,
    provider: &Arc<CryptoProvider>,
    cert: &CertificateDer<'_>,
    name: &ServerName<'_>,
    ocsp: &[u8],
) -> Result<ServerCertVerified, Error> {
    let verifier = verifier(ca, provider)?;
    let at = |time| verifier.verify_server_cert(cert, &[], name, ocsp, time);
    match at(MOMENT) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            at(not_before)
        }
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => at(not_after),
        other => other,
    }
}

/// SHA-256 as 64 lower-case hex digits.
fn sha256_hex(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[derive(Debug)]
struct PinnedCa {
    ca_sha256: String,
    provider: Arc<CryptoProvider>,
    /// Whether the time counts for nothing.
    ageless: bool,
}

impl ServerCertVerifier for PinnedCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pinned = intermediates.iter().find(|cert| sha256_hex(cert) == self.ca_sha256);
        let ca = pinned.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        if self.ageless {
            return verify_ageless(ca, &self.provider, end_entity, server_name, ocsp);
        }
        verifier(ca, &self.provider)?.verify_server_cert(end_entity, &[], server_name, ocsp, now)
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

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
