//! What the parts of a running agent share.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::StatusCode;
use maekin_api::node::{LocalPool, Membership};
use maekin_rootfs::boot_state::BootState;
use maekin_rootfs::node::NodeConfig;
use uuid::Uuid;

use crate::boot_drives::{self, Keeper};
use crate::http::auth::Auth;
use crate::http::error::ApiError;
use crate::http::server::TlsSlot;
use crate::install::answer::Masters;
use crate::pki::ca::Ca;
use crate::pki::identity::NodeKey;
use crate::record::values::{ClusterValue, NodeValue};
use crate::record::{Record, RecordError, keys};
use crate::settings::Settings;

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
    /// The boot drive (0 or 1) that this boot was started from, where the boot loader told.
    pub(crate) started_from: Option<u8>,
    progress: RwLock<Progress>,
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
    /// The CA, where this node can sign others in.
    pub(crate) ca: Option<Ca>,
    /// Our address on the cluster's network.
    pub(crate) address: IpAddr,
}

/// The id of the node of an installation: the same for as long as it is installed, and a crash before it was written
/// down anywhere changes nothing.
pub(crate) fn node_id(install: Uuid) -> String {
    Uuid::new_v5(&install, b"node").to_string()
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
        let node_id = node_id(config.install_id);
        let boot_drives = Arc::new(Keeper::new(&settings.state, config.disks.len()));
        let started_from = boot.as_ref().and_then(|_| boot_drives::started_from(config.install_id));
        let progress = RwLock::new(Progress { step: "starting".to_owned(), ..Progress::default() });
        Self { settings, config, boot, node_id, key, tls, auth, boot_drives, started_from, progress }
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
            None => Membership::Working { step: p.step.clone(), last_error: p.last_error.clone() },
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
    /// Where new nodes are to ask: those that can sign first, ourselves before others.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn masters(&self, own_id: &str) -> Result<Masters, RecordError> {
        let mut nodes: Vec<NodeValue> =
            self.record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value).collect();
        nodes.sort_by_key(|n| (!n.signer, n.id != own_id, n.name.clone()));
        let urls = nodes.into_iter().map(|n| n.url).collect();
        Ok(Masters { urls, ca_sha256: self.cluster.ca_sha256.clone() })
    }
}
