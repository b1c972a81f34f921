//! Everything in the record that is sealed, sealed anew under the key in use. Each value by compare-and-swap, bound to what
//! the record says of the key; one that was done is known by the key that it names, so it may end at any of them.

use super::super::{id_of, sealed_under};
use super::RotationError;
use crate::app::{App, Member};
use crate::membership::signer;
use crate::power::store;
use crate::record::Change;
use crate::record::keys::{self, under};
use crate::record::values::{CaValue, NodeValue, PowerValue, SealValue};

/// Most values that are sealed anew in one turn: others wait for the look that comes after it.
const MOST: usize = 64;

/// Whether a member, also one that is off, has the key that something is sealed under. Pure.
fn is_held(sealed: &str, nodes: &[NodeValue]) -> bool {
    sealed_under(sealed).is_some_and(|id| nodes.iter().any(|node| node.seals.iter().any(|have| have == id)))
}

/// Seals anew what is not sealed under the current key; how many values are left. What no key opens is left as it is: it
/// says so to whoever uses it, and it has to be set again. It counts as left while a member has its key.
pub(super) async fn turn(
    app: &App,
    member: &Member,
    value: &SealValue,
    revision: i64,
    nodes: &[NodeValue],
) -> Result<usize, RotationError> {
    let (record, ring) = (&member.record, &member.seal);
    let done = |sealed: &str| sealed.is_empty() || sealed_under(sealed) == Some(id_of(&value.current));
    let mut left = 0;
    for place in [keys::CA, keys::CA_NEXT] {
        let found = record.get::<CaValue>(place).await?.filter(|ca| !done(&ca.value.sealed_key));
        let Some(found) = found else { continue };
        // Where no key opens it, the CA is on the disk of who made it, and of voters. One that is to be is made again.
        let plain = match ring.open(place, &found.value.sealed_key) {
            Ok(plain) => Some(plain),
            Err(_) if place == keys::CA_NEXT => continue,
            Err(_) => signer::on_disk(app)?
                .filter(|ca| ca.pem == found.value.cert)
                .map(|ca| ca.key_pem().into_bytes()),
        };
        match plain {
            Some(plain) => {
                let new = CaValue { sealed_key: ring.seal(place, &plain)?, ..found.value };
                let change = Change::default().if_unchanged(keys::SEAL, revision);
                let change = change.if_unchanged(place, found.revision).put(place, &new)?;
                left += usize::from(!record.commit(change).await?);
            }
            None => {
                left += usize::from(is_held(&found.value.sealed_key, nodes));
                tracing::error!("no key opens the CA's key in the record, and it is not on this node's disk");
            }
        }
    }
    let mut taken = 0;
    for found in record.list::<PowerValue>(keys::POWER).await? {
        if done(&found.value.sealed) {
            continue;
        }
        if taken == MOST {
            left += 1;
            continue;
        }
        taken += 1;
        let Some(new) = store::sealed_anew(ring, &found.value) else {
            left += usize::from(is_held(&found.value.sealed, nodes));
            tracing::warn!(
                mac = found.value.mac,
                "no key opens the password of a management controller; set it again"
            );
            continue;
        };
        let key = under(keys::POWER, &found.value.mac);
        let change = Change::default().if_unchanged(keys::SEAL, revision);
        let change = change.if_unchanged(&key, found.revision).put(&key, &new)?;
        left += usize::from(!record.commit(change).await?);
    }
    Ok(left)
}
