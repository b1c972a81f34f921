//! The node file as settings change it: rewritten as a whole, so that the next start renders what is applied now, with
//! what it said at installation kept beside it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::node::{Network, NodeConfig};
use maekin_rootfs::validate::validate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::settings::Settings;

/// Largest file, bytes.
const LARGEST: u64 = 1 << 20;

/// Appliers change one file.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What the node file said at installation, of all that settings can change. No secret is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    /// Of which installation.
    pub(crate) install_id: Uuid,
    pub(crate) hostname: String,
    #[serde(default)]
    pub(crate) ntp: Vec<String>,
    #[serde(default)]
    pub(crate) ssh_keys: Vec<String>,
    #[serde(default)]
    pub(crate) network: Network,
}

/// The node file could not be changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFileError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not understood: rewriting it could lose something.
    #[error("{} is not understood: {reason}; reinstall the node with `identity = \"keep\"`", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// With the change, the node would not start.
    #[error("{0}; the node file was left as it is")]
    Unusable(String),
}

impl From<&NodeConfig> for Installed {
    fn from(config: &NodeConfig) -> Self {
        Self {
            install_id: config.install_id,
            hostname: config.hostname.clone(),
            ntp: config.time.ntp.clone(),
            ssh_keys: config.admin.ssh_keys.clone(),
            network: config.network.clone(),
        }
    }
}

fn kept(settings: &Settings) -> PathBuf {
    settings.state.join("installed.toml")
}

fn damaged(path: &Path, reason: &impl ToString) -> NodeFileError {
    NodeFileError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}

/// The node file as it is.
///
/// # Errors
/// [`NodeFileError`].
pub(crate) fn current(settings: &Settings) -> Result<NodeConfig, NodeFileError> {
    let path = settings.node_file();
    toml::from_str(&read_text(&path, LARGEST)?).map_err(|e| damaged(&path, &e))
}

/// Whether settings have changed the node file of this installation, or begun to.
///
/// # Errors
/// [`NodeFileError`].
pub(crate) fn touched(settings: &Settings) -> Result<bool, NodeFileError> {
    let config = current(settings)?;
    Ok(read_kept(settings, &config)?.is_some())
}

/// The node as it was installed.
///
/// # Errors
/// [`NodeFileError`].
pub(crate) fn installed(settings: &Settings) -> Result<Installed, NodeFileError> {
    let config = current(settings)?;
    Ok(read_kept(settings, &config)?.unwrap_or_else(|| Installed::from(&config)))
}

fn read_kept(settings: &Settings, config: &NodeConfig) -> Result<Option<Installed>, NodeFileError> {
    let path = kept(settings);
    if !path.exists() {
        return Ok(None);
    }
    let found: Installed = toml::from_str(&read_text(&path, LARGEST)?).map_err(|e| damaged(&path, &e))?;
    // That of an earlier installation says nothing of this one.
    Ok(Some(found).filter(|found| found.install_id == config.install_id))
}

/// Changes the node file, durably; says whether that changed anything. What it said at installation is written down
/// first. Everything that `change` does not touch stays, such as the password that was set at the console.
///
/// # Errors
/// [`NodeFileError`]; the file is then as it was.
pub(crate) fn update(
    settings: &Settings,
    change: impl FnOnce(&mut NodeConfig),
) -> Result<bool, NodeFileError> {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = current(settings)?;
    let mut after = before.clone();
    change(&mut after);
    let after = usable(after)?;
    if after == before {
        return Ok(false);
    }
    if read_kept(settings, &before)?.is_none() {
        let path = kept(settings);
        let text = toml::to_string(&Installed::from(&before)).map_err(|e| damaged(&path, &e))?;
        write_atomic(&path, text.as_bytes(), 0o600)?;
    }
    let path = settings.node_file();
    let text = toml::to_string(&after).map_err(|e| damaged(&path, &e))?;
    write_atomic(&path, text.as_bytes(), 0o600)?;
    Ok(true)
}

/// A node file that the next start will take. What the first node was told to hand out lies in the record since it
/// became a member: where it no longer fits the network, it goes. Pure.
fn usable(config: NodeConfig) -> Result<NodeConfig, NodeFileError> {
    let wrong = |config: &NodeConfig| validate(config).first().map(ToString::to_string);
    let Some(reason) = wrong(&config) else { return Ok(config) };
    let without = NodeConfig { provision: None, ..config };
    match wrong(&without) {
        None => Ok(without),
        Some(_) => Err(NodeFileError::Unusable(reason)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use maekin_rootfs::node::{ClusterIntent, Interface, Provision};

    use super::*;
    use crate::testing::agent;

    #[test]
    fn api_settings_the_node_file_changes_whole_and_what_was_installed_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
        let settings = &app.settings;
        assert!(!touched(settings).unwrap());
        assert!(!update(settings, |_| {}).unwrap(), "nothing to change");
        assert!(!touched(settings).unwrap());
        assert!(update(settings, |config| config.hostname = "alpha".into()).unwrap());
        assert!(update(settings, |config| config.time.ntp = vec!["ntp.example".into()]).unwrap());
        assert!(!update(settings, |config| config.hostname = "alpha".into()).unwrap());
        let now = current(settings).unwrap();
        assert_eq!((now.hostname.as_str(), now.time.ntp.len()), ("alpha", 1));
        assert_eq!(now.admin.password_hash, app.config.admin.password_hash, "the rest stays");
        assert_eq!(installed(settings).unwrap(), Installed::from(&app.config));

        let error = update(settings, |config| config.hostname = "No Name".into()).unwrap_err();
        assert!(error.to_string().contains("hostname"), "{error}");
        assert_eq!(current(settings).unwrap().hostname, "alpha", "it is as it was");

        // The copy of an installation before this one, and one that nobody understands.
        let kept = kept(settings);
        let other = Installed { install_id: Uuid::from_u128(8), ..Installed::from(&app.config) };
        fs::write(&kept, toml::to_string(&other).unwrap()).unwrap();
        assert_eq!(installed(settings).unwrap().hostname, "alpha");
        fs::write(&kept, "hostname = 3").unwrap();
        assert!(matches!(installed(settings), Err(NodeFileError::Damaged { .. })));
        assert!(update(settings, |config| config.hostname = "beta".into()).is_err(), "nothing is lost");
    }

    #[test]
    fn api_settings_a_network_that_leaves_the_pool_behind_is_no_reason_not_to_start() {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
        let at = |address: &str| Network {
            interfaces: vec![Interface {
                name: Some("lo".into()),
                addresses: vec![address.to_owned()],
                ..Interface::default()
            }],
            ..Network::default()
        };
        let pool = Provision {
            pool_start: "10.1.0.10".parse().unwrap(),
            pool_end: "10.1.0.20".parse().unwrap(),
            router: None,
        };
        let config = NodeConfig { network: at("10.1.0.1/24"), provision: Some(pool), ..app.config.clone() };
        fs::write(app.settings.node_file(), toml::to_string(&config).unwrap()).unwrap();
        update(&app.settings, |config| config.network = at("10.1.0.2/24")).unwrap();
        assert!(current(&app.settings).unwrap().provision.is_some(), "it still fits");
        update(&app.settings, |config| config.network = at("10.2.0.1/24")).unwrap();
        assert_eq!(current(&app.settings).unwrap().provision, None);
        assert!(update(&app.settings, |config| config.network = at("10.2.0.1")).is_err());
    }
}
