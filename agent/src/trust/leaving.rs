//! A member leaves its cluster: another member removes it, as [`super::removal`] does it for a person, and then it forgets
//! what it had of the cluster and waits to be let in again, under a new key and a new id. It is written down first, so that
//! a node that loses its power in between does the rest at its next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use maekin_api::CLUSTER_NODE;
use maekin_api::trust::RemovedNode;
use maekin_host::cmd::Cmd;
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::node::{ClusterIntent, NodeConfig};
use serde::{Deserialize, Serialize};

use super::removal::{self, Refusal};
use super::whether_removed;
use crate::app::{App, Member};
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::pki::PkiError;
use crate::pki::identity::Credentials;
use crate::record::RecordError;
use crate::record::values::NodeValue;
use crate::settings::Settings;
use crate::tls::{self, TlsError};

/// The word that confirms it.
pub(crate) const WORD: &str = "leave";
/// Largest file of ours, bytes.
const LIMIT: u64 = 1 << 20;
/// How long whoever asked has to hear the answer before the agent begins anew.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// Services that work for the cluster.
const UNITS: [&str; 2] = ["maekin-pxe.service", "maekin-etcd.service"];
/// What of the state directory is the cluster's. Keys come first: what is left by a power cut is worth nothing without.
/// What settings have made of this node it keeps, as if it had been installed so.
const STATE: [&str; 13] = [
    "pki",
    "etcd",
    "etcd.new",
    "etcd.before",
    "backups",
    "voter.json",
    "join.json",
    "membership.json",
    "peers.json",
    "installed.toml",
    "console-settings.json",
    "network-generation",
    TRIAL,
];
/// The last trial of a network.
const TRIAL: &str = "network-trial.json";
/// The same of the run directory.
const RUN: [&str; 3] = ["etcd.env", "etcd-tls", "pxe.toml"];

/// This node did not leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeavingError {
    /// It would do harm.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The record could not be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The record has no such member.
    #[error("this node is not among the members that the record knows; `maekin-agent status` lists them")]
    NoMember,
    /// What this node shows to the others.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The same.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It could not be written down.
    #[error(transparent)]
    File(#[from] FileError),
    /// No other member removed it.
    #[error(
        "no other member could remove this node, and nothing was changed: {}; are they up and reachable?", .0.join("; ")
    )]
    Nobody(Vec<String>),
    /// The agent ends.
    #[error("the agent ends; ask again when it is back, with `maekin-agent status`")]
    Ended,
    /// Another member said no.
    #[error("{0}")]
    Said(maekin_api::problem::Problem),
}

/// What is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    /// The others have removed this node: what is left to do is to forget.
    removed: bool,
    /// How many times this installation will have left a cluster.
    times: u32,
}

/// How many times this installation has left a cluster: each time it is another node.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Past {
    times: u32,
}

fn marker(settings: &Settings) -> PathBuf {
    settings.state.join("leaving.json")
}

fn past(settings: &Settings) -> PathBuf {
    settings.state.join("past.json")
}

fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    if !path.exists() {
        return None;
    }
    let text = read_text(path, LIMIT).inspect_err(|e| tracing::warn!(error = %chain(e), "leaving")).ok()?;
    serde_json::from_str(&text).inspect_err(|e| tracing::warn!(error = %e, "leaving")).ok()
}

fn store(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    let text = serde_json::to_vec(value).unwrap_or_default(); // plain fields always serialize
    write_atomic(path, &text, 0o600)
}

/// How many times this installation has left a cluster.
pub(crate) fn times(settings: &Settings) -> u32 {
    load::<Past>(&past(settings)).unwrap_or_default().times
}

/// Leaves.
///
/// # Errors
/// [`LeavingError`]; this node is a member as before then.
pub(crate) async fn leave(app: &Arc<App>, member: &Arc<Member>) -> Result<RemovedNode, LeavingError> {
    // A task of its own: whoever asked may go away after the others have removed this node, and before it has forgotten.
    let (app, member) = (Arc::clone(app), Arc::clone(member));
    tokio::spawn(async move { leave_now(&app, &member).await }).await.map_err(|_| LeavingError::Ended)?
}

async fn leave_now(app: &Arc<App>, member: &Member) -> Result<RemovedNode, LeavingError> {
    let look = member.record.look(&app.node_id).await?;
    let nodes = look.nodes();
    let own = nodes.iter().find(|node| node.id == app.node_id).ok_or(LeavingError::NoMember)?;
    let volumes = removal::volumes_of(&member.record, &app.node_id).await?;
    removal::check_leaving(own, &nodes, &look, &volumes)?;
    store(&marker(&app.settings), &Marker { removed: false, times: times(&app.settings) + 1 })?;
    let mut others: Vec<&NodeValue> = nodes.iter().filter(|node| node.id != app.node_id).collect();
    others.sort_by_key(|node| (!look.alive.contains(&node.id), !node.signer, node.name.clone()));
    match ask(app, own, &others).await {
        Ok(removed) => {
            over(app);
            Ok(removed)
        }
        Err(e) => {
            forget_intent(&app.settings);
            Err(e)
        }
    }
}

async fn ask(app: &App, own: &NodeValue, others: &[&NodeValue]) -> Result<RemovedNode, LeavingError> {
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    let credentials = credentials.ok_or(LeavingError::NoMember)?;
    let config = Arc::new(tls::to_members(&app.key, &credentials)?);
    let mut refusals = Vec::new();
    for other in others {
        let address = other.url.trim_start_matches("https://").trim_end_matches('/').to_owned();
        let target = Target::Tls(address, Arc::clone(&config));
        match target.delete::<RemovedNode>(&CLUSTER_NODE.replace("{name}", &own.id)).await {
            Ok(removed) => return Ok(removed),
            Err(ClientError::Problem(problem)) if problem.kind == "urn:maekin:removal-refused" => {
                return Err(LeavingError::Said(problem));
            }
            Err(e) => {
                // Whoever removes us closes our connections, this one too.
                if whether_removed(app).await.is_some() {
                    let (id, name) = (own.id.clone(), own.name.clone());
                    return Ok(RemovedNode { id, name, by: "itself".to_owned(), at: crate::clock::now() });
                }
                refusals.push(format!("{}: {}", other.name, chain(&e)));
            }
        }
    }
    Err(LeavingError::Nobody(refusals))
}

/// This node was removed, as it wanted: the agent ends, and begins anew without what it had.
fn over(app: &Arc<App>) {
    let settings = &app.settings;
    let next = Marker { removed: true, times: times(settings) + 1 };
    if let Err(e) = store(&marker(settings), &next) {
        // The next start asks the others, and hears the same.
        tracing::error!(error = %chain(&e), "leaving");
    }
    app.set_removed("this node left its cluster; it begins anew in a moment");
    let app = Arc::clone(app);
    tokio::spawn(async move {
        tokio::time::sleep(PAUSE).await;
        app.over.notify_one();
    });
}

/// This node hears that it was removed: whether it wanted that before it lost its power, in which case the agent ends.
pub(crate) fn resume(app: &Arc<App>) -> bool {
    let wanted = load::<Marker>(&marker(&app.settings)).is_some();
    if wanted {
        over(app);
    }
    wanted
}

/// This node is a member, and nobody is asking it to leave.
pub(crate) fn forget_intent(settings: &Settings) {
    let path = marker(settings);
    if path.exists()
        && let Err(e) = fs::remove_file(&path)
    {
        tracing::warn!(path = %path.display(), error = %e, "leaving");
    }
}

/// At a start: forgets the cluster that this node has left, where it has. Each step finds out by itself whether it was done.
///
/// # Errors
/// [`FileError`].
pub(crate) fn finish(settings: &Settings) -> Result<(), FileError> {
    let Some(Marker { removed: true, times }) = load(&marker(settings)) else { return Ok(()) };
    tracing::warn!("this node left its cluster: what it had of it is erased");
    for unit in UNITS {
        if let Err(e) = Cmd::new(&settings.systemctl).args(["stop", unit]).run() {
            tracing::warn!(unit, error = %chain(&e), "leaving");
        }
    }
    // A network that is being tried is put back in a moment, by what is kept of it.
    let keeps = |name: &str| name == TRIAL && crate::network::under_way(settings);
    let state = STATE.iter().filter(|name| !keeps(name)).map(|name| settings.state.join(name));
    for path in state.chain(RUN.iter().map(|name| settings.run.join(name))) {
        let failed = |source| FileError { action: "cannot erase", path: path.clone(), source };
        erase(&path, 0).map_err(failed)?;
    }
    wait_from_now_on(&settings.node_file())?;
    store(&past(settings), &Past { times })?;
    forget_intent(settings);
    Ok(())
}

/// Overwrites what is small, as keys are, and removes all of it.
fn erase(path: &Path, depth: u32) -> std::io::Result<()> {
    let Ok(about) = path.symlink_metadata() else { return Ok(()) };
    if about.is_dir() {
        if depth < 8 {
            for entry in fs::read_dir(path)? {
                erase(&entry?.path(), depth + 1)?;
            }
        }
        return if depth == 0 && path.ends_with("pki") { Ok(()) } else { fs::remove_dir_all(path) };
    }
    if about.is_file() && about.len() < LIMIT {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        let zeros = vec![0; usize::try_from(about.len()).unwrap_or(0)];
        std::io::Write::write_all(&mut &file, &zeros)?;
        file.sync_all()?;
    }
    fs::remove_file(path)
}

/// The node file says from now on that the node waits to be let in; the rest of it stays.
fn wait_from_now_on(path: &Path) -> Result<(), FileError> {
    let text = read_text(path, LIMIT)?;
    let Ok(mut config) = toml::from_str::<NodeConfig>(&text) else { return Ok(()) };
    config.cluster = ClusterIntent::Wait;
    // What install masters hand out is the cluster's word; this was the word of the node that made it.
    config.provision = None;
    match toml::to_string(&config) {
        Ok(text) => write_atomic(path, text.as_bytes(), 0o600),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::node_file;
    use crate::testing::{agent, restarted};

    #[test]
    fn join_whoever_left_has_its_network_put_back_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 3, ClusterIntent::Create { name: "rack".into() });
        let settings = &app.settings;
        let of_settings = ["console-settings.json", "network-generation"];
        let network = serde_json::to_value(&app.config.network).unwrap();
        let trial = |phase: serde_json::Value| {
            serde_json::json!({"id": "a-1", "generation": 7, "origin": "settings", "wanted": network,
                "previous": network, "began": 1, "phase": phase})
            .to_string()
        };
        let rows = [
            ("tried", serde_json::json!({"phase": "trying", "boot_id": "a", "deadline": 9}), true),
            ("decided", serde_json::json!({"phase": "confirmed", "at": 9, "by": "anna"}), false),
        ];
        for (n, (name, phase, stays)) in rows.into_iter().enumerate() {
            let hostname = format!("alpha-{n}");
            node_file::update(settings, |config| config.hostname.clone_from(&hostname)).unwrap();
            assert!(node_file::touched(settings).unwrap(), "{name}");
            for file in of_settings {
                fs::write(settings.state.join(file), "7").unwrap();
            }
            fs::write(settings.state.join(TRIAL), trial(phase)).unwrap();
            store(&marker(settings), &Marker { removed: true, times: 1 }).unwrap();
            finish(settings).unwrap();
            assert!(!node_file::touched(settings).unwrap(), "{name}: nothing goes back by itself");
            assert_eq!(node_file::installed(settings).unwrap().hostname, hostname, "{name}");
            assert!(of_settings.iter().all(|file| !settings.state.join(file).exists()), "{name}");
            assert_eq!(settings.state.join(TRIAL).exists(), stays, "{name}");
        }
    }

    #[test]
    fn join_whoever_left_knows_nothing_of_its_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 3, ClusterIntent::Create { name: "rack".into() });
        let settings = &app.settings;
        let (key, id) = (app.key.sha256(), app.node_id.clone());
        let secret = b"the seal of the cluster";
        for name in
            ["pki/seal.key", "pki/ca.key", "etcd/member/wal", "backups/record-1.db", "membership.json"]
        {
            let path = settings.state.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, secret).unwrap();
        }
        fs::write(settings.state.join("console.json"), "{}").unwrap();
        finish(settings).unwrap();
        assert!(settings.state.join("etcd").exists(), "nobody wanted to leave");
        store(&marker(settings), &Marker { removed: false, times: 1 }).unwrap();
        finish(settings).unwrap();
        assert!(settings.state.join("etcd").exists(), "and nobody removed it yet");
        // A power cut in the middle: it is done again.
        for _ in 0..2 {
            store(&marker(settings), &Marker { removed: true, times: 1 }).unwrap();
            finish(settings).unwrap();
        }
        let left = Cmd::new("grep").args(["-rl", "the seal of"]).arg(&settings.state).run();
        assert!(left.is_err(), "nothing of the cluster is left");
        assert!(settings.state.join("console.json").exists(), "what is the node's own stays");
        let again = restarted(&app);
        assert_eq!(again.config.cluster, ClusterIntent::Wait);
        assert_eq!(again.config.hostname, app.config.hostname);
        assert!(again.key.sha256() != key && again.node_id != id, "another node, with a key of its own");
        assert_eq!(restarted(&again).node_id, again.node_id, "from then on the same one");
        assert!(!marker(settings).exists());
    }
}
