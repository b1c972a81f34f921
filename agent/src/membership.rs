//! How this node becomes a member, at every start: certificates, record, its own entry in it. Every step finds out by
//! itself whether it was done already, so the node may lose power between any two of them.
//!
//! | module | job |
//! | --- | --- |
//! | [`create`] | making a cluster |
//! | [`join`] | asking to be let into one |
//! | [`etcd`] | this node's voter of the record: files, start, end |
//! | [`moved`], [`elsewhere`] | a voter whose node has another address now: told to others, found by others |
//! | [`voters`] | which members have one |
//! | [`restore`] | putting the record back when its quorum is lost for good |
//! | [`signer`] | who can sign others in |

mod create;
mod elsewhere;
pub(crate) mod etcd;
mod join;
mod moved;
pub(crate) mod restore;
pub(crate) mod signer;
pub(crate) mod voters;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_host::links::probe_links;
use maekin_rootfs::node::{ClusterIntent, NodeConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::node_info::{Own, own_address, ports, url};
use crate::pki::PkiError;
use crate::provision;
use crate::record::keys::{self, under};
use crate::record::values::{ClusterValue, NodeValue, ReplacedValue};
use crate::record::{Change, Record, RecordError};
use crate::sealed::SealError;
use crate::sealed::keyring::Ring;
use crate::tls::TlsError;
use crate::trust::ca_change::{self, back::Back};
use crate::trust::invitation::Invitation;
use crate::trust::renew;
use crate::trust::values::RemovedValue;

/// Pauses between tries: short at first, for a master that is just starting.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the record may take to serve after it was started, and how often it is asked meanwhile.
const RECORD_TRIES: usize = 24;
/// How often our own entry is tried.
const OWN_TRIES: usize = 8;
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// What a node does that was told neither to make a cluster nor which one to join.
const WAITING: &str = "waiting to be let into a cluster: make a token on a member (`maekin-agent token create`), and \
                       give it to `maekin-agent join` here; or `maekin-agent pair begin ADDRESS` there";

/// Why a node is not a member yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MembershipError {
    /// Keys or certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The sealing key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// TLS of the API.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The service of the record.
    #[error("the record's service does not start; see `journalctl -u maekin-etcd`")]
    Service(#[source] maekin_host::cmd::CmdError),
    /// Its data is gone.
    #[error(
        "this node had the cluster's record alone, and its data is gone; put it back from a backup: `maekin-agent record restore` (docs/cluster.md)"
    )]
    RecordLost,
    /// The first interface has no address.
    #[error("the first interface has no address yet; is its cable in, and is there a DHCP server?")]
    NoAddress,
    /// We were a member.
    #[error("{0}")]
    Removed(String),
    /// No member renewed our certificate.
    #[error("no member renewed this node's certificate: {}", .0.join("; "))]
    Renewal(Vec<String>),
    /// The old record was not given up.
    #[error("the record went on without this node, and its own old one cannot be given up")]
    NotLeft(#[source] Box<restore::RestoreError>),
    /// The record was put back, and that is not written down.
    #[error("the record was put back on this node, and that cannot be written down")]
    Unfinished(#[source] Box<restore::RestoreError>),
    /// Nobody has said which cluster to join.
    #[error("{WAITING}")]
    Waiting,
    /// No master let us in.
    #[error("no master let this node in: {}", .0.join("; "))]
    Masters(Vec<String>),
    /// The node file has no secret, and yet we are no member.
    #[error("the join secret was used, but the certificate that it brought is gone; reinstall this node")]
    SecretGone,
    /// A file of ours is damaged.
    #[error("{path} cannot be understood; reinstall this node, or restore the file")]
    Damaged {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Somebody else writes our entry.
    #[error(
        "the record's {0} is changed by somebody else all the time; does another node have this node's disk?"
    )]
    Contended(String),
    /// Our machine was installed anew, and this is what was there before.
    #[error(
        "{name} was installed anew as member {by}, and this is what was there before; take these drives out, or install them anew"
    )]
    Replaced {
        /// Our name.
        name: String,
        /// Who has it now.
        by: String,
    },
    /// It begins anew.
    #[error("the cluster's CA was changed while this node was away; it has a certificate of the new one")]
    Anew,
    /// The record's CA is none that we trust.
    #[error(
        "the record's CA is {found}, and this node trusts {own}; it follows a change in a moment, or not at all"
    )]
    OtherCa {
        /// Fingerprint of the record's.
        found: String,
        /// Of ours.
        own: String,
    },
    /// The record is another cluster's.
    #[error("the record belongs to cluster {found}, and this node to {own}")]
    OtherCluster {
        /// Whose it is.
        found: String,
        /// Ours.
        own: String,
    },
}

/// Which cluster this node is a member of; kept beside its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembershipFile {
    cluster_id: String,
    cluster: String,
    /// Where the record is.
    endpoints: Vec<String>,
    /// It was there once: nobody makes it anew.
    #[serde(default)]
    made: bool,
    /// Where other members' APIs are.
    #[serde(default)]
    members: Vec<String>,
    /// How often the record was put back.
    #[serde(default)]
    restored: u64,
    /// Digests of their keys, by where their APIs are: by these a node knows them when it comes back after the
    /// cluster's CA was changed.
    #[serde(default)]
    keys: BTreeMap<String, String>,
}

impl MembershipFile {
    /// Where other members' APIs are, as they were last.
    pub(crate) fn members(path: &Path) -> Vec<String> {
        Self::load(path).ok().flatten().map(|file| file.members).unwrap_or_default()
    }

    /// The same, each with the digest of its key.
    pub(crate) fn known(path: &Path) -> BTreeMap<String, String> {
        Self::load(path).ok().flatten().map(|file| file.keys).unwrap_or_default()
    }

    fn load(path: &Path) -> Result<Option<Self>, MembershipError> {
        load_file(path)
    }

    fn store(&self, path: &Path) -> Result<(), MembershipError> {
        store_file(path, self)
    }
}

/// What one of this node's own files of its membership has, as JSON; `None` where there is none.
fn load_file<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, MembershipError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = read_text(path, 1 << 20)?;
    let damaged = |source| MembershipError::Damaged { path: path.display().to_string(), source };
    serde_json::from_str(&text).map(Some).map_err(damaged)
}

/// Writes such a file.
fn store_file(path: &Path, value: &impl Serialize) -> Result<(), MembershipError> {
    let damaged = |source| MembershipError::Damaged { path: path.display().to_string(), source };
    let text = serde_json::to_vec_pretty(value).map_err(damaged)?;
    Ok(write_atomic(path, &text, 0o644)?)
}

/// The cluster that this node is a member of, by its own files; `None` before it was let in.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn cluster_id(app: &App) -> Result<Option<String>, MembershipError> {
    Ok(MembershipFile::load(&app.settings.membership())?.map(|file| file.cluster_id))
}

/// Tries until this node is a member.
pub(crate) async fn run(app: Arc<App>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(&app).await {
            Ok(member) => {
                crate::trust::leaving::forget_intent(&app.settings);
                app.set_member(member);
                return;
            }
            // Its own voter ends, too, where it was taken out meanwhile.
            Err(
                e @ (MembershipError::Record(_) | MembershipError::Service(_) | MembershipError::Renewal(_)),
            ) => {
                // It refuses removed members without a word; the others' APIs have one.
                let why = match crate::trust::wonder(&app).await {
                    Back::Renewed => continue,
                    Back::Removed(_) if crate::trust::leaving::resume(&app) => return,
                    Back::Removed(why) | Back::Refused(why) => why,
                    Back::Nobody => chain(&e),
                };
                app.set_error(&why);
            }
            Err(MembershipError::Removed(_)) if crate::trust::leaving::resume(&app) => return,
            Err(MembershipError::Anew) => continue,
            Err(MembershipError::Waiting) => app.set_step(WAITING),
            Err(e) => app.set_error(&chain(&e)),
        }
        match tokio::time::timeout(pause, app.trust.invited.notified()).await {
            Ok(()) => pause = FIRST_PAUSE,
            Err(_) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

async fn attempt(app: &App) -> Result<Member, MembershipError> {
    app.set_step("waiting for an address on the cluster's network");
    let links = probe_links().unwrap_or_default();
    let own = own_address(&app.network.in_force(), &links).ok_or(MembershipError::NoAddress)?;
    let invitation = Invitation::current(&app.settings, &app.config.cluster)?;
    let (credentials, file) = match &app.config.cluster {
        ClusterIntent::Create { name } if !join::is_anew(app, invitation.as_ref())? => {
            create::ensure(app, name, &own)?
        }
        _ => join::ensure(app, invitation, &own).await?,
    };
    let credentials = renew::ensure_usable(app, credentials, &file.members, &own).await?;
    ca_change::serve(app, &credentials)?;
    restore::resume(app).await.map_err(|e| MembershipError::Unfinished(Box::new(e)))?;
    let file = MembershipFile::load(&app.settings.membership())?.unwrap_or(file);
    let seal = Ring::load(&app.settings.pki())?;
    let ca = signer::on_disk(app)?;
    let makes = matches!(app.config.cluster, ClusterIntent::Create { .. });
    let voter = etcd::VoterFile::load(app)?;
    let local = etcd::local_url(app);
    let before = etcd::Before {
        makes,
        made: file.made,
        file: voter.is_some(),
        data: etcd::has_data(app),
        others: file.endpoints.iter().any(|url| *url != local),
    };
    let (mut before, mut file) = (before, file);
    if before.data && !before.others {
        // Alone we would be a quorum, whatever went on without us.
        let later = match restore::went_on::ask(app, file.restored).await {
            Err(MembershipError::Anew) => return Err(MembershipError::Anew),
            later => later.unwrap_or_default(),
        };
        if let Some(url) = later {
            tracing::error!(
                url,
                "the record went on there without this node; its old one is kept as etcd.before"
            );
            restore::leave(app, &url).await.map_err(|e| MembershipError::NotLeft(Box::new(e)))?;
            file = MembershipFile { endpoints: vec![url], made: true, ..file };
            before = etcd::Before { made: true, file: false, data: false, others: true, ..before };
        }
    }
    let mut endpoints = file.endpoints.clone();
    match etcd::plan_start(before) {
        etcd::Start::Nothing => {}
        etcd::Start::Lost => return Err(MembershipError::RecordLost),
        etcd::Start::Make | etcd::Start::Run => {
            app.set_step("starting the cluster's record");
            let copies = before.others && voter.as_ref().is_some_and(|voter| voter.learner);
            if copies {
                etcd::begin(app, &file.cluster_id, &own, voter.as_ref())?;
            } else {
                etcd::start(app, &file.cluster_id, &own, voter.as_ref()).await?;
            }
            // Last: one that only copies the record answers nobody, and one that was put back answers alone.
            if !endpoints.contains(&local) {
                endpoints.push(local);
            }
        }
    }
    app.set_step("connecting to the cluster's record");
    let record = Record::connect(&endpoints, &app.key, &credentials).await?;
    let cluster = match credentials.issuer().filter(|_| makes && !file.made) {
        Some(ca) => create::ensure_recorded(&record, &file, ca.sha256).await?,
        None => read_cluster(app, &record).await?,
    };
    if cluster.id != file.cluster_id {
        return Err(MembershipError::OtherCluster { found: cluster.id, own: file.cluster_id });
    }
    if !file.made {
        MembershipFile { made: true, ..file }.store(&app.settings.membership())?;
    }
    if let Some(ca) = ca.as_ref().filter(|_| seal.current().is_some()) {
        signer::publish(&record, ca, &seal).await?;
    }
    if let (true, Some(wish)) = (makes, &app.config.provision) {
        provision::ensure_recorded(&record, wish).await?;
    }
    app.set_step("writing this node's entry into the record");
    let voters = moved::announce(app, &record, &own, record.members().await?).await?;
    let voter = etcd::VoterFile::load(app)?.and(voter);
    voters::write_down(app, voter.as_ref(), &own, &voters)?;
    let peer_url = etcd::peer_url(app, &own);
    let votes = voters.iter().any(|v| v.is_at(&app.node_id, &peer_url) && !v.learner);
    ensure_node(app, &record, &own, votes, seal.current().is_some(), &seal).await?;
    erase_secret(&app.settings.node_file())?;
    Invitation::forget(&app.settings);
    let pin = RwLock::new(cluster.ca_sha256.clone());
    Ok(Member { record, cluster, pin, seal, own })
}

async fn read_cluster(app: &App, record: &Record) -> Result<ClusterValue, MembershipError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match record.get::<ClusterValue>(keys::CLUSTER).await {
            Ok(Some(cluster)) => return Ok(cluster.value),
            Err(e) if tries >= RECORD_TRIES => return Err(e.into()),
            Ok(None) if tries >= RECORD_TRIES => {
                return Err(MembershipError::OtherCluster {
                    found: "none".to_owned(),
                    own: "none".to_owned(),
                });
            }
            Err(_) => {
                elsewhere::ask(app, record).await;
                tokio::time::sleep(RECORD_PAUSE).await;
            }
            Ok(None) => tokio::time::sleep(RECORD_PAUSE).await,
        }
    }
}

/// Writes our own entry, or brings it up to date. `opens` is whether we have what opens the CA's key; only a member with
/// a voter uses it.
pub(crate) async fn ensure_node(
    app: &App,
    record: &Record,
    own: &Own,
    voter: bool,
    opens: bool,
    seal: &Ring,
) -> Result<(), MembershipError> {
    let key = under(keys::NODES, &app.node_id);
    if let Some(removed) = record.get::<RemovedValue>(&under(keys::REMOVED, &app.node_id)).await? {
        return Err(MembershipError::Removed(crate::trust::known::words(&removed.value)));
    }
    if let Some(replaced) = record.get::<ReplacedValue>(&under(keys::REPLACED, &app.node_id)).await? {
        return Err(MembershipError::Replaced { name: replaced.value.name, by: replaced.value.by });
    }
    for _ in 0..OWN_TRIES {
        let old = record.get::<NodeValue>(&key).await?;
        let value = own_entry(app, own, old.as_ref().map(|old| &old.value), voter, opens, seal);
        if old.as_ref().is_some_and(|old| old.value == value) {
            return Ok(());
        }
        let change =
            Change::default().if_unchanged(&key, old.map_or(0, |old| old.revision)).put(&key, &value)?;
        if record.commit(change).await? {
            return Ok(());
        }
        // Only this node writes its entry; a loss means that an earlier write of ours came late.
    }
    Err(MembershipError::Contended(key))
}

/// Our own entry as it shall be; `old` is the one that there is.
fn own_entry(
    app: &App,
    own: &Own,
    old: Option<&NodeValue>,
    voter: bool,
    opens: bool,
    seal: &Ring,
) -> NodeValue {
    NodeValue {
        id: app.node_id.clone(),
        name: app.config.hostname.clone(),
        address: own.address.to_string(),
        url: url(own.address, app.settings.port),
        version: app.boot.as_ref().map_or(env!("CARGO_PKG_VERSION"), |b| &b.version).to_owned(),
        key_sha256: app.key.sha256(),
        joined_at: old.map_or_else(now, |old| old.joined_at),
        mac: own.mac.clone(),
        record_url: if voter { etcd::client_url(app, own) } else { String::new() },
        signer: voter && opens,
        machine: app.settings.machine(),
        peer_url: etcd::peer_url(app, own),
        gossip: std::net::SocketAddr::new(own.address, app.settings.gossip_port).to_string(),
        seals: seal.ids(),
        cas: app.trust.ca.acks(),
        macs: ports(&probe_links().unwrap_or_default()),
    }
}

/// Takes the join secret out of the node file: it has done its work, and the file stays for as long as the node.
fn erase_secret(path: &Path) -> Result<(), FileError> {
    let text = read_text(path, 1 << 20)?;
    let Ok(mut config) = toml::from_str::<NodeConfig>(&text) else { return Ok(()) };
    if let ClusterIntent::Join { secret, .. } = &mut config.cluster
        && !secret.is_empty()
    {
        secret.clear();
        if let Ok(text) = toml::to_string(&config) {
            write_atomic(path, text.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
