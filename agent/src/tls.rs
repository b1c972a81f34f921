//! TLS configurations made from a node's key and certificates.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::pki::identity::{Credentials, NodeKey};

/// A TLS configuration could not be made from our own files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A PEM text is none.
    #[error("the node's {0} cannot be read; remove the file to have it made anew")]
    Pem(&'static str),
    /// rustls does not take it.
    #[error("the node's certificate cannot be used for TLS")]
    Rustls(#[from] rustls::Error),
    /// The verifier of client certificates could not be made.
    #[error("the cluster's CA cannot be used to verify clients")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// Server side of the API of a member: shows our certificate with the CA behind it (so that a joining node can
/// compare its fingerprint), and asks clients for one, which they may not have.
///
/// # Errors
/// [`TlsError`].
pub(crate) fn member(key: &NodeKey, credentials: &Credentials) -> Result<ServerConfig, TlsError> {
    let ca = certificate(&credentials.ca, "CA certificate")?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
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

fn certificate(pem: &str, what: &'static str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Pem(what))
}

fn private(key: &NodeKey) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(key.private_pem().as_bytes()).map_err(|_| TlsError::Pem("key"))
}
