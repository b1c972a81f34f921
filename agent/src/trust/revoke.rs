//! What goes onto the CA's list of certificates that hold no longer: all that a removed member had, and all that a member
//! had whose machine was installed anew. Those that have run out are left out of each new list, so it holds what thirty days
//! bring; a list is made only where something goes onto it, since the voters restart with each ([`super::crl`]).

use super::values::{CertValue, CertsValue, CrlValue, RemovedValue};
use crate::pki::PkiError;
use crate::pki::ca::Ca;
use crate::record::keys::{self, under};
use crate::record::values::ReplacedValue;
use crate::record::{Change, Record, RecordError};

/// The serial numbers of those that would hold at `now`, each with when it was revoked. Pure.
fn listed(
    removed: &[RemovedValue],
    replaced: &[ReplacedValue],
    more: &[CertValue],
    now: u64,
) -> Vec<(String, u64)> {
    let removed = removed.iter().map(|node| (node.certs.as_slice(), node.at));
    let replaced = replaced.iter().map(|node| (node.certs.as_slice(), node.at));
    let mut all: Vec<_> = removed
        .chain(replaced)
        .chain([(more, now)])
        .flat_map(|(certs, at)| {
            certs.iter().filter(|c| c.not_after > now).map(move |c| (c.serial.clone(), at))
        })
        .collect();
    all.sort();
    all.dedup_by(|a, b| a.0 == b.0); // the earlier one stays
    all
}

/// The certificates of a node that is a member no longer after `change`, and that change with the list of them deleted.
/// It comes to nothing where one of them is made meanwhile.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn those_of(
    record: &Record,
    node_id: &str,
    change: Change,
) -> Result<(Vec<CertValue>, Change), RecordError> {
    let key = under(keys::CERTS, node_id);
    let found = record.get::<CertsValue>(&key).await?;
    let revision = found.as_ref().map_or(0, |found| found.revision);
    let certs = found.map(|found| found.value.certs).unwrap_or_default();
    Ok((certs, change.if_unchanged(&key, revision).delete(&key)))
}

/// Adds to `change` that `more` hold no longer, and all that were revoked before; `gentle` is whether voters take their
/// time to follow.
///
/// # Errors
/// The record's, and where the list cannot be made.
pub(crate) async fn revoke<E: From<RecordError> + From<PkiError>>(
    record: &Record,
    ca: &Ca,
    more: &[CertValue],
    gentle: bool,
    now: u64,
    change: Change,
) -> Result<Change, E> {
    let old = record.get::<CrlValue>(keys::CRL).await?;
    let removed: Vec<_> =
        record.list::<RemovedValue>(keys::REMOVED).await?.into_iter().map(|found| found.value).collect();
    let replaced: Vec<_> =
        record.list::<ReplacedValue>(keys::REPLACED).await?.into_iter().map(|found| found.value).collect();
    let number = old.as_ref().map_or(0, |old| old.value.number).saturating_add(1);
    let pem = ca.revoke(&listed(&removed, &replaced, more, now), number, now)?;
    // Whoever revokes something else at the same time changes the list, too: one of both begins again.
    let change = change.if_unchanged(keys::CRL, old.map_or(0, |old| old.revision));
    Ok(change.put(keys::CRL, &CrlValue { number, pem, gentle })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cert(serial: &str, not_after: u64) -> CertValue {
        CertValue { serial: serial.into(), not_after }
    }

    fn removed(at: u64, certs: &[CertValue]) -> RemovedValue {
        RemovedValue { at, certs: certs.to_vec(), ..RemovedValue::default() }
    }

    fn replaced(at: u64, certs: &[CertValue]) -> ReplacedValue {
        ReplacedValue { name: "node-2".into(), by: "new".into(), at, certs: certs.to_vec() }
    }

    #[test]
    fn join_revoked_certificates_are_listed_until_they_have_run_out() {
        let day = 24 * 3600;
        let gone = [removed(10, &[cert("41", 30 * day), cert("42", 40 * day)])];
        let anew = [replaced(20, &[cert("51", 35 * day)]), replaced(21, &[])];
        let more = [cert("61", 60 * day), cert("62", 20 * day)];
        type Row<'a> = (&'a str, &'a [CertValue], u64, &'a [(&'a str, u64)]);
        let rows: [Row<'_>; 6] = [
            ("all of both kinds", &[], 100, &[("41", 10), ("42", 10), ("51", 20)]),
            (
                "what is new, as from now",
                &more,
                100,
                &[("41", 10), ("42", 10), ("51", 20), ("61", 100), ("62", 100)],
            ),
            (
                "one of it has run out already",
                &more[..1],
                30 * day,
                &[("42", 10), ("51", 20), ("61", 30 * day)],
            ),
            ("to the second", &[], 35 * day, &[("42", 10)]),
            ("all have", &[], 40 * day, &[]),
            ("said twice", &gone[0].certs[..1], 100, &[("41", 10), ("42", 10), ("51", 20)]),
        ];
        for (name, more, now, want) in rows {
            let want: Vec<_> = want.iter().map(|(serial, at)| ((*serial).to_owned(), *at)).collect();
            assert_eq!(listed(&gone, &anew, more, now), want, "{name}");
        }
    }

    #[test]
    fn join_earlier_releases_replaced_members_without_naming_certificates() {
        let old: ReplacedValue = serde_json::from_str(r#"{"name":"a","by":"b","at":1}"#).unwrap();
        assert_eq!(old.certs, []);
        let old: CrlValue = serde_json::from_str(r#"{"number":1,"pem":""}"#).unwrap();
        assert!(!old.gentle);
    }
}
