//! When what people wanted of a drive counts no longer: consent, where the drive was away, somebody else had it, or the machine
//! started anew; and all of it, where the drive is remembered by nobody, or its node is no member any more.

use std::collections::{BTreeMap, BTreeSet};

use maekin_api::drives::{Drive, State, Usage};

use super::observe::Seen;
use super::store;
use super::values::{ConsentValue, WishValue};
use crate::record::keys;
use crate::record::{Change, Record, RecordError};

/// Most wishes of nodes that are no members which one node takes back at a time: the others do the same.
const STRANGERS: usize = 16;

/// What people want, as it was read.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Of drives in this node.
    own: Vec<Wish>,
    /// Of drives in others: the drive, the node, and the revision.
    others: Vec<(String, String, i64)>,
    /// Drives of which they want something that this release does not understand.
    pub(super) unclear: BTreeSet<String>,
}

#[derive(Debug)]
struct Wish {
    value: WishValue,
    revision: i64,
}

/// What consents are judged by.
pub(super) struct Case<'a> {
    /// This start of the machine.
    pub(super) boot: &'a str,
    /// Drives that went away, or that somebody had for himself.
    pub(super) interrupted: &'a BTreeMap<String, u64>,
    pub(super) seen: &'a [Seen],
    /// What became of them.
    pub(super) drives: &'a [Drive],
}

impl Wishes {
    /// Reads them.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) async fn read(record: &Record, node: &str) -> Result<Self, RecordError> {
        let mut wishes = Self::default();
        for found in record.list_keyed_known::<WishValue>(keys::DRIVE_WISHES).await? {
            let revision = found.revision;
            match found.value {
                None => drop(wishes.unclear.insert(found.name)),
                Some(value) if value.node == node => wishes.own.push(Wish { value, revision }),
                Some(value) => wishes.others.push((found.name, value.node, revision)),
            }
        }
        Ok(wishes)
    }

    /// What they want of drives in this node, by the drive, without consents of before this start of the machine. Pure.
    pub(super) fn standing(&self, boot: &str) -> BTreeMap<String, WishValue> {
        let standing = self.own.iter().map(|wish| {
            let mut wish = wish.value.clone();
            wish.consent = wish.consent.filter(|consent| !is_of_before(consent, boot));
            (wish.drive.clone(), wish)
        });
        standing.collect()
    }

    /// Takes wishes back that are about drives which need not be remembered any more, and of nodes that are no members.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) async fn forget(
        &self,
        record: &Record,
        drives: &[Drive],
        members: &BTreeSet<String>,
    ) -> Result<(), RecordError> {
        let own = self.own.iter().filter(|wish| drives.iter().all(|drive| drive.id != wish.value.drive));
        let own = own.map(|wish| (wish.value.drive.as_str(), wish.revision));
        let strangers = self.others.iter().filter(|(_, node, _)| !members.contains(node));
        let strangers = strangers.map(|(drive, _, revision)| (drive.as_str(), *revision)).take(STRANGERS);
        for (drive, revision) in own.chain(strangers) {
            let key = store::wish_key(drive);
            // Somebody may want something else of it at this moment: that stays.
            record.commit(Change::default().if_unchanged(&key, revision).delete(&key)).await?;
        }
        Ok(())
    }

    /// Takes consents back that have outlived what they were given to, and binds others to this start of the machine where
    /// who took them did not know it; false where somebody changed one of them meanwhile.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) async fn end(
        &self,
        record: &Record,
        case: &Case<'_>,
        weighed: &mut BTreeMap<String, ConsentValue>,
    ) -> Result<bool, RecordError> {
        let mut all = true;
        for wish in &self.own {
            let id = &wish.value.drive;
            let Some(consent) = &wish.value.consent else { continue };
            let Some(drive) = case.drives.iter().find(|drive| drive.id == *id) else { continue };
            let key = store::wish_key(id);
            let change = Change::default().if_unchanged(&key, wish.revision);
            if outlived(consent, drive, case) {
                let left = WishValue { consent: None, ..wish.value.clone() };
                let change =
                    if left.retire.is_some() { change.put(&key, &left)? } else { change.delete(&key) };
                let done = record.commit(change).await?;
                if done {
                    tracing::info!(id, "consent to take a drive has ended");
                }
                all &= done;
            } else if consent.boot.is_empty() && !case.boot.is_empty() && weighed.get(id) == Some(consent) {
                let bound = ConsentValue { boot: case.boot.to_owned(), ..consent.clone() };
                let left = WishValue { consent: Some(bound.clone()), ..wish.value.clone() };
                if record.commit(change.put(&key, &left)?).await? {
                    weighed.insert(id.clone(), bound);
                }
            }
        }
        Ok(all)
    }
}

/// Whether a consent was given before the machine started: then nobody saw what became of its drives meanwhile. Pure.
fn is_of_before(consent: &ConsentValue, boot: &str) -> bool {
    !boot.is_empty() && !consent.boot.is_empty() && consent.boot != boot
}

/// Whether a consent counts no longer: the machine started anew, the drive was away, or somebody else has had it for
/// himself. What is on it may have gone elsewhere, been used, and come back. Pure.
fn outlived(consent: &ConsentValue, drive: &Drive, case: &Case<'_>) -> bool {
    let seen = case.seen.iter().find(|seen| seen.id == drive.id);
    let held = seen.is_some_and(|seen| !seen.held.is_empty());
    let idle = matches!(drive.usage, Usage::Unused | Usage::Spare | Usage::Foreign);
    is_of_before(consent, case.boot)
        || drive.state == State::Gone
        || (held && drive.state == State::Refused)
        || (idle && case.interrupted.contains_key(&drive.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_are_asked_for_again_where_a_consent_is_outlived() {
        let consent =
            |boot: &str| ConsentValue { token: "t".into(), boot: boot.into(), ..ConsentValue::default() };
        let drive = |state, usage| Drive { id: "sn-a".into(), state, usage, ..Drive::default() };
        let seen = |held: &str| vec![Seen { id: "sn-a".into(), held: held.into(), ..Seen::default() }];
        let (spare, osd) =
            (|| drive(State::Spare, Usage::Spare), || drive(State::InUse, Usage::Osd { id: 1 }));
        let refused = || drive(State::Refused, Usage::Foreign);
        let (never, once) = (BTreeMap::new(), BTreeMap::from([("sn-a".to_owned(), 3)]));
        let rows = [
            ("it stands", consent("b1"), spare(), seen(""), &never, false),
            ("of an older member", consent(""), spare(), seen(""), &never, false),
            ("the machine started anew", consent("b0"), spare(), seen(""), &never, true),
            ("gone", consent("b1"), drive(State::Gone, Usage::Foreign), vec![], &never, true),
            ("mounted", consent("b1"), refused(), seen("it is mounted"), &never, true),
            ("was away, or mounted, and is not any more", consent("b1"), spare(), seen(""), &once, true),
            ("held by storage", consent("b1"), osd(), seen("open"), &once, false),
        ];
        for (name, consent, drive, seen, interrupted, want) in rows {
            let drives = [drive.clone()];
            let case = Case { boot: "b1", interrupted, seen: &seen, drives: &drives };
            assert_eq!(outlived(&consent, &drive, &case), want, "{name}");
        }
        let value = |boot: &str| WishValue {
            drive: boot.into(),
            consent: Some(consent(boot)),
            ..WishValue::default()
        };
        let own = ["b0", "b1", ""].map(|boot| Wish { value: value(boot), revision: 1 }).into();
        let wishes = Wishes { own, ..Wishes::default() };
        let standing = wishes.standing("b1");
        let stands: Vec<_> =
            standing.values().map(|wish| (wish.drive.as_str(), wish.consent.is_some())).collect();
        assert_eq!(stands, [("", true), ("b0", false), ("b1", true)]);
        assert!(wishes.standing("").values().all(|wish| wish.consent.is_some()), "no start is known");
    }
}
