//! Machines that asked to boot: seen, let in, told no; and the list of those that are let in without asking further.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use maekin_api::MACHINES;
use maekin_api::access::Role;
use maekin_api::install::{Deny, Install, MachineDetail, Rule, SeenMachine, Standing, Terms};

use super::install::veiled;
use super::{Body, parse};
use crate::app::App;
use crate::clock::now;
use crate::http::error::ApiError;
use crate::http::etag::{IfMatch, tagged, with_tag};
use crate::http::identity::{Identity, Who};
use crate::http::page::Page;
use crate::install::{approve, inventory, list};
use crate::record::keys::{NODES, under};
use crate::record::values::NodeValue;

type Answer<T> = Result<Json<T>, ApiError>;

/// Who asks, for a ticket's story.
pub(crate) async fn who(app: &App, asker: &Identity) -> Result<String, ApiError> {
    Ok(match &asker.who {
        Who::Member(node) => {
            let member = app.member()?.record.get::<NodeValue>(&under(NODES, &node.node_id)).await?;
            let name = member.map_or_else(|| node.node_id.clone(), |member| member.value.name);
            format!("the member {name}")
        }
        _ => asker.words(&app.config.hostname),
    })
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    page: Page,
) -> Result<Response, ApiError> {
    let mut machines = inventory::machines(&app.member()?.record, now()).await?;
    machines.iter_mut().for_each(|machine| veil(machine, &asker));
    Ok(page.of(MACHINES, machines, |machine| machine.mac.clone()))
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
) -> Answer<MachineDetail> {
    let mut detail = inventory::detail(&app.member()?.record, &name, now()).await?;
    veil(&mut detail.machine, &asker);
    Ok(Json(detail))
}

/// Who only looks is not told the ticket.
fn veil(machine: &mut SeenMachine, asker: &Identity) {
    if let (true, Standing::Approved { ticket }) = (asker.role < Role::Operator, &mut machine.standing) {
        *ticket = veiled(ticket);
    }
}

pub(super) async fn approve(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Answer<Install> {
    let terms: Terms = parse(body)?;
    let by = who(&app, &asker).await?;
    Ok(Json(approve::approve(&app.member()?.record, &name, &terms, &by, now()).await?))
}

pub(super) async fn deny(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    Path(name): Path<String>,
    body: Body,
) -> Answer<SeenMachine> {
    let deny: Deny = parse(body)?;
    let by = who(&app, &asker).await?;
    Ok(Json(approve::deny(&app.member()?.record, &name, &deny, &by, now()).await?))
}

pub(super) async fn rules(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let (rules, revision) = list::read(&app.member()?.record).await?;
    Ok(tagged(revision, &rules))
}

pub(super) async fn set_rules(State(app): State<Arc<App>>, wanted: IfMatch, body: Body) -> Answer<Vec<Rule>> {
    let rules: Vec<Rule> = parse(body)?;
    keep(&app, &rules, &wanted).await
}

pub(super) async fn csv(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let (rules, revision) = list::read(&app.member()?.record).await?;
    let text = list::csv::render(&rules);
    let answer = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response();
    Ok(with_tag(revision, answer))
}

pub(super) async fn set_csv(State(app): State<Arc<App>>, wanted: IfMatch, body: Body) -> Answer<Vec<Rule>> {
    let text = body.map_err(super::unread)?;
    let text = std::str::from_utf8(&text).map_err(|_| ApiError::bad_request("the list is not UTF-8"))?;
    keep(&app, &list::csv::parse(text)?, &wanted).await
}

async fn keep(app: &App, rules: &[Rule], wanted: &IfMatch) -> Answer<Vec<Rule>> {
    let rules = list::set(&app.member()?.record, rules, &wanted.optional()).await?;
    tracing::info!(rules = rules.len(), "the list of machines that are let in was changed");
    Ok(Json(rules))
}
