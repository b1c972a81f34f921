//! Keys and certificates: ECDSA P-256, made on the node; a private key never leaves the node that made it.
//!
//! | module | job |
//! | --- | --- |
//! | [`ca`] | the cluster's certificate authority |
//! | [`bundle`] | those that a node trusts |
//! | [`identity`] | this node's key, request and certificate |
//! | [`peer`] | what a verified certificate says about its bearer |

pub(crate) mod bundle;
pub(crate) mod ca;
pub(crate) mod identity;
pub(crate) mod peer;

use std::path::PathBuf;

use maekin_host::file::FileError;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

pub(crate) use maekin_api::SERVER_NAME;

/// Something about keys or certificates went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key or certificate file is damaged.
    #[error("{} holds no usable {what}; restore it, or remove it to have a new one made", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make {what}")]
    Make {
        /// What should have been made.
        what: &'static str,
        /// Why it was not.
        #[source]
        source: rcgen::Error,
    },
    /// A certificate that came from outside is none.
    #[error("{0} cannot be read as a certificate")]
    Unreadable(&'static str),
    /// The random number generator failed.
    #[error("the kernel gave no random numbers: {0}")]
    Random(getrandom::Error),
}

fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|source| PkiError::Make { what: "a private key", source })
}

/// Random lower-case hex digits, two for each of `N` bytes.
///
/// # Errors
/// [`PkiError::Random`].
pub(crate) fn random_hex<const N: usize>() -> Result<String, PkiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(PkiError::Random)?;
    Ok(maekin_image::manifest::hex(&bytes))
}

#[cfg(test)]
mod tests;
