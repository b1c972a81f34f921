//! `GET /v1/cluster`: from the record, so that every member gives the same answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maekin_api::cluster::{Cluster, Member, MemberState};

use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::install::decide::window_state;
use crate::record::values::NodeValue;

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Json<Cluster>, ApiError> {
    let member = app.member()?;
    let seen = member.record.overview().await?;
    let mut nodes: Vec<_> = seen.nodes.into_iter().map(|node| to_member(node, &seen.alive)).collect();
    for node in &mut nodes {
        node.roles = seen.roles.get(&node.id).cloned().unwrap_or_default();
    }
    nodes.sort_by_key(|node| natural(&node.name));
    let cluster = member.cluster.clone();
    Ok(Json(Cluster {
        id: cluster.id,
        name: cluster.name,
        ca_sha256: cluster.ca_sha256,
        created_at: cluster.created_at,
        nodes,
        install_window: window_state(seen.window.as_ref(), now()),
        leader: seen.leader.map(|leader| leader.id),
    }))
}

fn to_member(node: NodeValue, alive: &BTreeSet<String>) -> Member {
    let state = if alive.contains(&node.id) { MemberState::Ready } else { MemberState::Unreachable };
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

    #[test]
    fn names_sort_by_their_number() {
        let mut names = ["node-10", "node-9", "alpha", "node-1", "7"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["7", "alpha", "node-1", "node-9", "node-10"]);
    }
}
