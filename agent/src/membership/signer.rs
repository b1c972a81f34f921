//! The cluster's CA in the record, its key sealed: whichever member has a voter can let others in, so that joining goes
//! on when the node that made the cluster is gone.

use std::sync::Arc;

use super::MembershipError;
use crate::app::{App, Member};
use crate::pki::ca::Ca;
use crate::record::keys::{self, under};
use crate::record::values::{CaValue, NodeValue};
use crate::record::{Change, Record};
use crate::sealed::SealKey;

/// Puts the CA into the record, where it is not.
pub(super) async fn publish(record: &Record, ca: &Ca, seal: &SealKey) -> Result<(), MembershipError> {
    if record.get::<CaValue>(keys::CA).await?.is_some() {
        return Ok(());
    }
    let sealed_key = seal.seal(keys::CA, ca.key_pem().as_bytes())?;
    let value = CaValue { cert: ca.pem.clone(), sealed_key };
    record.commit(Change::default().if_unchanged(keys::CA, 0).put(keys::CA, &value)?).await?;
    Ok(())
}

/// The CA to sign a new member in with; `None` on a member that has no voter, or not the sealing key. The key is opened
/// for one use, and written down nowhere.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn authority(app: &App, member: &Member) -> Result<Option<Arc<Ca>>, MembershipError> {
    if let Some(ca) = &member.ca {
        return Ok(Some(Arc::clone(ca)));
    }
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await?;
    let votes = own.is_some_and(|own| !own.value.record_url.is_empty());
    let (Some(seal), true) = (&member.seal, votes) else { return Ok(None) };
    let Some(found) = member.record.get::<CaValue>(keys::CA).await? else { return Ok(None) };
    let key = seal.open(keys::CA, &found.value.sealed_key)?;
    let ca = Ca::from_pem(found.value.cert, &String::from_utf8_lossy(&key))?;
    let fingerprint = ca.fingerprint()?;
    if fingerprint != member.cluster.ca_sha256 {
        let (found, own) = (fingerprint, member.cluster.ca_sha256.clone());
        return Err(MembershipError::OtherCluster { found, own });
    }
    Ok(Some(Arc::new(ca)))
}
