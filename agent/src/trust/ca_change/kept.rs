//! What a member keeps of it: which CAs it trusts and which it has given up, on disk; what its running voter was started
//! with, which goes with the boot; and what it tells the others of that.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use maekin_host::file::{FileError, read_text, write_atomic};

use super::id_of;
use crate::pki::bundle::Bundle;
use crate::pki::identity::Credentials;
use crate::settings::Settings;

/// Largest file, bytes.
const LIMIT: u64 = 64 << 10;
/// Most CAs that are remembered as given up.
const FORMER: usize = 8;

/// How far this node follows a change of the CA.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// Whoever changes the files of certificate and CAs has this: what one reads and writes nobody changes in between.
    pub(crate) files: tokio::sync::Mutex<()>,
    /// This node has a certificate of a new CA, and begins as after a start.
    pub(crate) anew: tokio::sync::Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Revision of what is followed to its end.
    pub(super) done: Option<i64>,
    /// Revision that was seen last, and when it was seen first.
    pub(super) seen: Option<(i64, Instant)>,
    /// When a try failed last.
    pub(super) failed: Option<Instant>,
    /// Revision for which what names the old CA was taken back by this node, while it led.
    pub(super) withdrawn: Option<i64>,
    /// The CA that signed our certificate.
    pub(super) issuer: String,
    /// What is told.
    acks: Vec<String>,
}

impl Following {
    /// How the fingerprints of the CAs begin that this node trusts, its voter included; the one of its certificate first.
    pub(crate) fn acks(&self) -> Vec<String> {
        self.with(|state| state.acks.clone())
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what this node and its voter trust now.
    pub(super) fn took(&self, settings: &Settings, credentials: &Credentials) {
        let issuer = credentials.issuer().map(|ca| ca.sha256).unwrap_or_default();
        let own = credentials.bundle().map(|bundle| bundle.fingerprints()).unwrap_or_default();
        // The voter is the last to follow, both ways.
        let all = voter_trusts(settings).unwrap_or(own);
        let acks = acks(&issuer, &all);
        self.with(|state| (state.issuer, state.acks) = (issuer, acks));
    }
}

/// What is told of a node with a certificate of `issuer` that trusts `all`. Pure.
fn acks(issuer: &str, all: &[String]) -> Vec<String> {
    let first = all.iter().filter(|ca| *ca == issuer);
    let rest = all.iter().filter(|ca| *ca != issuer);
    first.chain(rest).map(|ca| id_of(ca).to_owned()).collect()
}

fn former_path(settings: &Settings) -> PathBuf {
    settings.pki().join("ca.former")
}

/// CAs that were given up: whoever was away meanwhile shows a certificate of one of them.
pub(super) fn former(settings: &Settings) -> Bundle {
    let text = read_text(&former_path(settings), LIMIT).ok();
    text.and_then(|text| Bundle::parse(&text).ok()).unwrap_or_default()
}

/// Remembers more of them.
///
/// # Errors
/// [`FileError`].
pub(super) fn give_up(settings: &Settings, gone: &Bundle) -> Result<(), FileError> {
    let all = former(settings).with(gone).last(FORMER);
    write_atomic(&former_path(settings), all.text().as_bytes(), 0o644)
}

/// The CAs that the running voter trusts: etcd reads the file at its start only.
fn stamp(settings: &Settings) -> PathBuf {
    settings.run.join("ca.crt.started")
}

/// A voter was started, or is in a moment: it trusts what the file says that it was given.
pub(crate) fn started(settings: &Settings) {
    let text = read_text(&settings.etcd_tls().join("ca.crt"), LIMIT).ok();
    let Some(bundle) = text.and_then(|text| Bundle::parse(&text).ok()) else { return };
    // Lost without harm: the voter is restarted once too often.
    let _ = write_atomic(&stamp(settings), bundle.fingerprints().join("\n").as_bytes(), 0o600);
}

/// A voter that an earlier release started trusts the one CA that there was.
pub(super) fn assume_started(settings: &Settings, credentials: &Credentials) {
    let one = credentials.bundle().is_ok_and(|bundle| bundle.iter().count() == 1);
    if one && settings.etcd_env().exists() && !stamp(settings).exists() {
        started(settings);
    }
}

/// Fingerprints of the CAs that this node's voter trusts; `None` where none runs.
pub(super) fn voter_trusts(settings: &Settings) -> Option<Vec<String>> {
    settings.etcd_env().exists().then(|| {
        let text = read_text(&stamp(settings), LIMIT).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_the_ca_of_ones_certificate_is_told_first() {
        let [one, two] = ["1", "2"].map(|c| c.repeat(64));
        let (a, b) = ("1".repeat(16), "2".repeat(16));
        let both = [one.clone(), two.clone()];
        let rows = [
            ("as it was", &one, &both[..1], vec![a.clone()]),
            ("trusts the new one too", &one, &both, vec![a.clone(), b.clone()]),
            ("has a certificate of it", &two, &both, vec![b, a.clone()]),
            ("the voter does not know it", &two, &both[..1], vec![a]),
            ("nothing is known of the voter", &two, &[][..], vec![]),
        ];
        for (name, issuer, all, want) in rows {
            assert_eq!(acks(issuer, all), want, "{name}");
        }
    }
}
