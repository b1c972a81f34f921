//! Trusting a server because it shows the CA whose fingerprint we were given, and a certificate signed by it: by a node
//! that joins a cluster, and by the installer that tries whether it could.

mod judge;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

pub use judge::{Judge, Shown, client_by};

/// 2026-06-01: the moment that certificates are looked at first. A joining node's clock may be anything, and a fingerprint
/// does not age; see [`verify_ageless`].
const MOMENT: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000));

/// TLS for a client that knows nothing of the cluster but the fingerprint of its CA.
///
/// # Errors
/// [`Error`] when the crypto provider offers no TLS version, which `ring` does.
pub fn client_config(ca_sha256: &str) -> Result<ClientConfig, Error> {
    let pinned = PinnedCa { cas: vec![ca_sha256.to_owned()], ageless: true };
    Ok(client_by(pinned)?.with_no_client_auth())
}

/// The same on a machine whose clock is right: a certificate that has run out, such as that of a member that was removed, is
/// refused.
///
/// # Errors
/// As [`client_config`].
pub fn client_config_by_the_clock(ca_sha256: &str) -> Result<ClientConfig, Error> {
    let pinned = PinnedCa { cas: vec![ca_sha256.to_owned()], ageless: false };
    Ok(client_by(pinned)?.with_no_client_auth())
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
    client_config_among(vec![ca_sha256.to_owned()], chain, key)
}

/// The same for one that trusts any of several CAs, by their fingerprints: while its cluster changes its own.
///
/// # Errors
/// As [`client_config_as`].
pub fn client_config_among(
    cas: Vec<String>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, Error> {
    client_by(PinnedCa { cas, ageless: true })?.with_client_auth_cert(chain, key)
}

/// Whether `ca` signed `cert`, for a server of this name, whatever the time is.
#[must_use]
pub fn signed(ca: &CertificateDer<'_>, cert: &CertificateDer<'_>, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else { return false };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    verify_ageless(ca, &provider, cert, &name).is_ok()
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
) -> Result<(), Error> {
    let verifier = verifier(ca, provider)?;
    let at = |time| verifier.verify_server_cert(cert, &[], name, &[], time).map(drop);
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
    /// Fingerprints of the CAs that are trusted.
    cas: Vec<String>,
    /// Whether the time counts for nothing.
    ageless: bool,
}

impl Judge for PinnedCa {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        let mut outcome = Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        for ca in shown.others.iter().filter(|cert| self.cas.contains(&sha256_hex(cert))) {
            outcome = if self.ageless {
                verify_ageless(ca, shown.provider, shown.cert, shown.name)
            } else {
                let verifier = verifier(ca, shown.provider)?;
                verifier.verify_server_cert(shown.cert, &[], shown.name, &[], shown.now).map(drop)
            };
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
