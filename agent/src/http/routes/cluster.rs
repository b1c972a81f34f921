//! `GET /v1/cluster`: from the record, so that every member gives the same answer; whether a member is there, as this node
//! hears it, which is sooner than its sign of life in the record runs out.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maekin_api::cluster::{Cluster, Member, MemberState};
use maekin_api::nodes::{NodeInfo, NodeState};

use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::install::decide::window_state;
use crate::maintenance;
use crate::record::values::NodeValue;

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Json<Cluster>, ApiError> {
    let member = app.member()?;
    let seen = member.record.overview(&app.node_id).await?;
    let heard: BTreeMap<String, NodeInfo> =
        app.liveness.list(&app).into_iter().map(|info| (info.id.clone(), info)).collect();
    let state = |id: &String| to_state(heard.get(id), seen.alive.contains(id));
    let mut nodes: Vec<_> =
        seen.nodes().into_iter().map(|node| (state(&node.id), node)).map(to_member).collect();
    for node in &mut nodes {
        node.roles = seen.roles.get(&node.id).cloned().unwrap_or_default();
        node.maintenance = seen.maintenance.get(&node.id).map(maintenance::told);
    }
    nodes.sort_by_key(|node| natural(&node.name));
    let cluster = member.cluster.clone();
    Ok(Json(Cluster {
        id: cluster.id,
        name: cluster.name,
        ca_sha256: member.ca_sha256(),
        created_at: cluster.created_at,
        nodes,
        install_window: window_state(seen.window.as_ref(), now()),
        ca_change: crate::trust::ca_change::told(&seen),
        leader: seen.leader.map(|leader| leader.id),
    }))
}

/// Whether a member is there: what gossip says of it; where that says neither, or has never heard of it, whether it renews
/// its sign of life in the record. Pure.
fn to_state(heard: Option<&NodeInfo>, sign: bool) -> MemberState {
    let by_sign = if sign { MemberState::Ready } else { MemberState::Unreachable };
    match heard.map(|info| (info.state, info.heard)) {
        Some((NodeState::Ready, _)) => MemberState::Ready,
        Some((NodeState::Unreachable, Some(_))) => MemberState::Unreachable,
        _ => by_sign,
    }
}

fn to_member((state, node): (MemberState, NodeValue)) -> Member {
    Member {
        id: node.id,
        name: node.name,
        address: node.address,
        url: node.url,
        state,
        version: node.version,
        voter: !node.record_url.is_empty(),
        joined_at: node.joined_at,
        key_sha256: node.key_sha256,
        roles: Vec::new(),
        maintenance: None,
    }
}

/// `node-10` comes after `node-9`.
fn natural(name: &str) -> (String, u64, String) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = name.split_at(name.len() - digits);
    (stem.to_owned(), number.parse().unwrap_or(0), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(state: NodeState, heard: Option<u64>) -> NodeInfo {
        let wire = serde_json::json!({
            "id": "x", "name": "x", "address": "", "url": "", "state": state, "since": 1, "why": "", "version": "",
            "heard": heard, "voter": false, "leader": false, "roles": [], "own": false,
        });
        serde_json::from_value(wire).unwrap()
    }

    #[test]
    fn gossip_a_member_of_the_cluster_is_there_or_not() {
        use MemberState::{Ready, Unreachable};
        let rows = [
            ("it answers, and renews its sign", Some(info(NodeState::Ready, Some(1))), true, Ready),
            ("it answers; its sign is late", Some(info(NodeState::Ready, Some(1))), false, Ready),
            (
                "it died; its sign did not run out yet",
                Some(info(NodeState::Unreachable, Some(1))),
                true,
                Unreachable,
            ),
            ("it just joined, and did not gossip yet", Some(info(NodeState::Unreachable, None)), true, Ready),
            (
                "it is off since before this node started",
                Some(info(NodeState::Unreachable, None)),
                false,
                Unreachable,
            ),
            ("a moment without an answer", Some(info(NodeState::Suspect, Some(1))), true, Ready),
            ("the same, and its sign ran out", Some(info(NodeState::Suspect, Some(1))), false, Unreachable),
            ("gossip does not know it yet", None, true, Ready),
            ("gossip does not know it, nor the record", None, false, Unreachable),
        ];
        for (name, heard, sign, want) in rows {
            assert_eq!(to_state(heard.as_ref(), sign), want, "{name}");
        }
    }

    #[test]
    fn names_sort_by_their_number() {
        let mut names = ["node-10", "node-9", "alpha", "node-1", "7"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["7", "alpha", "node-1", "node-9", "node-10"]);
    }
}
