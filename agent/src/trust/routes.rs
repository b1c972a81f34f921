//! Join tokens, renewal and removal in the API.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, Json};
use maekin_api::trust::{
    JoinWith, Leave, MadeToken, NewPairing, NewToken, PairingBegun, PairingInfo, PairingNonce, PairingOffer,
    RemovedNode, RenewReply, RenewRequest,
};
use maekin_api::{JOIN_TOKENS, PAIRINGS};
use maekin_image::manifest::sha256_hex;
use maekin_rootfs::node::ClusterIntent;
use rcgen::PublicKeyData;
use serde::Deserialize;

use super::invitation::Invitation;
use super::known::{self, Lapsed};
use super::leaving::{self, LeavingError};
use super::pairing::PairingError;
use super::pairing::talk::{self, TalkError};
use super::removal::{self, RemovalError};
use super::{events, issue, tokens};
use crate::app::App;
use crate::clock::now;
use crate::errors::chain;
use crate::http::auth::Peer;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::page::Page;
use crate::http::routes::install::parse_addresses;
use crate::http::routes::{Body, parse, who};
use crate::install::InstallError;
use crate::membership::{self, signer};
use crate::pki::ca::{Subject, key_of_request};
use crate::pki::identity::Credentials;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;

type Answer<T> = Result<Json<T>, ApiError>;

/// `POST` [`maekin_api::JOIN_TOKENS`].
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    body: Body,
) -> Answer<MadeToken> {
    let new: NewToken = parse(body)?;
    let member = app.member()?;
    let (by, masters) = (who(&app, &asker).await?, member.masters(&app.node_id).await?);
    Ok(Json(tokens::create(&member.record, &new, &masters, &by, now()).await?))
}

/// `GET` [`maekin_api::JOIN_TOKENS`].
pub(crate) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    let tokens = tokens::list(&app.member()?.record, now()).await?;
    Ok(page.of(JOIN_TOKENS, tokens, |token| token.id.clone()))
}

/// `DELETE` [`maekin_api::JOIN_TOKEN`].
pub(crate) async fn delete(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<()> {
    tokens::delete(&app.member()?.record, &id).await?;
    Ok(Json(()))
}

/// `POST` [`maekin_api::NODE_JOIN`].
pub(crate) async fn join(State(app): State<Arc<App>>, body: Body) -> Answer<()> {
    let with: JoinWith = parse(body)?;
    let conflict = |kind, detail: &str| {
        Err(ApiError::new(StatusCode::CONFLICT, kind, "This node cannot join a cluster", detail))
    };
    if app.member().is_ok() {
        return conflict("already-member", "it is a member already; remove it there and reinstall it first");
    }
    let was = membership::cluster_id(&app).map_err(|e| ApiError::internal(chain(&e)))?;
    if matches!(app.config.cluster, ClusterIntent::Create { .. }) && was.is_none() {
        return conflict(
            "makes-cluster",
            "it was installed to make a cluster of its own; reinstall it to join",
        );
    }
    let given = Invitation::of_token(with.token.expose())
        .map_err(|e| ApiError::bad_request(format!("token: {e}")))?;
    given.store(&app.settings).map_err(|e| ApiError::internal(chain(&e)))?;
    app.trust.invited.notify_one();
    Ok(Json(()))
}

/// `POST` [`maekin_api::CERTIFICATE`].
pub(crate) async fn renew(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    Extension(lapsed): Extension<Lapsed>,
    body: Body,
) -> Answer<RenewReply> {
    let request: RenewRequest = parse(body)?;
    let shown = match (&peer, lapsed.0) {
        (Peer::Member(node), _) => node.clone(),
        (_, Some(node)) => node,
        _ => {
            let detail = "show the node's certificate in the TLS handshake, also where it has run out";
            return Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Who asks is not known",
                detail,
            ));
        }
    };
    let refuse = |problem: ApiError| {
        events::refused(
            &app,
            events::RENEWAL_REFUSED,
            &peer,
            &format!("node:{}", shown.node_id),
            problem.detail(),
        );
        problem
    };
    known::check(&app, &shown).await.map_err(refuse)?;
    let key = key_of_request(&request.csr).map_err(InstallError::from)?;
    if request.node_id != shown.node_id || sha256_hex(&key.subject_public_key_info()) != shown.key_sha256 {
        return Err(refuse(ApiError::bad_request(
            "csr: is for another node than the certificate that was shown",
        )));
    }
    let member = app.member()?;
    let node = member.record.get::<NodeValue>(&under(keys::NODES, &shown.node_id)).await?;
    let Some(node) = node.map(|node| node.value).filter(|node| node.key_sha256 == shown.key_sha256) else {
        let detail = "its entry in the record is gone";
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-among-members",
            "Who asks is no member",
            detail,
        ));
    };
    let ca = signer::authority(&app, &member).await.map_err(|e| ApiError::internal(chain(&e)))?;
    let ca = ca.ok_or_else(not_a_signer)?;
    let addresses = parse_addresses(&request.addresses)?;
    let subject = Subject { node_id: &node.id, name: &node.name, addresses: &addresses };
    let issued = issue::issue(&member.record, &ca, &key, &subject, now()).await?;
    tracing::info!(name = node.name, id = node.id, "a member's certificate was renewed");
    let own = Credentials::load(&app.settings.pki(), &app.key, &app.node_id);
    let trusted = own.map_err(InstallError::from)?.map(|own| own.ca).unwrap_or_default();
    Ok(Json(RenewReply { cert: issued.pem, time: now(), ca: trusted }))
}

fn not_a_signer() -> ApiError {
    let title = "This node cannot sign certificates";
    let detail = "it has no voter of the record; `GET /v1/cluster` lists those that have";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not-a-signer", title, detail)
}

/// `DELETE` [`maekin_api::CLUSTER_NODE`].
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    uri: Uri,
) -> Answer<RemovedNode> {
    let forced = forced(&uri)?;
    let by = who(&app, &asker).await?;
    let member = app.member()?;
    removal::remove(&app, &member, &name, &by, forced, now()).await.map(Json).map_err(refusal)
}

/// How a member is removed, or installed anew.
#[derive(Default, Deserialize)]
#[serde(default)]
struct How {
    force: bool,
}

/// Whether its volumes may be lost. Pure.
pub(crate) fn forced(uri: &Uri) -> Result<bool, ApiError> {
    let how = Query::<How>::try_from_uri(uri);
    how.map(|how| how.0.force).map_err(|_| ApiError::bad_request("force: may be true or false"))
}

fn refusal(error: RemovalError) -> ApiError {
    let detail = chain(&error);
    let new = |status, kind, title| ApiError::new(status, kind, title, detail.clone());
    match error {
        RemovalError::Record(e) => e.into(),
        RemovalError::Pki(_) | RemovalError::Authority(_) => ApiError::internal(detail),
        RemovalError::NoMember(_) => new(StatusCode::NOT_FOUND, "not-found", "There is no such member"),
        RemovalError::Ambiguous(_) => new(StatusCode::CONFLICT, "ambiguous", "Several members are meant"),
        RemovalError::Refused(_) => {
            new(StatusCode::CONFLICT, "removal-refused", "The member cannot be removed now")
        }
        RemovalError::NotASigner(_) => not_a_signer(),
        RemovalError::Contended => new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy"),
    }
}

/// `POST` [`maekin_api::NODE_LEAVE`].
pub(crate) async fn leave(State(app): State<Arc<App>>, body: Body) -> Answer<RemovedNode> {
    let with: Leave = parse(body)?;
    if with.confirm != leaving::WORD {
        return Err(ApiError::bad_request("confirm: must be the word `leave`"));
    }
    let member = app.member()?;
    leaving::leave(&app, &member).await.map(Json).map_err(stays)
}

fn stays(error: LeavingError) -> ApiError {
    let detail = chain(&error);
    let new = |status, kind| ApiError::new(status, kind, "This node does not leave", detail.clone());
    match error {
        LeavingError::Record(e) => e.into(),
        LeavingError::Refused(_) | LeavingError::Said(_) => new(StatusCode::CONFLICT, "removal-refused"),
        LeavingError::NoMember => new(StatusCode::CONFLICT, "not-among-members"),
        LeavingError::Nobody(_) => new(StatusCode::SERVICE_UNAVAILABLE, "nobody-removes"),
        LeavingError::Pki(_) | LeavingError::Tls(_) | LeavingError::File(_) | LeavingError::Ended => {
            ApiError::internal(detail)
        }
    }
}

/// `GET` [`maekin_api::PAIRINGS`].
pub(crate) async fn pairings(State(app): State<Arc<App>>, page: Page) -> Response {
    page.of(PAIRINGS, talk::list(&app), |pairing| pairing.code.clone())
}

/// `POST` [`maekin_api::PAIRINGS`].
pub(crate) async fn begin_pairing(State(app): State<Arc<App>>, body: Body) -> Answer<PairingInfo> {
    let new: NewPairing = parse(body)?;
    let member = app.member()?;
    let addresses = match (new.address.as_str(), new.node.as_str()) {
        (address, "") => {
            let wrong = |_| ApiError::bad_request("address: must be like 10.77.0.9:8443");
            vec![address.parse().map_err(wrong)?]
        }
        ("", node) => app.discovery.find(node)?,
        _ => return Err(ApiError::bad_request("say either `address` or `node`")),
    };
    talk::begin_at(&app, &member, &addresses).await.map(Json).map_err(unpaired)
}

/// `POST` [`maekin_api::PAIRING_APPROVE`].
pub(crate) async fn approve_pairing(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(code): Path<String>,
) -> Answer<()> {
    talk::approve(&app, &code, &asker.words(&app.config.hostname)).await.map(Json).map_err(unpaired)
}

/// `POST` [`maekin_api::PAIRING_DENY`].
pub(crate) async fn deny_pairing(State(app): State<Arc<App>>, Path(code): Path<String>) -> Answer<()> {
    talk::deny(&app, &code).map(Json).map_err(unpaired)
}

/// `POST` [`maekin_api::NODE_PAIRING`].
pub(crate) async fn offered(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<PairingBegun> {
    let offer: PairingOffer = parse(body)?;
    strangers(&app, &peer, talk::offered(&app, offer))
}

/// `POST` [`maekin_api::NODE_PAIRING_REVEAL`].
pub(crate) async fn revealed(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<PairingNonce> {
    let nonce: PairingNonce = parse(body)?;
    strangers(&app, &peer, talk::revealed(&app, &nonce))
}

/// `POST` [`maekin_api::NODE_PAIRING_TOKEN`].
pub(crate) async fn invited(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<()> {
    let with: JoinWith = parse(body)?;
    strangers(&app, &peer, talk::invited(&app, &with))
}

/// An answer to somebody who did not prove who he is; a no is written down.
fn strangers<T>(app: &App, peer: &Peer, outcome: Result<T, TalkError>) -> Answer<T> {
    outcome.map(Json).map_err(|e| {
        events::refused(app, events::PAIRING_REFUSED, peer, "", &chain(&e));
        unpaired(e)
    })
}

fn unpaired(error: TalkError) -> ApiError {
    let detail = chain(&error);
    let new = |status, kind, title| ApiError::new(status, kind, title, detail.clone());
    match error {
        TalkError::Pairing(PairingError::Busy(_)) => {
            new(StatusCode::TOO_MANY_REQUESTS, "pairing-busy", "Another pairing is under way")
        }
        TalkError::Pairing(PairingError::NoCode(_)) => {
            new(StatusCode::NOT_FOUND, "not-found", "There is no pairing with this code")
        }
        TalkError::Pairing(PairingError::Malformed(_)) => ApiError::bad_request(detail),
        TalkError::Pairing(_) | TalkError::NotHere(_) => {
            new(StatusCode::CONFLICT, "pairing-refused", "The pairing does not go on")
        }
        TalkError::Node { .. } => new(StatusCode::BAD_GATEWAY, "pairing-failed", "The node does not pair"),
        TalkError::Token(e) => e.into(),
        TalkError::Tls(_) | TalkError::Random(_) | TalkError::File(_) => ApiError::internal(detail),
    }
}
