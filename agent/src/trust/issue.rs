//! Certificates of nodes are made here, and nowhere else: each is written into the record before it is handed over, so
//! that all of them can be named when the node is removed.

use rcgen::PublicKeyData;

use super::values::{CertValue, CertsValue, RemovedValue};
use crate::install::admit::Refusal;
use crate::install::{InstallError, TRIES};
use crate::pki::ca::{Ca, Issued, Subject, Validity};
use crate::record::keys::{self, under};
use crate::record::values::ReplacedValue;
use crate::record::{Change, Record};

/// Most certificates of one node that hold at the same time.
const MOST: usize = 64;

/// Certifies `key` as that of `subject`.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn issue(
    record: &Record,
    ca: &Ca,
    key: &impl PublicKeyData,
    subject: &Subject<'_>,
    now: u64,
) -> Result<Issued, InstallError> {
    let issued = ca.issue(key, subject, Validity::of_node(now))?;
    let cert = CertValue { serial: issued.serial.clone(), not_after: issued.not_after };
    enlist(record, subject.node_id, &cert, now).await?;
    Ok(issued)
}

/// Adds a certificate to those of its node.
///
/// # Errors
/// [`InstallError`].
pub(crate) async fn enlist(
    record: &Record,
    node_id: &str,
    cert: &CertValue,
    now: u64,
) -> Result<(), InstallError> {
    let key = under(keys::CERTS, node_id);
    let (removed, replaced) = (under(keys::REMOVED, node_id), under(keys::REPLACED, node_id));
    for _ in 0..TRIES {
        let old = record.get::<CertsValue>(&key).await?;
        let revision = old.as_ref().map_or(0, |old| old.revision);
        let mut value = old.map(|old| old.value).unwrap_or_default();
        if value.certs.contains(cert) {
            return Ok(());
        }
        value.certs.retain(|cert| cert.not_after > now);
        if value.certs.len() >= MOST {
            let text =
                format!("this node has {MOST} certificates that hold; the oldest of them runs out in time");
            return Err(InstallError::Invalid(text));
        }
        value.certs.push(cert.clone());
        // What was revoked meanwhile is all that its node had: nothing is added to it.
        let change = Change::default().if_unchanged(&removed, 0).if_unchanged(&replaced, 0);
        if record.commit(change.if_unchanged(&key, revision).put(&key, &value)?).await? {
            return Ok(());
        }
        let gone = record.get::<RemovedValue>(&removed).await?.is_some()
            || record.get::<ReplacedValue>(&replaced).await?.is_some();
        if gone {
            return Err(InstallError::Refused(Refusal::Removed));
        }
    }
    Err(InstallError::Contended)
}
