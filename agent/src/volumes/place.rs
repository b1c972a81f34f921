//! Which node gets a new volume of a class that is kept on nodes. Pure.

use maekin_api::node::LocalPool;
use maekin_api::storage::{CRITICAL_PERCENT, NodeStorage, PoolMode};

use super::VolumeError;

/// A member that could take it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidate {
    /// Its id.
    pub(crate) id: String,
    /// Its host name.
    pub(crate) name: String,
    /// Whether it gives signs of life.
    pub(crate) alive: bool,
    /// Whether it is in maintenance.
    pub(crate) maintenance: bool,
    /// How much room it has; absent while it has not said.
    pub(crate) storage: Option<NodeStorage>,
    /// Bytes that the volumes that it shall have may come to use, also those that it has not made yet.
    pub(crate) promised: u64,
    /// Volumes and snapshots that it has or shall have.
    pub(crate) things: u64,
}

/// Chooses the node: the named one, or of all that can take it the one with most room that nobody was promised.
///
/// # Errors
/// [`VolumeError`].
pub(crate) fn place(
    candidates: &[Candidate],
    wanted: Option<&str>,
    size: u64,
) -> Result<String, VolumeError> {
    if let Some(wanted) = wanted {
        // Ids go before names, since a name may be chosen to look like another's id.
        let found = candidates
            .iter()
            .find(|node| node.id == wanted)
            .or_else(|| candidates.iter().find(|node| node.name == wanted));
        let node = found.ok_or_else(|| VolumeError::NoNode(crate::install::terms::shown(wanted)))?;
        return match obstacle(node, size) {
            None => Ok(node.id.clone()),
            Some(why) => Err(VolumeError::NoRoom(format!("node: {} cannot take it: {why}", node.name))),
        };
    }
    let able = candidates.iter().filter(|node| !node.maintenance && obstacle(node, size).is_none());
    let room = |node: &&Candidate| {
        let storage = node.storage.as_ref();
        let (capacity, used) = storage.map_or((0, 0), |storage| (storage.capacity, storage.used));
        // Promises beyond what there is count, too: the one that broke fewest goes first.
        let free = i128::from(capacity) - i128::from(used.max(node.promised));
        (free, std::cmp::Reverse(node.name.clone()))
    };
    if let Some(best) = able.max_by_key(room) {
        return Ok(best.id.clone());
    }
    let reason = |node: &Candidate| {
        let why = if node.maintenance { Some("it is in maintenance".to_owned()) } else { None };
        why.or_else(|| obstacle(node, size)).map(|why| format!("{}: {why}", node.name))
    };
    let reasons: Vec<String> = candidates.iter().filter_map(reason).take(8).collect();
    Err(VolumeError::NoRoom(format!("no node can take it: {}", reasons.join("; "))))
}

/// Whether the nodes that have a volume can have another snapshot of it.
///
/// # Errors
/// [`VolumeError::NoRoom`].
pub(crate) fn beside(candidates: &[Candidate], holders: &[String]) -> Result<(), VolumeError> {
    for node in candidates.iter().filter(|node| holders.contains(&node.id)) {
        if let Some(why) = node.storage.as_ref().and_then(|storage| crowded(node, storage)) {
            return Err(VolumeError::NoRoom(format!("{} cannot take it: {why}", node.name)));
        }
    }
    Ok(())
}

/// Why a node cannot have another thing of whatever size: LVM describes all that there are in a text, which has its bound.
fn crowded(node: &Candidate, storage: &NodeStorage) -> Option<String> {
    let things = node.things.saturating_add(storage.unknown_in_all());
    (storage.most > 0 && things >= storage.most).then(|| {
        format!(
            "it has {things} volumes and snapshots, and can have {}; delete snapshots or volumes there",
            storage.most
        )
    })
}

/// Why a node cannot take a volume of that size.
fn obstacle(node: &Candidate, size: u64) -> Option<String> {
    if !node.alive {
        return Some("it gives no sign of life".to_owned());
    }
    let Some(storage) = &node.storage else { return Some("it has not said how much room it has".to_owned()) };
    match &storage.pool {
        LocalPool::Pending => return Some("its pool is not ready yet".to_owned()),
        LocalPool::Failed { reason } => return Some(format!("its pool cannot be used: {reason}")),
        LocalPool::Ready { .. } => {}
    }
    if !storage.unseen.is_empty() {
        return Some(format!("it cannot see how its pool is: {}", storage.unseen));
    }
    match storage.mode {
        PoolMode::Writable => {}
        PoolMode::Unknown => return Some("it does not know what its pool takes".to_owned()),
        PoolMode::Full => return Some("its pool is full".to_owned()),
        PoolMode::ReadOnly | PoolMode::Failed => return Some("its pool takes no writes".to_owned()),
    }
    let critical = u16::from(CRITICAL_PERCENT) * 100;
    if storage.used_share >= critical || storage.metadata_share >= critical {
        return Some(format!("its pool is {CRITICAL_PERCENT}% full or more"));
    }
    if let Some(why) = crowded(node, storage) {
        return Some(why);
    }
    let most = storage.capacity.saturating_add(storage.growable);
    (size > most).then(|| format!("its pool has {most} bytes in all"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: u64 = 1 << 30;

    fn node(name: &str, capacity: u64, used: u64, promised: u64) -> Candidate {
        let storage = NodeStorage {
            pool: LocalPool::Ready { size: capacity },
            capacity,
            used,
            mode: PoolMode::Writable,
            ..NodeStorage::default()
        };
        Candidate {
            id: format!("id-{name}"),
            name: name.into(),
            alive: true,
            maintenance: false,
            storage: Some(storage),
            promised,
            things: 40,
        }
    }

    fn with(mut node: Candidate, change: impl FnOnce(&mut NodeStorage)) -> Candidate {
        change(node.storage.as_mut().unwrap());
        node
    }

    #[test]
    fn volumes_go_where_most_room_is_left_and_never_where_none_is() {
        let two = || vec![node("a", 10 * G, G, 0), node("b", 10 * G, 2 * G, 0)];
        let dead = |name| Candidate { alive: false, ..node(name, 99 * G, 0, 0) };
        // Name; candidates; the node that was named; the one that gets it, or what the error says.
        type Row = (&'static str, Vec<Candidate>, Option<&'static str>, Result<&'static str, &'static str>);
        let rows: Vec<Row> = vec![
            ("most room", two(), None, Ok("id-a")),
            ("by name", two(), Some("b"), Ok("id-b")),
            ("by id", two(), Some("id-b"), Ok("id-b")),
            ("nobody of that name", two(), Some("c"), Err("no member")),
            (
                "promises count",
                vec![node("a", 10 * G, G, 9 * G), node("b", 10 * G, 2 * G, 0)],
                None,
                Ok("id-b"),
            ),
            (
                "the fewest broken promises",
                vec![node("a", 10 * G, G, 90 * G), node("b", 10 * G, G, 50 * G)],
                None,
                Ok("id-b"),
            ),
            ("equal: by name", vec![node("b", G, 0, 0), node("a", G, 0, 0)], None, Ok("id-a")),
            ("a dead one does not", vec![dead("a"), node("b", 5 * G, 0, 0)], None, Ok("id-b")),
            (
                "nor where it is named",
                vec![dead("a"), node("b", 5 * G, 0, 0)],
                Some("a"),
                Err("sign of life"),
            ),
            (
                "maintenance is for others",
                vec![Candidate { maintenance: true, ..node("a", 99 * G, 0, 0) }, node("b", 5 * G, 0, 0)],
                None,
                Ok("id-b"),
            ),
            (
                "but not where it is named",
                vec![Candidate { maintenance: true, ..node("a", 99 * G, 0, 0) }],
                Some("a"),
                Ok("id-a"),
            ),
            ("larger than the pool", vec![node("a", G - 1, 0, 0)], None, Err("bytes in all")),
            ("the pool can grow", vec![with(node("a", G - 1, 0, 0), |s| s.growable = 1)], None, Ok("id-a")),
            (
                "nearly full",
                vec![with(node("a", 9 * G, 0, 0), |s| s.used_share = 9500)],
                None,
                Err("95% full"),
            ),
            (
                "tables full",
                vec![with(node("a", 9 * G, 0, 0), |s| s.metadata_share = 9500)],
                None,
                Err("95%"),
            ),
            (
                "no writes",
                vec![with(node("a", 9 * G, 0, 0), |s| s.mode = PoolMode::ReadOnly)],
                None,
                Err("no writes"),
            ),
            (
                "no pool",
                vec![with(node("a", 9 * G, 0, 0), |s| s.pool = LocalPool::Failed { reason: "ext4".into() })],
                None,
                Err("ext4"),
            ),
            (
                "as many as LVM can describe",
                vec![with(node("a", 9 * G, 0, 0), |s| s.most = 40)],
                None,
                Err("can have 40"),
            ),
            ("one fewer", vec![with(node("a", 9 * G, 0, 0), |s| s.most = 41)], None, Ok("id-a")),
            (
                "one fewer, and one that nobody knows",
                vec![with(node("a", 9 * G, 0, 0), |s| (s.most, s.unknown) = (41, vec!["x".into()]))],
                None,
                Err("has 41 volumes and snapshots"),
            ),
            (
                "one fewer, and many that nobody knows and few are named",
                vec![with(node("a", 9 * G, 0, 0), |s| (s.most, s.unknown_count) = (440, 400))],
                None,
                Err("has 440 volumes and snapshots"),
            ),
            (
                "what its pool takes is not known",
                vec![with(node("a", 9 * G, 0, 0), |s| s.mode = PoolMode::Unknown)],
                None,
                Err("does not know"),
            ),
            (
                "blind",
                vec![with(node("a", 9 * G, 0, 0), |s| s.unseen = "lvs failed".into())],
                None,
                Err("lvs failed"),
            ),
            ("silent", vec![Candidate { storage: None, ..node("a", 0, 0, 0) }], None, Err("has not said")),
            ("nobody", vec![], None, Err("no node")),
        ];
        for (name, candidates, wanted, want) in rows {
            let got = place(&candidates, wanted, G);
            match want {
                Ok(id) => assert_eq!(got.unwrap(), id, "{name}"),
                Err(text) => assert!(got.unwrap_err().to_string().contains(text), "{name}"),
            }
        }
    }

    #[test]
    fn volumes_get_no_more_snapshots_than_their_node_can_describe() {
        let crowd = |most| [with(node("a", 9 * G, 0, 0), |s| s.most = most), node("b", G, 0, 0)];
        let on = |name: &str| vec![format!("id-{name}")];
        let rows = [
            ("room", crowd(41), on("a"), true),
            ("none", crowd(40), on("a"), false),
            ("none on another node", crowd(40), on("b"), true),
            ("not known", crowd(0), on("a"), true),
        ];
        for (name, candidates, holders, want) in rows {
            assert_eq!(beside(&candidates, &holders).is_ok(), want, "{name}");
        }
    }
}
