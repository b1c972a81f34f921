//! A new admin password for whoever stands in front of the machine, and the notice that it was set.
//!
//! What is written is planned ([`plan`], pure) from the node file as it is, so that nothing but the hash changes. The
//! notice is on disk before the password is: no power cut leaves a new password that nobody hears of. It works whether
//! the node is a member or not, and without the agent; `docs/console.md` says why a press of the button is asked for.

use std::path::{Path, PathBuf};

use maekin_api::alarm::{Alarm, Severity};
use maekin_host::cmd::Cmd;
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::validate::validate;
use serde::{Deserialize, Serialize};

use crate::errors::chain;
use crate::http::auth::hash_password;
use crate::settings::Settings;

/// Shortest password, characters: as the installer has it.
pub(crate) const SHORTEST: usize = 8;
/// How long it is told that the password was set, seconds.
const TOLD: u64 = 7 * 86_400;
/// Largest node file, bytes.
const NODE_FILE: u64 = 1 << 20;
/// The service that has the old hash in memory.
const AGENT: &str = "maekin-agent.service";

/// The password could not be set; the old one holds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The node file is not understood: rewriting it could lose something.
    #[error("the node file {} cannot be used: {reason}; reinstall the node with `identity = \"keep\"`", path.display())]
    NodeFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No hash.
    #[error("{0}")]
    Hash(String),
}

/// What is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Notice {
    /// When.
    at: u64,
    /// At which console.
    console: String,
}

/// Whether a terminal is this machine's own: its screen and keyboard, or a serial line. One of a login over the
/// network is not.
pub(crate) fn is_local(tty: &Path) -> bool {
    let name = tty.strip_prefix("/dev/").map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    ["tty", "ttyS", "ttyAMA", "hvc"].iter().any(|kind| {
        name.strip_prefix(kind).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The node file with another hash. Pure.
fn plan(text: &str, hash: &str) -> Result<String, String> {
    let mut config: NodeConfig = toml::from_str(text).map_err(|e| e.to_string())?;
    config.admin.password_hash = Some(hash.to_owned());
    if let Some(wrong) = validate(&config).first() {
        return Err(wrong.to_string());
    }
    toml::to_string(&config).map_err(|e| e.to_string())
}

/// Sets the password and leaves a notice; `console` is where. Says what a person should know.
///
/// # Errors
/// [`ResetError`]; the old password then holds.
pub(crate) fn apply(
    settings: &Settings,
    console: &str,
    password: &str,
    now: u64,
) -> Result<String, ResetError> {
    let path = settings.node_file();
    let hash = hash_password(password).map_err(|e| ResetError::Hash(e.to_string()))?;
    let node = plan(&read_text(&path, NODE_FILE)?, &hash)
        .map_err(|reason| ResetError::NodeFile { path: path.clone(), reason })?;
    let notice = Notice { at: now, console: console.to_owned() };
    let notice = serde_json::to_vec(&notice).map_err(|e| ResetError::Hash(e.to_string()))?;
    write_atomic(&notice_file(settings), &notice, 0o644)?;
    write_atomic(&path, node.as_bytes(), 0o600)?;
    tracing::warn!(event = "admin-password-reset", console, "the admin password was set anew at the machine");
    let restart = Cmd::new(&settings.systemctl).args(["--no-block", "try-restart", AGENT]);
    Ok(match restart.run() {
        Ok(()) => "The password is set; the agent starts anew to take it up.".to_owned(),
        Err(e) => format!("The password is set, and holds from the agent's next start: {}", chain(&e)),
    })
}

/// The notice, for as long as it is told.
pub(crate) fn alarms(settings: &Settings, now: u64) -> Vec<Alarm> {
    let text = read_text(&notice_file(settings), 4096).unwrap_or_default();
    let Ok(notice) = serde_json::from_str::<Notice>(&text) else { return vec![] };
    if now.saturating_sub(notice.at) > TOLD {
        return vec![];
    }
    let console = notice.console.escape_default();
    vec![Alarm {
        id: "admin-password-reset".to_owned(),
        severity: Severity::Warning,
        since: notice.at,
        what: format!("The admin password was set anew at this machine ({console}), with its power button."),
        remedy: "If that was none of you, somebody was at the machine; look at it. This is told for 7 days."
            .to_owned(),
    }]
}

fn notice_file(settings: &Settings) -> PathBuf {
    settings.state.join("password-reset.json")
}

#[cfg(test)]
mod tests;
