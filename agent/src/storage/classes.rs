//! Storage of the cluster by class and node. Pure.

use maekin_api::node::LocalPool;
use maekin_api::storage::{ClassStorage, NodeStorage, Storage, StorageAlarm, Thresholds};
use maekin_api::volumes::{Class, Volume};

use super::alarms;
use crate::volumes::store;

/// All of it: what each member says, and how its volumes are.
pub(super) fn storage(nodes: &[NodeStorage], volumes: &[Volume]) -> Storage {
    let class = |class: Class| {
        let volumes: Vec<_> = volumes.iter().filter(|volume| volume.class == class).collect();
        let worst = volumes.iter().map(|volume| volume.health.state).max();
        let promised = volumes.iter().fold(0_u64, |sum, volume| sum.saturating_add(volume.size));
        let count = u64::try_from(volumes.len()).unwrap_or(u64::MAX);
        let nodes = if class == Class::Local { nodes.to_vec() } else { Vec::new() };
        let sum = |of: fn(&NodeStorage) -> u64| nodes.iter().map(of).fold(0, u64::saturating_add);
        let (capacity, used) = (sum(|node| node.capacity), sum(|node| node.used));
        let why = why(class, &nodes);
        ClassStorage {
            class,
            available: why.is_empty(),
            why,
            capacity,
            used,
            promised,
            volumes: count,
            worst,
            thresholds: Thresholds::default(),
            nodes,
        }
    };
    let told = |node: &NodeStorage| {
        let alarms = alarms::of(node, &[], node.told);
        let name = node.name.clone();
        alarms.into_iter().map(move |alarm| StorageAlarm { node: name.clone(), alarm })
    };
    let mut all: Vec<StorageAlarm> = nodes.iter().flat_map(told).collect();
    all.sort_by_key(|told| std::cmp::Reverse(told.alarm.severity)); // stable: by node otherwise
    Storage { classes: Class::ALL.map(class).into(), alarms: all }
}

/// Why no volume of a class can be made; empty where one can.
fn why(class: Class, nodes: &[NodeStorage]) -> String {
    if let Err(e) = store::engine(class) {
        return e.to_string();
    }
    if nodes.iter().any(|node| matches!(node.pool, LocalPool::Ready { .. })) {
        return String::new();
    }
    let failed = nodes.iter().find_map(|node| match &node.pool {
        LocalPool::Failed { reason } => Some(format!("{}: {reason}", node.name)),
        _ => None,
    });
    failed.unwrap_or_else(|| "no node has said that its pool is ready".to_owned())
}

#[cfg(test)]
mod tests {
    use maekin_api::storage::PoolMode;

    use super::*;

    #[test]
    fn volumes_classes_sum_up_their_nodes_and_say_what_cannot_be_made() {
        let node = |name: &str, used_share| NodeStorage {
            id: name.into(),
            name: name.into(),
            pool: LocalPool::Ready { size: 100 },
            capacity: 100,
            used: 10,
            used_share,
            mode: PoolMode::Writable,
            ..NodeStorage::default()
        };
        let told = storage(&[node("a", 100), node("b", 8000), node("c", 9600)], &[]);
        let words: Vec<_> = told.classes.iter().map(|c| (c.class.word(), c.available)).collect();
        assert_eq!(words, [("local", true), ("mirror", false), ("pool", false)]);
        assert_eq!((told.classes[0].capacity, told.classes[0].used), (300, 30));
        assert!(told.classes[2].why.contains("this release"), "{}", told.classes[2].why);
        assert!(told.classes[2].nodes.is_empty());
        let alarms: Vec<_> = told.alarms.iter().map(|alarm| alarm.node.as_str()).collect();
        assert_eq!(alarms, ["c", "b"], "the worst first");
        let none = storage(&[], &[]);
        assert!(!none.classes[0].available && none.classes[0].why.contains("no node"));
    }
}
