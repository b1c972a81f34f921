//! What a node that is no member yet joins with: what its node file says, or what a person gave it since.

use std::path::PathBuf;

use maekin_api::trust::token::{PREFIX, Token, TokenError, parse_token};
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::node::ClusterIntent;
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// Largest file, bytes.
const LIMIT: u64 = 16 << 10;

/// Who is asked, who he must prove to be, and what proves that we were invited.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// `https://address:port`.
    pub(crate) masters: Vec<String>,
    /// SHA-256 of the cluster's CA.
    pub(crate) ca_sha256: String,
    /// A one-time secret, or the text of a join token; empty once it was used.
    pub(crate) secret: String,
}

impl Invitation {
    /// That of a token's text.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) fn of_token(text: &str) -> Result<Self, TokenError> {
        let token = parse_token(text)?;
        Ok(Self { masters: token.urls(), ca_sha256: token.ca_sha256, secret: text.trim().to_owned() })
    }

    /// The token in it, where its secret is one.
    pub(crate) fn token(&self) -> Option<Token> {
        self.secret.starts_with(PREFIX).then(|| parse_token(&self.secret).ok()).flatten()
    }

    fn path(settings: &Settings) -> PathBuf {
        settings.state.join("join.json")
    }

    /// What this node joins with: what it was given last.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn current(settings: &Settings, intent: &ClusterIntent) -> Result<Option<Self>, FileError> {
        let path = Self::path(settings);
        if path.exists() {
            // One that cannot be read is from a power cut: the file is written at once or not at all.
            if let Ok(given) = serde_json::from_str(&read_text(&path, LIMIT)?) {
                return Ok(Some(given));
            }
        }
        Ok(match intent {
            ClusterIntent::Join { masters, ca_sha256, secret } => {
                Some(Self { masters: masters.clone(), ca_sha256: ca_sha256.clone(), secret: secret.clone() })
            }
            ClusterIntent::Create { .. } | ClusterIntent::Wait => None,
        })
    }

    /// Keeps it over a restart, for root alone.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn store(&self, settings: &Settings) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).unwrap_or_default(); // three plain fields always serialize
        write_atomic(&Self::path(settings), &text, 0o600)
    }

    /// Forgets what was given: it has done its work.
    pub(crate) fn forget(settings: &Settings) {
        let path = Self::path(settings);
        if path.exists()
            && let Err(e) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), error = %e, "cannot remove what this node joined with");
        }
    }
}
