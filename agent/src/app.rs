//! What the parts of a running agent share.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use axum::http::StatusCode;
use maekin_api::node::{LocalPool, Membership};
use maekin_rootfs::boot_state::BootState;
use maekin_rootfs::node::NodeConfig;
use tokio::sync::{Notify, Semaphore, watch};
use uuid::Uuid;

use crate::audit;
use crate::boot_drives::{self, Keeper};
use crate::clock::now;
use crate::desired;
use crate::discovery;
use crate::drives;
use crate::http;
use crate::http::auth::Auth;
use crate::http::error::ApiError;
use crate::http::server::TlsSlot;
use crate::install::answer::Masters;
use crate::install::cache::Cache;
use crate::install::inventory::Budget;
use crate::leader::Standing;
use crate::liveness::{self, fence::Reach};
use crate::maintenance;
use crate::metrics::Metrics;
use crate::network;
use crate::node_info::Own;
use crate::pki::identity::NodeKey;
use crate::power;
use crate::record::care::Care;
use crate::record::values::{ClusterValue, NodeValue};
use crate::record::{Record, RecordError, keys};
use crate::sealed::keyring::Ring;
use crate::settings::Settings;
use crate::storage;
use crate::syslog;
use crate::tasks;
use crate::trust::Trust;

/// A running agent.
pub(crate) struct App {
    /// Where things are.
    pub(crate) settings: Settings,
    /// The node file as it was when the agent started.
    pub(crate) config: NodeConfig,
    /// What the initrd found; absent where the agent does not run on an installed node.
    pub(crate) boot: Option<BootState>,
    /// This node's id.
    pub(crate) node_id: String,
    /// This node's key.
    pub(crate) key: NodeKey,
    /// TLS of the API.
    pub(crate) tls: TlsSlot,
    /// Who may ask.
    pub(crate) auth: Auth,
    /// The boot drives.
    pub(crate) boot_drives: Arc<Keeper>,
    /// All drives of this node.
    pub(crate) drives: drives::Keeper,
    /// Power of machines: what is under way.
    pub(crate) power: power::Engine,
    /// Who is there, by gossip.
    pub(crate) liveness: liveness::Keeper,
    /// The boot drive (0 or 1) that this boot was started from, where the boot loader told.
    pub(crate) started_from: Option<u8>,
    /// Who is let in, as the record said a moment ago.
    pub(crate) known: Cache,
    /// How much machines may tell of themselves.
    pub(crate) budget: Budget,
    /// What is to be written down about who asked for what.
    pub(crate) audit: audit::Log,
    /// The agent ends, to begin anew.
    pub(crate) over: Notify,
    /// Nodes on the wires.
    pub(crate) discovery: discovery::Keeper,
    /// Word of what changes on this node alone.
    pub(crate) news: http::watch::Board,
    /// Who is let in, and who no longer.
    pub(crate) trust: Trust,
    /// Which nodes are in maintenance.
    pub(crate) maintenance: maintenance::Keeper,
    /// Long work, as this node sees it.
    pub(crate) tasks: tasks::Keeper,
    /// How the record is as a store.
    pub(crate) record_care: Care,
    /// How far this node is with its settings.
    pub(crate) desired: desired::Keeper,
    /// The network, and the trial of another one.
    pub(crate) network: network::Keeper,
    /// Storage of this node.
    pub(crate) storage: storage::Keeper,
    /// Where the journal is sent.
    pub(crate) syslog: syslog::Forwarder,
    /// What was counted.
    pub(crate) metrics: Metrics,
    /// Places for those who listen to what changes.
    pub(crate) watchers: Arc<Semaphore>,
    progress: RwLock<Progress>,
    standing: watch::Sender<Standing>,
    reach: watch::Sender<Reach>,
}

/// What changes while the agent runs.
#[derive(Default)]
struct Progress {
    member: Option<Arc<Member>>,
    step: String,
    last_error: String,
    local_pool: LocalPool,
}

/// What a member has.
pub(crate) struct Member {
    /// Connection to the record.
    pub(crate) record: Record,
    /// The cluster.
    pub(crate) cluster: ClusterValue,
    /// Fingerprint of the cluster's CA, by which others know its members at this moment.
    pub(crate) pin: RwLock<String>,
    /// The cluster's sealing keys; none on a member that joined through one that had none, until it hears of it.
    pub(crate) seal: Ring,
    /// Our place on the cluster's network.
    pub(crate) own: Own,
}

/// The id of the node of an installation: the same for as long as it is installed, and a crash before it was written
/// down anywhere changes nothing.
pub(crate) fn node_id(install: Uuid) -> String {
    Uuid::new_v5(&install, b"node").to_string()
}

/// The same after it has left so many clusters: whoever was removed does not come back under its id.
fn node_id_after(install: Uuid, times: u32) -> String {
    match times {
        0 => node_id(install),
        times => Uuid::new_v5(&install, format!("node {times}").as_bytes()).to_string(),
    }
}

/// The id of the cluster that an installation makes.
pub(crate) fn cluster_id(install: Uuid) -> String {
    Uuid::new_v5(&install, b"cluster").to_string()
}

impl App {
    /// An agent that is no member yet.
    pub(crate) fn new(
        settings: Settings,
        config: NodeConfig,
        boot: Option<BootState>,
        key: NodeKey,
        tls: TlsSlot,
        auth: Auth,
    ) -> Self {
        let node_id = node_id_after(config.install_id, crate::trust::leaving::times(&settings));
        let boot_drives = Arc::new(Keeper::new(&settings.state, config.disks.len()));
        let started_from = boot.as_ref().and_then(|_| boot_drives::started_from(config.install_id));
        let power = power::Engine::default();
        let network = network::Keeper::new(config.network.clone());
        let progress = RwLock::new(Progress { step: "starting".to_owned(), ..Progress::default() });
        let standing = watch::Sender::default();
        Self {
            settings,
            config,
            boot,
            node_id,
            key,
            tls,
            auth,
            boot_drives,
            drives: drives::Keeper::default(),
            power,
            liveness: liveness::Keeper::default(),
            started_from,
            known: Cache::default(),
            budget: Budget::default(),
            audit: audit::Log::default(),
            over: Notify::default(),
            discovery: discovery::Keeper::default(),
            news: http::watch::Board::default(),
            trust: Trust::default(),
            maintenance: maintenance::Keeper::default(),
            tasks: tasks::Keeper::default(),
            record_care: Care::default(),
            desired: desired::Keeper::default(),
            network,
            storage: storage::Keeper::default(),
            syslog: syslog::Forwarder::default(),
            metrics: Metrics::default(),
            watchers: Arc::new(Semaphore::new(http::watch::MOST)),
            progress,
            standing,
            reach: watch::Sender::default(),
        }
    }

    /// Until when this node may do what must not run twice, with word of every renewal; see [`liveness::fence`].
    pub(crate) fn quorum(&self) -> watch::Receiver<Reach> {
        self.reach.subscribe()
    }

    /// The record took this node's sign of life, which was sent then.
    pub(crate) fn reached(&self, sent: Instant) {
        self.reach.send_modify(|reach| reach.renewed(sent));
    }

    /// Who leads, as we know it now.
    pub(crate) fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// The same, with word of every change.
    pub(crate) fn watch_standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Whether this node leads at this moment.
    pub(crate) fn leads(&self) -> bool {
        self.standing.borrow().tenure(Instant::now()).is_some()
    }

    /// Writes down who leads.
    pub(crate) fn set_standing(&self, change: impl FnOnce(&mut Standing)) {
        self.standing.send_modify(change);
    }

    /// Says what is being done about membership.
    pub(crate) fn set_step(&self, step: &str) {
        tracing::info!(step, "membership");
        step.clone_into(&mut self.write().step);
    }

    /// Says why it did not work.
    pub(crate) fn set_error(&self, error: &str) {
        tracing::warn!(error, "membership");
        error.clone_into(&mut self.write().last_error);
    }

    /// From now on, this node is a member.
    pub(crate) fn set_member(&self, member: Member) {
        self.write().member = Some(Arc::new(member));
    }

    /// This node has to become a member anew, as after a start: why.
    pub(crate) fn set_away(&self, why: &str) {
        tracing::warn!(why, "membership");
        let mut progress = self.write();
        progress.member = None;
        why.clone_into(&mut progress.step);
        progress.last_error.clear();
    }

    /// This node is a member no longer: why.
    pub(crate) fn set_removed(&self, why: &str) {
        tracing::error!(why, "membership");
        let mut progress = self.write();
        progress.member = None;
        "removed from the cluster".clone_into(&mut progress.step);
        why.clone_into(&mut progress.last_error);
    }

    /// Says how the local pool is.
    pub(crate) fn set_local_pool(&self, pool: LocalPool) {
        self.write().local_pool = pool;
    }

    /// How the local pool is.
    pub(crate) fn local_pool(&self) -> LocalPool {
        self.read(|p| p.local_pool.clone())
    }

    /// What this node has as a member.
    ///
    /// # Errors
    /// The problem to answer with, when it is none yet.
    pub(crate) fn member(&self) -> Result<Arc<Member>, ApiError> {
        self.read(|p| p.member.clone()).ok_or_else(|| {
            let (step, error) = self.read(|p| (p.step.clone(), p.last_error.clone()));
            let why =
                if error.is_empty() { String::new() } else { format!("; the last try failed: {error}") };
            let title = "This node is not a member of a cluster yet";
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-a-member",
                title,
                format!("it is {step}{why}"),
            )
        })
    }

    /// Where this node stands on its way into a cluster.
    pub(crate) fn membership(&self) -> Membership {
        self.read(|p| match &p.member {
            Some(member) => Membership::Member {
                cluster_id: member.cluster.id.clone(),
                cluster: member.cluster.name.clone(),
            },
            None => Membership::Working {
                step: self.pairing_step().unwrap_or_else(|| p.step.clone()),
                last_error: p.last_error.clone(),
            },
        })
    }

    /// Whether this node tried to join, and nobody let it in.
    pub(crate) fn joining_failed(&self) -> bool {
        self.read(|p| p.member.is_none() && !p.last_error.is_empty())
    }

    /// The code that the console shows while somebody wants to let this node in.
    fn pairing_step(&self) -> Option<String> {
        let mut waiting = self.trust.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, offer, approved, _) = waiting.shown(now())?;
        let cluster = offer.cluster;
        Some(if approved {
            format!("code {code} approved: say yes on the member of cluster {cluster} as well")
        } else {
            format!(
                "code {code} for cluster {cluster}: where the member's console shows the same, `maekin-agent pair approve \
                 {code}` here, then there"
            )
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Progress) -> T) -> T {
        work(&self.progress.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Progress> {
        self.progress.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// Whether this node could sign others in, were it to have a voter.
    pub(crate) fn can_sign(&self) -> bool {
        self.seal.current().is_some()
    }

    /// Fingerprint of the cluster's CA, by which others know its members at this moment.
    pub(crate) fn ca_sha256(&self) -> String {
        self.pin.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Others know its members by this one from now on.
    pub(crate) fn set_ca_sha256(&self, pin: &str) {
        pin.clone_into(&mut self.pin.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where new nodes are to ask: those that can sign first, ourselves before others.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn masters(&self, own_id: &str) -> Result<Masters, RecordError> {
        let mut nodes: Vec<NodeValue> =
            self.record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
        nodes.sort_by_key(|n| (!n.signer, n.id != own_id, n.name.clone()));
        let urls = nodes.into_iter().map(|n| n.url).collect();
        Ok(Masters { urls, ca_sha256: self.ca_sha256() })
    }
}
