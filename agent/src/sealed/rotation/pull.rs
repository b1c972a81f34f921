//! A sealing key goes from member to member, over TLS with certificates on both sides. Who asks knows its digest from the
//! record, so that nobody can give him another one. Who is asked looks into the record, at this moment, whether who asks
//! is a member: what it heard a few seconds ago may be from before a removal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use maekin_api::SEAL_KEY;
use maekin_api::trust::{SealKeyReply, SealKeyRequest};

use super::super::{SealKey, id_of};
use super::RotationError;
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::http::auth::Peer;
use crate::http::client::Target;
use crate::http::error::ApiError;
use crate::http::routes::{Body, parse};
use crate::membership::MembershipError;
use crate::pki::identity::Credentials;
use crate::record::keys::{self, under};
use crate::record::look::Look;
use crate::record::values::NodeValue;
use crate::tls;
use crate::trust::known;
use crate::trust::values::RemovedValue;

/// Most members that are asked at one time.
const MOST: usize = 4;
/// How long all of them have: other work of the same look waits for it.
const LIMIT: Duration = Duration::from_secs(5);

/// Whom to ask for the key with this id: those that give signs of life first, and each time another one of them, so that
/// one that does not answer is in nobody's way. Pure.
fn plan_holders<'a>(
    nodes: &'a [NodeValue],
    alive: &BTreeSet<String>,
    own_id: &str,
    id: &str,
    turn: usize,
) -> Vec<&'a NodeValue> {
    let has = |node: &&NodeValue| node.id != own_id && node.seals.iter().any(|have| have == id);
    let (mut up, mut down): (Vec<_>, Vec<_>) =
        nodes.iter().filter(has).partition(|node| alive.contains(&node.id));
    for list in [&mut up, &mut down] {
        let start = turn.checked_rem(list.len()).unwrap_or(0);
        list.rotate_left(start);
    }
    up.append(&mut down);
    up.truncate(MOST);
    up
}

/// Asks the members that say they have it.
///
/// # Errors
/// [`RotationError`].
pub(super) async fn ask(app: &App, look: &Look, digest: &str) -> Result<SealKey, RotationError> {
    let asked = tokio::time::timeout(LIMIT, ask_each(app, look, digest)).await;
    asked.unwrap_or_else(|_| {
        let refusals = vec![format!("no answer within {} s", LIMIT.as_secs())];
        Err(RotationError::Nobody { id: id_of(digest).to_owned(), refusals })
    })
}

async fn ask_each(app: &App, look: &Look, digest: &str) -> Result<SealKey, RotationError> {
    let id = id_of(digest);
    let nodes = look.nodes();
    // Any number that is another one at the next look.
    let turn = usize::try_from(now() / 3).unwrap_or(0);
    let mut refusals = Vec::new();
    let pki = |e| RotationError::Membership(MembershipError::Pki(e));
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id).map_err(pki)?;
    let holders = plan_holders(&nodes, &look.alive, &app.node_id, id, turn);
    if let Some(credentials) = credentials {
        let failed = |e| RotationError::Membership(MembershipError::Tls(e));
        let config = Arc::new(tls::to_members(&app.key, &credentials).map_err(failed)?);
        let request = SealKeyRequest { sha256: digest.to_owned() };
        for node in holders {
            let address = node.url.trim_start_matches("https://").trim_end_matches('/').to_owned();
            let target = Target::Tls(address, Arc::clone(&config));
            match target.post::<SealKeyReply>(SEAL_KEY, &request).await {
                Ok(reply) => match SealKey::parse(reply.key.expose()) {
                    Ok(key) if key.digest() == digest => {
                        tracing::info!(id, from = node.name, "a sealing key of the cluster was taken over");
                        return Ok(key);
                    }
                    _ => refusals.push(format!("{} gave another one", node.name)),
                },
                Err(e) => refusals.push(format!("{}: {}", node.name, chain(&e))),
            }
        }
    }
    if refusals.is_empty() {
        refusals.push("no member says that it has it".to_owned());
    }
    Err(RotationError::Nobody { id: id.to_owned(), refusals })
}

/// `POST` [`SEAL_KEY`].
pub(crate) async fn give(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<SealKeyReply>, ApiError> {
    let request: SealKeyRequest = parse(body)?;
    let title = "Sealing keys are for members";
    let Peer::Member(node) = peer else {
        let detail = "ask over TLS with the certificate of a member; nobody else is told";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not-a-member", title, detail));
    };
    let member = app.member()?;
    let record = &member.record;
    if let Some(removed) = record.get::<RemovedValue>(&under(keys::REMOVED, &node.node_id)).await? {
        return Err(known::gone(&removed.value));
    }
    let found = record.get::<NodeValue>(&under(keys::NODES, &node.node_id)).await?;
    if found.is_none_or(|found| found.value.key_sha256 != node.key_sha256) {
        let detail = "who asks is not among the members";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not-among-members", title, detail));
    }
    let key = member.seal.find(&request.sha256).ok_or_else(|| {
        let detail = "this node has no key with that digest; ask another member";
        ApiError::new(StatusCode::NOT_FOUND, "no-such-key", "There is no such sealing key here", detail)
    })?;
    Ok(Json(SealKeyReply { key: key.to_secret() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_a_sealing_key_is_asked_of_members_that_live_first() {
        let node = |id: &str| NodeValue { id: id.into(), seals: vec!["k".into()], ..NodeValue::default() };
        let mut nodes: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(node).into();
        nodes[6].seals.clear();
        // Alive; turn; who is asked. We are a.
        let rows =
            [("", 0, "bcde"), ("f", 0, "fbcd"), ("ef", 1, "fecd"), ("abcdefg", 3, "efbc"), ("", 7, "defb")];
        for (alive, turn, want) in rows {
            let living = alive.chars().map(String::from).collect();
            let got = plan_holders(&nodes, &living, "a", "k", turn);
            let got: String = got.iter().map(|node| node.id.as_str()).collect();
            assert_eq!(got, want, "{alive} {turn}");
        }
        assert!(plan_holders(&nodes[..1], &BTreeSet::new(), "a", "k", 5).is_empty());
    }
}
