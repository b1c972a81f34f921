//! What gossip needs: the cluster's key, its id, and an address of our own.

use std::net::SocketAddr;

use maekin_gossip::NodeId;
use maekin_host::file::FileError;
use maekin_host::links::probe_links;
use uuid::Uuid;

use super::node_id;
use crate::app::App;
use crate::membership::{self, MembershipError};
use crate::node_info::own_address;
use crate::sealed::{SealError, SealKey};

/// Why this node does not gossip.
#[derive(Debug, thiserror::Error)]
pub(super) enum LivenessError {
    /// Which cluster this is.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// What is kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// An id that is none.
    #[error(
        "{0} is not the id of a cluster or of a node; reinstall this node, or restore its state directory"
    )]
    Id(String),
    /// The socket.
    #[error("cannot listen on UDP {address}; does another program, or another machine, have it?")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// All of it.
pub(super) struct Place {
    pub(super) cluster: [u8; 16],
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
    pub(super) key: SealKey,
}

/// Looks for it; `None` while this node is no member, or has no address yet.
///
/// # Errors
/// [`LivenessError`].
pub(super) fn find(app: &App) -> Result<Option<Place>, LivenessError> {
    let Some(key) = SealKey::load(&app.settings.pki())? else { return Ok(None) };
    let Some(cluster) = membership::cluster_id(app)? else { return Ok(None) };
    let Some(address) = address(app) else { return Ok(None) };
    let id = node_id(&app.node_id).ok_or_else(|| LivenessError::Id(app.node_id.clone()))?;
    let cluster = Uuid::try_parse(&cluster).map_err(|_| LivenessError::Id(cluster))?.into_bytes();
    Ok(Some(Place { cluster, id, address, key }))
}

/// Where this node hears gossip; `None` while it has no address.
pub(super) fn address(app: &App) -> Option<SocketAddr> {
    let own = own_address(&app.network.in_force(), &probe_links().unwrap_or_default())?;
    Some(SocketAddr::new(own.address, app.settings.gossip_port))
}
