//! Storage of this node and of the cluster: how much there is, what is wrong with it, and the engines that keep volumes.
//!
//! | module | job |
//! | --- | --- |
//! | [`local`] | the engine of class `local`: LVM thin volumes on the data mirror |
//! | [`alarms`] | what is wrong (pure) |
//! | [`classes`] | all of it by class and node (pure) |
//! | [`routes`] | what can be asked |

pub(crate) mod alarms;
mod classes;
pub(crate) mod local;
pub(crate) mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use maekin_api::alarm::Alarm;
use maekin_api::boot_drives::State;
use maekin_api::node::LocalPool;
use maekin_api::storage::{Copies, NodeStorage, PoolMode, WARN_PERCENT};
use maekin_image::ids::Array;
use tokio::sync::Notify;

use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::record::keys::{self, under};
use crate::record::{Change, Versioned};
use crate::volumes::engine::Seen;
use crate::volumes::values::{PartValue, VolumeValue};

/// Most volumes that nobody knows which are named.
const UNKNOWN: usize = 32;
/// Most characters of why nothing is seen.
const WHY: usize = 300;

/// Storage of this node, as it was seen last.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    shared: Mutex<Shared>,
    call: Notify,
}

#[derive(Debug, Default)]
struct Shared {
    storage: Option<NodeStorage>,
    /// What the record was told last.
    told: Option<NodeStorage>,
    alarms: Vec<Alarm>,
    /// What was seen when the pool was made ready, until somebody asks for it.
    prepared: Option<local::Prepared>,
    /// Somebody was told that it is not ready yet.
    awaited: bool,
    /// The record was told that it is not ready yet.
    doubted: bool,
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is; `None` while it was not looked at.
    pub(crate) fn report(&self) -> Option<NodeStorage> {
        self.lock().storage.clone()
    }

    /// What the record was told is not known any more: it may be another one.
    pub(crate) fn untold(&self) {
        self.lock().told = None;
    }

    /// What a person should know of.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        self.lock().alarms.clone()
    }

    /// The pool of this node was looked at, and made where it was missing: how it is, and what was seen then.
    pub(crate) fn prepared(&self, app: &App, pool: LocalPool, prepared: Option<local::Prepared>) {
        // Before anybody may use the pool: what was seen is not how it is once somebody has.
        self.lock().prepared = prepared;
        app.set_local_pool(pool);
        if std::mem::take(&mut self.lock().awaited) {
            self.call.notify_one();
        }
    }

    /// The pool is not looked at yet, and somebody comes back when it is.
    fn await_pool(&self) {
        self.lock().awaited = true;
    }

    /// That, once: nobody has changed it since.
    fn take_prepared(&self) -> Option<local::Prepared> {
        self.lock().prepared.take()
    }

    /// Waits until something is to be looked at that no volume's change tells of: a pool is ready.
    pub(crate) async fn called(&self) {
        self.call.notified().await;
    }

    /// Takes in what the engine saw; tells the record what matters of it.
    pub(crate) async fn looked(
        &self,
        app: &App,
        member: &Member,
        seen: &Seen,
        volumes: &[Versioned<VolumeValue>],
        told: Option<&BTreeMap<String, PartValue>>,
    ) {
        let mut storage = NodeStorage { pool: app.local_pool(), ..seen.storage.clone() };
        (storage.unknown, storage.unknown_count) = unknown(seen, volumes);
        storage.snapshots = count(seen.snapshots.len());
        let parts = told.into_iter().flat_map(BTreeMap::values);
        let of_volumes = parts.filter_map(alarms::of_volume).collect();
        self.take(app, member, storage, volumes, of_volumes).await;
    }

    /// The same where the engine does not say, and `why`.
    pub(crate) async fn unusable(
        &self,
        app: &App,
        member: &Member,
        why: &str,
        volumes: &[Versioned<VolumeValue>],
        told: Option<&BTreeMap<String, PartValue>>,
    ) {
        let storage = match app.local_pool() {
            LocalPool::Pending => return self.not_ready(app, member, volumes).await,
            pool @ LocalPool::Failed { .. } => NodeStorage { pool, ..NodeStorage::default() },
            // That nothing is seen of it is no reason to make another one, and none to call its volumes whole.
            pool @ LocalPool::Ready { .. } => NodeStorage {
                pool,
                mode: PoolMode::Unknown,
                unseen: bounded(why),
                ..self.report().unwrap_or_default()
            },
        };
        let parts = told.into_iter().flat_map(BTreeMap::values);
        let of_volumes = parts.filter_map(alarms::of_volume).collect();
        self.take(app, member, storage, volumes, of_volumes).await;
    }

    /// The pool is not looked at yet: what the record has of before the start is not how it is now.
    async fn not_ready(&self, app: &App, member: &Member, volumes: &[Versioned<VolumeValue>]) {
        // Of a node without volumes nobody takes it to be whole; and it is said once.
        if volumes.is_empty() || self.report().is_some() || std::mem::replace(&mut self.lock().doubted, true)
        {
            return;
        }
        let key = under(keys::STORAGE, &app.node_id);
        let write = async {
            let Some(before) = member.record.get::<NodeStorage>(&key).await? else { return Ok(true) };
            let Some(doubt) = doubt(&before.value, now()) else { return Ok(true) };
            let change = Change::default().if_unchanged(&key, before.revision).put(&key, &doubt)?;
            member.record.commit(change).await
        };
        let told: Result<bool, crate::record::RecordError> = write.await;
        if let Err(e) = told {
            tracing::debug!(error = %chain(&e), "that the pool is not ready is not told");
            self.lock().doubted = false;
        }
    }

    async fn take(
        &self,
        app: &App,
        member: &Member,
        mut storage: NodeStorage,
        volumes: &[Versioned<VolumeValue>],
        of_volumes: Vec<Alarm>,
    ) {
        storage.id.clone_from(&app.node_id);
        storage.name.clone_from(&app.config.hostname);
        storage.told = now();
        storage.volumes = count(volumes.len());
        storage.promised = volumes.iter().fold(0, |sum, found| found.value.size.saturating_add(sum));
        storage.copies = copies(app);
        {
            let mut shared = self.lock();
            let mut alarms = alarms::of(&storage, &shared.alarms, storage.told);
            alarms.extend(of_volumes);
            shared.alarms = alarms;
            shared.storage = Some(storage.clone());
            if shared.told.as_ref().is_some_and(|told| !matters(told, &storage)) {
                return;
            }
        }
        let key = under(keys::STORAGE, &app.node_id);
        let write = async {
            let before = member.record.get::<NodeStorage>(&key).await;
            // One that a newer release wrote is told anew.
            if let Ok(Some(before)) = before
                && !matters(&before.value, &storage)
            {
                return Ok(true);
            }
            let node = under(keys::NODES, &app.node_id);
            let Some(own) = member.record.get::<crate::record::values::NodeValue>(&node).await? else {
                return Ok(false); // removed: nobody wants to know
            };
            let change = Change::default().if_created_at(&node, own.created).put(&key, &storage)?;
            member.record.commit(change).await
        };
        match write.await {
            Ok(true) => self.lock().told = Some(storage),
            Ok(false) => {}
            Err(e) => tracing::debug!(error = %chain(&e), "how much room there is, is not told"),
        }
    }
}

/// What is told of a pool that is not looked at yet, where the record has `before`; `None`: nothing new. Pure.
fn doubt(before: &NodeStorage, now: u64) -> Option<NodeStorage> {
    let ready = matches!(before.pool, LocalPool::Ready { .. });
    let doubt =
        NodeStorage { pool: LocalPool::Pending, mode: PoolMode::Unknown, told: now, ..before.clone() };
    ready.then_some(doubt)
}

/// What a program said, for the record. Pure.
fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WHY).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// What the engine has that the record knows nothing of: the first of them, and how many there are. Pure.
fn unknown(seen: &Seen, volumes: &[Versioned<VolumeValue>]) -> (Vec<String>, u64) {
    let known: BTreeSet<&str> = volumes.iter().map(|found| found.value.id.as_str()).collect();
    let kept = volumes.iter().flat_map(|found| found.value.snapshots.iter().map(|s| s.id.as_str()));
    let kept: BTreeSet<&str> = kept.collect();
    let ids = seen.volumes.keys().filter(|id| !known.contains(id.as_str()));
    let ids = ids.chain(seen.snapshots.keys().filter(|id| !kept.contains(id.as_str())));
    (ids.clone().take(UNKNOWN).cloned().collect(), count(ids.count()))
}

/// How often each byte of the data mirror is kept.
fn copies(app: &App) -> Copies {
    let report = app.boot_drives.report();
    let Some(array) = report.arrays.iter().find(|array| array.name == Array::Data.name()) else {
        return Copies::default();
    };
    let wanted = if report.state == State::Single { 1 } else { array.wanted };
    let rebuilding = ["recover", "resync"].contains(&array.action.as_str());
    Copies { wanted, have: array.in_sync, rebuilding }
}

/// Whether what differs is worth a write: room in whole percents. Pure.
fn matters(told: &NodeStorage, now: &NodeStorage) -> bool {
    let rough = |storage: &NodeStorage| NodeStorage {
        told: 0,
        used: 0,
        used_share: storage.used_share / 100,
        metadata_share: storage.metadata_share / 100,
        ..storage.clone()
    };
    rough(told) != rough(now)
}

/// Whether a look at how much room there is calls for one at everything. Pure.
pub(crate) fn calls(before: &NodeStorage, now: &NodeStorage) -> bool {
    let warn = u16::from(WARN_PERCENT) * 100;
    let over = |share: u16| share >= warn;
    let percent = |share: u16| share / 100;
    before.mode != now.mode
        || over(now.used_share) && percent(before.used_share) != percent(now.used_share)
        || over(now.metadata_share) && percent(before.metadata_share) != percent(now.metadata_share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_room_is_told_in_whole_percents_and_looked_after_when_it_is_little() {
        let room = |used_share, metadata_share, mode| NodeStorage {
            used_share,
            metadata_share,
            mode,
            told: u64::from(used_share),
            used: u64::from(used_share) << 20,
            ..NodeStorage::default()
        };
        use PoolMode::{Full, Writable};
        // Name; before; now; is it told; is it looked after.
        let rows = [
            ("the same", room(100, 100, Writable), room(100, 100, Writable), false, false),
            ("a little", room(100, 100, Writable), room(199, 100, Writable), false, false),
            ("a percent", room(100, 100, Writable), room(200, 100, Writable), true, false),
            ("over the mark", room(7999, 100, Writable), room(8001, 100, Writable), true, true),
            ("beyond it", room(8001, 100, Writable), room(8100, 100, Writable), true, true),
            ("a little beyond it", room(8001, 100, Writable), room(8020, 100, Writable), false, false),
            ("its tables", room(100, 7999, Writable), room(100, 8000, Writable), true, true),
            ("full", room(9990, 100, Writable), room(9990, 100, Full), true, true),
        ];
        for (name, before, now, told, called) in rows {
            assert_eq!((matters(&before, &now), calls(&before, &now)), (told, called), "{name}");
        }
    }

    #[test]
    fn local_a_pool_of_before_the_start_is_not_called_ready() {
        let told =
            |pool| NodeStorage { pool, used: 7, mode: PoolMode::Writable, told: 1, ..NodeStorage::default() };
        let doubted = doubt(&told(LocalPool::Ready { size: 9 }), 5).unwrap();
        let want = NodeStorage { told: 5, mode: PoolMode::Unknown, ..told(LocalPool::Pending) };
        assert_eq!(doubted, want, "numbers are of before");
        assert_eq!(doubt(&doubted, 6), None, "once");
        assert_eq!(doubt(&told(LocalPool::Failed { reason: "ext4".into() }), 6), None);
    }

    #[test]
    fn local_volumes_that_nobody_asked_for_are_named() {
        let mut seen = Seen::default();
        for id in ["1", "2"] {
            seen.volumes.insert(id.into(), Default::default());
        }
        for id in ["s1", "s2"] {
            seen.snapshots.insert(id.into(), Default::default());
        }
        let mut value = VolumeValue { id: "1".into(), ..VolumeValue::default() };
        value.snapshots.push(crate::volumes::values::SnapshotValue { id: "s1".into(), ..Default::default() });
        let known = Versioned { value, revision: 1, created: 1, lease: 0 };
        assert_eq!(unknown(&seen, &[known]), (vec!["2".to_owned(), "s2".to_owned()], 2));
        assert_eq!(unknown(&seen, &[]).1, 4);
        // As after an older record was put back: all are counted, whatever is named.
        seen.volumes.extend((0..400).map(|n| (format!("v{n}"), Default::default())));
        let (named, count) = unknown(&seen, &[]);
        assert_eq!((named.len(), count), (UNKNOWN, 404));
    }
}
