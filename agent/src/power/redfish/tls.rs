//! Trusting a controller because it shows the certificate that it showed before. Controllers sign their own, with names
//! and dates that mean nothing; the fingerprint is all there is.

use std::sync::{Arc, Mutex, PoisonError};

use maekin_host::pin::{self, Judge};
use maekin_image::manifest::sha256_hex;
use rustls::{ClientConfig, Error};

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
    let shown = Shown::default();
    let pinned = Pinned { known: known.map(str::to_owned), shown: Arc::clone(&shown) };
    Ok((pin::client_by(pinned)?.with_no_client_auth(), shown))
}

#[derive(Debug)]
struct Pinned {
    known: Option<String>,
    shown: Shown,
}

impl Judge for Pinned {
    fn judge(&self, shown: &pin::Shown<'_>) -> Result<(), Error> {
        let found = sha256_hex(shown.cert);
        let good = self.known.as_ref().is_none_or(|known| *known == found);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        match good {
            true => Ok(()),
            false => Err(Error::General("another certificate".to_owned())),
        }
    }
}
