//! Trust in a server's certificate that is not the web's: who judges it says so here, and only that. Whether the other end
//! has the certificate's key is checked in one place, the same for all of them: a certificate can be copied by anybody.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, SignatureScheme};

/// What a server showed, and when.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its certificate.
    pub cert: &'a CertificateDer<'a>,
    /// What it sent along: its CA, where it has one.
    pub others: &'a [CertificateDer<'a>],
    /// Whom it was taken for.
    pub name: &'a ServerName<'a>,
    /// What the clock says.
    pub now: UnixTime,
    /// By which certificates' signatures are checked.
    pub provider: &'a Arc<CryptoProvider>,
}

/// Decides whether a certificate is to be trusted.
pub trait Judge: Debug + Send + Sync + 'static {
    /// Decides.
    ///
    /// # Errors
    /// Why it is not: the handshake ends with it.
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error>;
}

/// TLS for a client that trusts whom `judge` trusts; what it shows of itself is said next.
///
/// # Errors
/// [`Error`] when the crypto provider offers no TLS version, which `ring` does.
pub fn client_by(judge: impl Judge) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Judged { judge, provider: Arc::clone(&provider) });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

#[derive(Debug)]
struct Judged<J> {
    judge: J,
    provider: Arc<CryptoProvider>,
}

impl<J: Judge> ServerCertVerifier for Judged<J> {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = Shown { cert, others, name, now, provider: &self.provider };
        self.judge.judge(&shown).map(|()| ServerCertVerified::assertion())
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
