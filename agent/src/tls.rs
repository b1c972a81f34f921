//! TLS configurations made from a node's key and certificates.

use std::sync::Arc;

use maekin_host::pin::{self, Judge, Shown};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};

use crate::pki::bundle::Bundle;
use crate::pki::identity::{Credentials, NodeKey};
use crate::pki::peer::parse_key;

/// A TLS configuration could not be made from our own files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A PEM text is none.
    #[error("the node's {0} cannot be read; remove the file to have it made anew")]
    Pem(&'static str),
    /// rustls does not take it.
    #[error("the node's certificate cannot be used for TLS")]
    Rustls(#[from] Error),
    /// The verifier of client certificates could not be made.
    #[error("the cluster's CA cannot be used to verify clients")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Server side of the API of a member whose cluster has given no CA up.
///
/// # Errors
/// [`TlsError`].
#[cfg(test)]
pub(crate) fn member(key: &NodeKey, credentials: &Credentials) -> Result<ServerConfig, TlsError> {
    member_knowing(key, credentials, &Bundle::default())
}

/// Server side of the API of a member: shows our certificate with the CA behind it (so that a joining node can
/// compare its fingerprint), and asks clients for one, which they may not have. Those of CAs that the cluster has given
/// up are let in: what little they are good for is decided elsewhere ([`crate::trust::known::Lapsed`]).
///
/// # Errors
/// [`TlsError`].
pub(crate) fn member_knowing(
    key: &NodeKey,
    credentials: &Credentials,
    former: &Bundle,
) -> Result<ServerConfig, TlsError> {
    let trusted = credentials.bundle().map_err(|_| TlsError::Pem("CA certificate"))?;
    let ca = credentials.issuer().ok_or(TlsError::Pem("CA certificate"))?.der;
    let mut roots = RootCertStore::empty();
    for known in trusted.iter().chain(former.iter()) {
        roots.add(known.der.clone())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let verifier = Arc::new(Ageless(verifier));
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate(&credentials.cert, "certificate")?, ca], private(key)?)?)
}

/// Server side of the API of a node that is no member yet: a certificate of its own making, no clients verified.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn stranger(key: &NodeKey, cert: &str) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate(cert, "certificate")?], private(key)?)?)
}

/// What we show as a client: our certificate, and its key.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn shown(
    key: &NodeKey,
    credentials: &Credentials,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    Ok((vec![certificate(&credentials.cert, "certificate")?], private(key)?))
}

/// Whether a CA of `credentials` signed their certificate.
pub(crate) fn signed(credentials: &Credentials) -> bool {
    credentials.issuer().is_some()
}

/// Client side towards members: they show a certificate of a CA that we trust, and we show ours.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn to_members(key: &NodeKey, credentials: &Credentials) -> Result<ClientConfig, TlsError> {
    let trusted = credentials.bundle().map_err(|_| TlsError::Pem("CA certificate"))?;
    let (shown, key) = shown(key, credentials)?;
    Ok(pin::client_config_among(trusted.fingerprints(), shown, key)?)
}

/// Client side towards the member with the key of this digest, whoever signed its certificate; we show ours.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn to_member_with(
    key: &NodeKey,
    credentials: &Credentials,
    key_sha256: &str,
) -> Result<ClientConfig, TlsError> {
    let (shown, key) = shown(key, credentials)?;
    let judge = ExactKey { key_sha256: Some(key_sha256.to_owned()) };
    Ok(pin::client_by(judge)?.with_client_auth_cert(shown, key)?)
}

/// Client side towards a node that is no member: its server has to have the key of this digest, or any. The key itself is
/// what is trusted; no certificate is.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn to_key(key_sha256: Option<String>) -> Result<ClientConfig, TlsError> {
    Ok(pin::client_by(ExactKey { key_sha256 })?.with_no_client_auth())
}

#[derive(Debug)]
struct ExactKey {
    key_sha256: Option<String>,
}

impl Judge for ExactKey {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        if self.key_sha256.is_none() || self.key_sha256 == parse_key(shown.cert) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

/// Lets certificates of the CA in whose time is over, or has not begun: what little they are good for is decided
/// elsewhere ([`crate::trust::known::Lapsed`]).
#[derive(Debug)]
struct Ageless(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Ageless {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        cert: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.0.verify_client_cert(cert, others, now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                self.0.verify_client_cert(cert, others, not_before)
            }
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                self.0.verify_client_cert(cert, others, not_after)
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

fn certificate(pem: &str, what: &'static str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Pem(what))
}

fn private(key: &NodeKey) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(key.private_pem().as_bytes()).map_err(|_| TlsError::Pem("key"))
}
