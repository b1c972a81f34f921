//! What is wrong with storage, in words. Pure.

use maekin_api::alarm::{Alarm, Severity};
use maekin_api::node::LocalPool;
use maekin_api::settings::ConditionStatus;
use maekin_api::storage::{CRITICAL_PERCENT, NodeStorage, PoolMode, WARN_PERCENT};
use maekin_api::volumes::condition;

use crate::volumes::values::PartValue;

/// What is wrong with a node's storage; since when, where `before` knew of it.
pub(crate) fn of(storage: &NodeStorage, before: &[Alarm], now: u64) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut say = |id: &str, severity, what: String, remedy: &str| {
        let since = before.iter().find(|alarm| alarm.id == id).map_or(now, |alarm| alarm.since);
        alarms.push(Alarm { id: id.to_owned(), severity, since, what, remedy: remedy.to_owned() });
    };
    if let LocalPool::Failed { reason } = &storage.pool {
        say(
            "local-pool-failed",
            Severity::Warning,
            format!("The pool for local volumes cannot be used: {reason}"),
            "See `journalctl -u maekin-agent`, `pvs` and `lvs` on the node; it is tried again by itself.",
        );
        return alarms;
    }
    if !storage.unseen.is_empty() {
        say(
            "local-pool-unseen",
            Severity::Critical,
            format!("It cannot be seen how the local volumes of this node are: {}", storage.unseen),
            "See `journalctl -u maekin-agent`, and `lvs` and `dmsetup status` on the node; it is tried again by itself.",
        );
        return alarms; // what else is known is of before then
    }
    let percent = |share: u16| format!("{}.{:02}%", share / 100, share % 100);
    let room = "Delete volumes or snapshots (`maekin get volumes`), or trim file systems on them; what was written \
                stays in any case.";
    match storage.mode {
        PoolMode::Failed => say(
            "local-pool-mode",
            Severity::Critical,
            "The pool for local volumes has failed: its volumes answer nothing.".to_owned(),
            "Look at the drives and at the kernel's messages (`journalctl -k`), then restart the node.",
        ),
        PoolMode::ReadOnly => say(
            "local-pool-mode",
            Severity::Critical,
            "The pool for local volumes takes no writes: its tables are full or damaged.".to_owned(),
            "Detach its volumes, then on the node: `lvchange -an maekin/local; lvconvert --repair maekin/local`.",
        ),
        PoolMode::Full => say(
            "local-pool-mode",
            Severity::Critical,
            "The pool for local volumes is full: writes to new places fail.".to_owned(),
            room,
        ),
        PoolMode::Unknown if matches!(storage.pool, LocalPool::Ready { .. }) => say(
            "local-pool-mode",
            Severity::Critical,
            "It is not known what the pool for local volumes takes.".to_owned(),
            "See `lvs` and `dmsetup status` on the node, and the kernel's messages (`journalctl -k`).",
        ),
        PoolMode::Writable | PoolMode::Unknown => {}
    }
    let shares = [
        ("local-pool-room", "The pool for local volumes is", storage.used_share),
        ("local-pool-tables", "The tables of the pool for local volumes are", storage.metadata_share),
    ];
    for (id, what, share) in shares {
        let severity = match share / 100 {
            full if full >= u16::from(CRITICAL_PERCENT) => Severity::Critical,
            full if full >= u16::from(WARN_PERCENT) => Severity::Warning,
            _ => continue,
        };
        let grows = match storage.growable {
            0 => "and cannot grow any more",
            _ => "and grow by themselves",
        };
        say(id, severity, format!("{what} {} full, {grows}.", percent(share)), room);
    }
    if let Some(first) = storage.unknown.first() {
        let count = storage.unknown_in_all();
        say(
            "local-volumes-unknown",
            Severity::Warning,
            format!(
                "There are {count} local volumes that the cluster knows nothing of, e.g. {first}; they are left alone."
            ),
            "The record was put back from an earlier copy, somebody made them by hand, or they are of an earlier \
             installation of the machine. Save what is on them, and \
             remove them with `lvremove` on the node.",
        );
    }
    alarms
}

/// What is wrong with a volume, for as long as it is.
pub(crate) fn of_volume(part: &PartValue) -> Option<Alarm> {
    let wrong = |c: &&maekin_api::settings::Condition| {
        c.status == ConditionStatus::False && c.kind != condition::READY
    };
    let found = part.conditions.iter().find(wrong)?;
    let lost = found.reason == "Lost";
    Some(Alarm {
        id: format!("volume-{}", part.name),
        severity: if lost { Severity::Critical } else { Severity::Warning },
        since: found.since,
        what: format!(
            "Volume {} is not as it shall be ({}, {}): {}",
            part.name, found.kind, found.reason, found.message
        ),
        remedy: "See `maekin describe volume`; what can be mended is tried again by itself.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::settings::Condition;

    #[test]
    fn local_a_pool_is_warned_of_at_80_and_critical_at_95_percent() {
        use PoolMode::{Failed, Full, ReadOnly, Unknown, Writable};
        use Severity::{Critical, Warning};
        let pool = |used_share, metadata_share, mode| NodeStorage {
            pool: LocalPool::Ready { size: 1 },
            used_share,
            metadata_share,
            mode,
            ..NodeStorage::default()
        };
        type Row<'a> = (&'a str, NodeStorage, &'a [(&'a str, Severity)]);
        let rows: [Row<'_>; 13] = [
            ("empty", pool(0, 1000, Writable), &[]),
            ("not known", pool(0, 0, Unknown), &[("local-pool-mode", Critical)]),
            ("not looked at yet", NodeStorage { pool: LocalPool::Pending, ..pool(0, 0, Unknown) }, &[]),
            ("nearly", pool(7999, 7999, Writable), &[]),
            ("warned", pool(8000, 0, Writable), &[("local-pool-room", Warning)]),
            ("critical", pool(9500, 0, Writable), &[("local-pool-room", Critical)]),
            ("tables", pool(0, 8000, Writable), &[("local-pool-tables", Warning)]),
            (
                "both",
                pool(9900, 9600, Writable),
                &[("local-pool-room", Critical), ("local-pool-tables", Critical)],
            ),
            ("full", pool(10_000, 0, Full), &[("local-pool-mode", Critical), ("local-pool-room", Critical)]),
            ("read-only", pool(0, 0, ReadOnly), &[("local-pool-mode", Critical)]),
            ("failed", pool(0, 0, Failed), &[("local-pool-mode", Critical)]),
            (
                "not seen",
                NodeStorage { unseen: "lvs failed".into(), ..pool(9900, 0, Unknown) },
                &[("local-pool-unseen", Critical)],
            ),
            (
                "no pool",
                NodeStorage { pool: LocalPool::Failed { reason: "ext4".into() }, ..pool(9900, 0, Writable) },
                &[("local-pool-failed", Warning)],
            ),
        ];
        for (name, storage, want) in rows {
            let alarms = of(&storage, &[], 5);
            let got: Vec<_> = alarms.iter().map(|alarm| (alarm.id.as_str(), alarm.severity)).collect();
            assert_eq!(got, want, "{name}");
            let later = of(&storage, &alarms, 9);
            assert!(later.iter().all(|alarm| alarm.since == 5), "{name}: since when stays");
        }
        let unknown = NodeStorage { unknown: vec!["x".into()], ..pool(0, 0, Writable) };
        assert_eq!(of(&unknown, &[], 5)[0].id, "local-volumes-unknown");
        let many = NodeStorage { unknown_count: 400, ..unknown };
        assert!(of(&many, &[], 5)[0].what.contains("400 local volumes"), "all are counted");
    }

    #[test]
    fn local_a_lost_volume_is_a_critical_alarm() {
        let said = |kind: &str, status, reason: &str| Condition {
            kind: kind.into(),
            status,
            reason: reason.into(),
            since: 3,
            ..Condition::default()
        };
        let part = |reason| PartValue {
            name: "db".into(),
            conditions: vec![
                said("Ready", ConditionStatus::False, "Provisioned"),
                said("Attached", ConditionStatus::Unknown, "WaitsForVolume"),
                said("Provisioned", ConditionStatus::False, reason),
            ],
            ..PartValue::default()
        };
        let lost = of_volume(&part("Lost")).unwrap();
        assert_eq!((lost.id.as_str(), lost.severity, lost.since), ("volume-db", Severity::Critical, 3));
        assert_eq!(of_volume(&part("Failed")).unwrap().severity, Severity::Warning);
        assert_eq!(of_volume(&PartValue::default()), None);
    }
}
