//! Which certificates are good for something: those of members, by id and key. A certificate of the cluster's CA alone is
//! good for nothing, so a node that was removed, or whose machine was installed anew, is refused before its certificate
//! runs out. What is known is as old as the last look at the record, a few seconds; whoever is not in it is looked up.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;

use super::values::RemovedValue;
use crate::app::App;
use crate::http::error::ApiError;
use crate::pki::peer::PeerNode;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;

/// The bearer of a certificate of our CA whose time is over, or has not begun: he may ask for a new one, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lapsed(pub(crate) Option<PeerNode>);

/// Who is a member, and who was.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Digest of the key, by node id.
    members: BTreeMap<String, String>,
    removed: Vec<RemovedValue>,
    /// Digests of keys that were members' since we listen, and are no more: their machines were installed anew.
    former: BTreeSet<String>,
}

/// What a certificate is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its bearer is a member.
    Member,
    /// It was one.
    Removed(Box<RemovedValue>),
    /// We have not heard of it.
    Unknown,
}

impl Known {
    /// Takes over what the record says.
    pub(crate) fn set(&mut self, nodes: &[NodeValue], removed: Vec<RemovedValue>) {
        let before = std::mem::take(&mut self.members);
        self.members = nodes.iter().map(|node| (node.id.clone(), node.key_sha256.clone())).collect();
        self.removed = removed;
        self.former.extend(before.into_values());
        for key in self.members.values() {
            self.former.remove(key);
        }
    }

    /// Digests of the keys that are good for nothing any more.
    pub(crate) fn removed_keys(&self) -> BTreeSet<String> {
        let removed = self.removed.iter().map(|removed| removed.key_sha256.clone());
        removed.chain(self.former.iter().cloned()).collect()
    }

    /// What the certificate of `node` is good for. Pure.
    pub(crate) fn judge(&self, node: &PeerNode) -> Standing {
        if let Some(removed) = find_removed(&self.removed, &node.node_id, &node.key_sha256) {
            return Standing::Removed(Box::new(removed.clone()));
        }
        if self.members.get(&node.node_id) == Some(&node.key_sha256) {
            return Standing::Member;
        }
        Standing::Unknown
    }
}

/// The tombstone of a node, by its id or its key. Pure.
pub(crate) fn find_removed<'a>(
    removed: &'a [RemovedValue],
    node_id: &str,
    key_sha256: &str,
) -> Option<&'a RemovedValue> {
    removed.iter().find(|removed| removed.id == node_id || removed.key_sha256 == key_sha256)
}

/// Whether the bearer of a certificate is a member.
///
/// # Errors
/// The answer to give instead.
pub(crate) async fn check(app: &App, node: &PeerNode) -> Result<(), ApiError> {
    match app.trust.judge(node) {
        Standing::Member => return Ok(()),
        Standing::Removed(removed) => return Err(gone(&removed)),
        Standing::Unknown => {}
    }
    // It may have joined a moment ago.
    let record = &app.member()?.record;
    if let Some(removed) = record.get::<RemovedValue>(&under(keys::REMOVED, &node.node_id)).await? {
        return Err(gone(&removed.value));
    }
    let found = record.get::<NodeValue>(&under(keys::NODES, &node.node_id)).await?;
    if found.is_some_and(|found| found.value.key_sha256 == node.key_sha256) {
        return Ok(());
    }
    let detail = "the certificate is of this cluster's CA, and its bearer is not among the members; \
                  `maekin-agent status` on a member lists them";
    Err(ApiError::new(StatusCode::FORBIDDEN, "not-among-members", "Who asks is no member", detail))
}

/// What a node is told that was a member.
pub(crate) fn gone(removed: &RemovedValue) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "removed", "This node was removed from the cluster", words(removed))
}

/// That in words.
pub(crate) fn words(removed: &RemovedValue) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(removed.at).unwrap_or(0)).unwrap_or_default();
    format!(
        "{} was removed from the cluster by {} at {at}; to use its machine again, install it anew",
        removed.name, removed.by
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_only_members_certificates_are_good() {
        let node =
            |id: &str, key: &str| NodeValue { id: id.into(), key_sha256: key.into(), ..NodeValue::default() };
        let gone = |id: &str, key: &str| RemovedValue {
            id: id.into(),
            key_sha256: key.into(),
            ..RemovedValue::default()
        };
        let mut known = Known::default();
        known.set(&[node("a", "1"), node("b", "2"), node("x", "9")], vec![gone("c", "3"), gone("x", "8")]);
        let rows = [
            ("a member", "a", "1", "member"),
            ("its id with another key", "a", "7", "unknown"),
            ("another one's key", "a", "2", "unknown"),
            ("nobody", "z", "26", "unknown"),
            ("removed", "c", "3", "removed"),
            ("removed, under another id", "d", "3", "removed"),
            ("removed, with another key", "c", "4", "removed"),
            ("removed outranks member", "x", "9", "removed"),
        ];
        for (name, id, key, want) in rows {
            let got = match known.judge(&PeerNode { node_id: id.into(), key_sha256: key.into() }) {
                Standing::Member => "member",
                Standing::Removed(_) => "removed",
                Standing::Unknown => "unknown",
            };
            assert_eq!(got, want, "{name}");
        }
        let keys = |known: &Known| known.removed_keys().into_iter().collect::<Vec<_>>();
        assert_eq!(keys(&known), ["3", "8"]);
        // The machine of b is installed anew, as d.
        known.set(&[node("a", "1"), node("d", "4")], vec![gone("c", "3")]);
        assert_eq!(keys(&known), ["2", "3", "9"], "connections of the old b, and of x, are closed");
        known.set(&[node("a", "1"), node("d", "4")], vec![gone("c", "3")]);
        assert_eq!(keys(&known), ["2", "3", "9"], "and stay so");
        known.set(&[node("a", "1"), node("d", "4"), node("b", "2")], vec![gone("c", "3")]);
        assert_eq!(keys(&known), ["3", "9"], "a key that is a member's is not closed");
    }
}
