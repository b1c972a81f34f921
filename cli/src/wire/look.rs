//! The CA that a stranger shows, before anything is trusted or said. The connection ends with the handshake: not a byte of
//! a request goes over it. What is seen here is compared by a person, or with a fingerprint from elsewhere, and only
//! then pinned (`maekin_host::pin`), which proves on every later connection that the other end holds a key that this CA
//! signed.

use std::sync::{Arc, Mutex, PoisonError};

use maekin_host::pin::{self, Judge, Shown};
use rustls::{ClientConfig, Error};
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
    let seen = Arc::new(Mutex::new(None));
    let config = pin::client_by(Looker { seen: Arc::clone(&seen) })?.with_no_client_auth();
    Ok((config, seen))
}

/// SHA-256 as 64 lower-case hex digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug)]
struct Looker {
    seen: Told,
}

impl Judge for Looker {
    fn judge(&self, shown: &Shown<'_>) -> Result<(), Error> {
        let seen = shown.others.last().map_or(Seen::Alone, |ca| Seen::Ca(sha256_hex(ca)));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        // Nothing is sent over a connection that only looks: what is refused here need not be finished.
        Err(Error::General("only looked".to_owned()))
    }
}
