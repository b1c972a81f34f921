//! Making a cluster: its CA, our own certificate under it, and the first entry of its record.

use std::collections::BTreeMap;

use super::{MembershipError, MembershipFile, RECORD_PAUSE, RECORD_TRIES, etcd, signer};
use crate::app::{App, cluster_id};
use crate::clock::now;
use crate::node_info::Own;
use crate::pki::ca::{Subject, Validity};
use crate::pki::identity::Credentials;
use crate::record::values::ClusterValue;
use crate::record::{Change, Record, keys};
use crate::sealed::SealKey;

/// The certificates of the first node. The CA is made at most once; our certificate anew whenever it does not fit. Once
/// the record was made this node is a member as others are, and what is not right is put right as on them.
pub(super) fn ensure(
    app: &App,
    name: &str,
    own: &Own,
) -> Result<(Credentials, MembershipFile), MembershipError> {
    app.set_step("making the cluster's certificates");
    let dir = app.settings.pki();
    let cluster_id = cluster_id(app.config.install_id);
    let path = app.settings.membership();
    let file = match MembershipFile::load(&path)? {
        Some(file) if file.cluster_id == cluster_id => file,
        _ => {
            let endpoints = vec![etcd::local_url(app)];
            let file = MembershipFile {
                cluster_id: cluster_id.clone(),
                cluster: name.to_owned(),
                endpoints,
                made: false,
                members: vec![],
                keys: BTreeMap::new(),
                restored: 0,
            };
            file.store(&path)?;
            file
        }
    };
    if dir.join("ca.key").exists() {
        SealKey::ensure(&dir)?; // what an earlier release left in clear is sealed under it
    }
    let have = Credentials::load(&dir, &app.key, &app.node_id)?;
    if let Some(credentials) = have.as_ref().filter(|have| file.made && have.issuer().is_some()) {
        return Ok((credentials.clone(), file));
    }
    let seal = SealKey::ensure(&dir)?;
    let ca = signer::ensure(app, name, &cluster_id, &seal)?;
    let credentials = match have {
        Some(have) if have.issuer().is_some_and(|by| by.pem == ca.pem) && have.names(own.address) => have,
        _ => {
            let subject =
                Subject { node_id: &app.node_id, name: &app.config.hostname, addresses: &[own.address] };
            let issued = ca.issue(app.key.public(), &subject, Validity::of_node(now()))?;
            let credentials = Credentials { cert: issued.pem, ca: ca.pem.clone() };
            credentials.store(&dir)?;
            credentials
        }
    };
    Ok((credentials, file))
}

/// Waits until the record serves, and writes the cluster into it where it is not there.
pub(super) async fn ensure_recorded(
    record: &Record,
    file: &MembershipFile,
    ca_sha256: String,
) -> Result<ClusterValue, MembershipError> {
    let value = ClusterValue {
        id: file.cluster_id.clone(),
        name: file.cluster.clone(),
        ca_sha256,
        created_at: now(),
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = async {
            if let Some(found) = record.get::<ClusterValue>(keys::CLUSTER).await? {
                return Ok(Some(found.value));
            }
            let change = Change::default().if_unchanged(keys::CLUSTER, 0).put(keys::CLUSTER, &value)?;
            Ok(record.commit(change).await?.then(|| value.clone()))
        };
        match outcome.await {
            Ok(Some(cluster)) => return Ok(cluster),
            Err(e) if tries >= RECORD_TRIES => return Err(MembershipError::Record(e)),
            // Not up yet, or written by ourselves a moment ago: look again.
            Ok(None) | Err(_) => tokio::time::sleep(RECORD_PAUSE).await,
        }
    }
}
