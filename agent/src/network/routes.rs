//! `/v1/nodes/{name}/network`: how a node's network is, and what people say to its trial.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use maekin_api::network::{Decide, NodeNetwork, SetNetwork, Trial, TrialState};

use super::keeper::{TrialError, begin, happen};
use super::trial::{Event, Origin, Phase};
use super::values::{NetworkValue, TrialValue, VerdictValue};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::http::auth::Peer;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::routes::{Body, parse};
use crate::record::Change;
use crate::record::keys::{self, under};
use crate::record::values::NodeValue;

type Answer = Result<Json<NodeNetwork>, ApiError>;

/// How long is waited for a node to hear what was said to it, and how often is looked.
const HEARD: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(500);

/// Which node is meant.
struct Meant {
    id: String,
    name: String,
}

impl Meant {
    fn own(app: &App) -> Self {
        Self { id: app.node_id.clone(), name: app.config.hostname.clone() }
    }
}

/// Finds it. This node is known by its own name also while the record is away.
async fn find(app: &App, name: &str) -> Result<Meant, ApiError> {
    if name == app.config.hostname || name == app.node_id {
        return Ok(Meant::own(app));
    }
    let nodes = app.member()?.record.list::<NodeValue>(keys::NODES).await?;
    let found = nodes.into_iter().map(|node| node.value).find(|node| node.name == name || node.id == name);
    found.map(|node| Meant { id: node.id, name: node.name }).ok_or_else(|| {
        let detail = format!("no member has the name or id {name}; `GET /v1/nodes` lists them");
        ApiError::new(StatusCode::NOT_FOUND, "not-found", "There is no such node", detail)
    })
}

/// `GET`.
pub(crate) async fn get(State(app): State<Arc<App>>, Path(name): Path<String>) -> Answer {
    let meant = find(&app, &name).await?;
    if meant.id == app.node_id {
        return Ok(Json(own_of(&app)));
    }
    let value = value_of(&*app.member()?, &meant).await?;
    Ok(Json(wire(&meant, value)))
}

/// `GET` of this node's own.
pub(crate) async fn own(State(app): State<Arc<App>>) -> Json<NodeNetwork> {
    Json(own_of(&app))
}

/// This node's own, as it is at this moment.
fn own_of(app: &App) -> NodeNetwork {
    let mut answer = wire(&Meant::own(app), app.network.value());
    if let Some(trial) = &mut answer.trial {
        trial.seconds_left = app.network.left_ms().map(|left| left / 1000);
    }
    answer
}

async fn value_of(member: &Member, meant: &Meant) -> Result<NetworkValue, ApiError> {
    let found = member.record.get::<NetworkValue>(&under(keys::NETWORK, &meant.id)).await?;
    found.map(|found| found.value).ok_or_else(|| {
        let detail =
            format!("{} has not said yet how its network is; its release may be an older one", meant.name);
        ApiError::new(StatusCode::NOT_FOUND, "not-found", "The node's network is not known", detail)
    })
}

/// `POST .../confirm`.
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Identity>,
    body: Body,
) -> Answer {
    decide(&app, &name, &peer, &who, body, true).await
}

/// `POST .../revert`.
pub(crate) async fn revert(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Extension(peer): Extension<Peer>,
    Extension(who): Extension<Identity>,
    body: Body,
) -> Answer {
    decide(&app, &name, &peer, &who, body, false).await
}

async fn decide(app: &App, name: &str, peer: &Peer, who: &Identity, body: Body, confirmed: bool) -> Answer {
    let Decide { generation } = parse(body)?;
    let by = who.words(&app.config.hostname);
    let meant = find(app, name).await?;
    if meant.id == app.node_id && *peer == Peer::Root {
        // Whoever is at the node itself needs no quorum.
        let event =
            if confirmed { Event::Confirm { generation, by } } else { Event::Revert { generation, by } };
        happen(app, event).await.map_err(refused)?;
        return Ok(Json(own_of(app)));
    }
    let member = app.member()?;
    let trial = trying(value_of(&member, &meant).await?, &meant, generation)?;
    let verdict = VerdictValue { id: trial.id.clone(), confirmed, by, at: now() };
    let key = under(keys::NETWORK_VERDICTS, &meant.id);
    member.record.commit(Change::default().put(&key, &verdict)?).await?;
    let heard = async {
        loop {
            let value = value_of(&member, &meant).await?;
            let over = value
                .trial
                .as_ref()
                .is_none_or(|now| now.id != trial.id || !matches!(now.phase, Phase::Trying { .. }));
            if over {
                return Ok(Json(wire(&meant, value)));
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(HEARD, heard).await.unwrap_or_else(|_| {
        let title = "The node has not heard it";
        let detail = format!(
            "{} does not reach the record under the network that it tries; unless it hears by then, it goes back by itself",
            meant.name
        );
        Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "not-heard", title, detail))
    })
}

/// The trial that is under way, where it is the one meant.
fn trying(value: NetworkValue, meant: &Meant, generation: Option<u64>) -> Result<TrialValue, ApiError> {
    let trial = value.trial.filter(|trial| matches!(trial.phase, Phase::Trying { .. }));
    let conflict = |detail| ApiError::new(StatusCode::CONFLICT, "no-trial", "There is no such trial", detail);
    let Some(trial) = trial else {
        return Err(conflict(format!(
            "as far as the record knows, {} tries no network; a node that is cut off cannot say that it does",
            meant.name
        )));
    };
    match generation {
        Some(wanted) if wanted != trial.generation => Err(conflict(format!(
            "{} tries generation {}, not {wanted}; look at it again before you decide",
            meant.name, trial.generation
        ))),
        _ => Ok(trial),
    }
}

/// `PUT` on the node itself: tries a network that a person wants there, also without a quorum.
pub(crate) async fn set(State(app): State<Arc<App>>, body: Body) -> Answer {
    let SetNetwork { network } = parse(body)?;
    begin(&app, network, app.network.seen(), Origin::Console).await.map_err(refused)?;
    Ok(Json(own_of(&app)))
}

#[allow(clippy::needless_pass_by_value)] // as map_err hands it over
fn refused(e: TrialError) -> ApiError {
    let title = "The network was not changed";
    match &e {
        TrialError::Refused(_) => ApiError::new(StatusCode::CONFLICT, "no-trial", title, chain(&e)),
        TrialError::Refusal(_) => ApiError::bad_request(chain(&e)),
        _ => ApiError::internal(chain(&e)),
    }
}

fn wire(meant: &Meant, value: NetworkValue) -> NodeNetwork {
    let trial = value.trial.map(|trial| {
        let (state, at, why) = match trial.phase {
            Phase::Trying { .. } => (TrialState::Trying, trial.began, String::new()),
            Phase::Confirmed { at, by } => (TrialState::Confirmed, at, format!("confirmed by {by}")),
            Phase::Reverted { at, why } => (TrialState::Reverted, at, why.words()),
        };
        let seconds_left = (state == TrialState::Trying).then(|| trial.until.saturating_sub(now()));
        Trial {
            generation: trial.generation,
            at_node: trial.origin == Origin::Console,
            state,
            changes: trial.changes,
            began: trial.began,
            seconds_left,
            at,
            why,
        }
    });
    NodeNetwork {
        name: meant.name.clone(),
        id: meant.id.clone(),
        address: value.address,
        network: value.network,
        trial,
    }
}
