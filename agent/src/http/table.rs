//! Operations: what can be asked, by whom, and what it takes and answers, each said once. The router, its guard and the
//! OpenAPI document are all made from the same list, so that nothing is served that is not in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use maekin_api::access::Role;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::auth::Peer;
use super::error::ApiError;
use super::identity::Identity;
use crate::app::App;
use crate::audit;

/// How long a request may take, its body included.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a request takes, or its answer has, as a body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// Nothing, or `null`.
    Nothing,
    /// JSON of a type.
    Json(SchemaOf),
    /// Text of a media type.
    Text(&'static str),
}

/// What there is to know about an operation.
#[derive(Debug, Clone)]
pub(crate) struct About {
    /// HTTP method.
    pub(crate) method: Method,
    /// Path, with parameters in braces.
    pub(crate) path: &'static str,
    /// Its name, as in the OpenAPI document; unique.
    pub(crate) id: &'static str,
    /// Which role it takes at least; none: anybody may ask.
    pub(crate) least: Option<Role>,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// The group that it belongs to: a scope of tokens.
    pub(crate) group: &'static str,
    /// The body that it takes.
    pub(crate) takes: Content,
    /// The body that it answers.
    pub(crate) answers: Content,
    /// Whether its answer is a list that is given in pages to those who ask for that.
    pub(crate) paged: bool,
    /// Whether it is one of the resources that have an ETag.
    pub(crate) tagged: bool,
    /// Further query parameters, with what they mean.
    pub(crate) queries: &'static [(&'static str, &'static str)],
    /// Whether it changes only what belongs to the one who asks.
    pub(crate) own: bool,
    /// Whether its answer is 202: what was asked for goes on behind it.
    pub(crate) accepted: bool,
    /// Whether a change is written to the audit log.
    audited: bool,
    /// Whether it may take longer than [`LIMIT`]: it limits itself.
    endless: bool,
}

/// An operation.
pub(crate) struct Op {
    /// What there is to know about it.
    pub(crate) about: About,
    handler: MethodRouter<Arc<App>>,
}

impl Op {
    /// An operation with neither body nor answer.
    pub(crate) fn new<H, T>(
        method: (Method, MethodFilter),
        path: &'static str,
        id: &'static str,
        least: Option<Role>,
        summary: &'static str,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let (method, filter) = method;
        let about = About {
            audited: method != Method::GET,
            method,
            path,
            id,
            least,
            summary,
            group: "",
            takes: Content::Nothing,
            answers: Content::Nothing,
            paged: false,
            tagged: false,
            queries: &[],
            own: false,
            accepted: false,
            endless: false,
        };
        Self { about, handler: on(filter, handler) }
    }

    /// Its body is a JSON `T`.
    pub(crate) fn takes<T: JsonSchema>(mut self) -> Self {
        self.about.takes = Content::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Its body is text of this media type.
    pub(crate) fn takes_text(mut self, media: &'static str) -> Self {
        self.about.takes = Content::Text(media);
        self
    }

    /// Its answer is a JSON `T`.
    pub(crate) fn answers<T: JsonSchema>(mut self) -> Self {
        self.about.answers = Content::Json(SchemaGenerator::subschema_for::<T>);
        self
    }

    /// Its answer is text of this media type.
    pub(crate) fn answers_text(mut self, media: &'static str) -> Self {
        self.about.answers = Content::Text(media);
        self
    }

    /// Its answer is a list of JSON `T`, in pages where that is asked for.
    pub(crate) fn lists<T: JsonSchema>(mut self) -> Self {
        self.about.paged = true;
        self.answers::<Vec<T>>()
    }

    /// It takes these query parameters.
    pub(crate) fn queries(mut self, queries: &'static [(&'static str, &'static str)]) -> Self {
        self.about.queries = queries;
        self
    }

    /// Its resource has an ETag: `GET` gives it, `PUT` and `PATCH` heed `If-Match`.
    pub(crate) fn tagged(mut self) -> Self {
        self.about.tagged = true;
        self
    }

    /// Its body may have so many bytes.
    pub(crate) fn up_to(mut self, bytes: usize) -> Self {
        self.handler = self.handler.layer(DefaultBodyLimit::max(bytes));
        self
    }

    /// It is asked by machines all the time and decides nothing: the audit log has no room for it.
    pub(crate) fn unaudited(mut self) -> Self {
        self.about.audited = false;
        self
    }

    /// It changes only what belongs to the one who asks.
    pub(crate) fn own(mut self) -> Self {
        self.about.own = true;
        self
    }

    /// Its answer is 202 and where that is found which goes on; a request that is sent twice begins it once.
    pub(crate) fn accepted(mut self) -> Self {
        self.about.accepted = true;
        self
    }

    /// It answers for as long as somebody listens, and limits that itself.
    pub(crate) fn endless(mut self) -> Self {
        self.about.endless = true;
        self
    }
}

/// `GET` of `path`.
pub(crate) fn get<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    id: &'static str,
    least: impl Into<Option<Role>>,
    summary: &'static str,
    handler: H,
) -> Op {
    Op::new((Method::GET, MethodFilter::GET), path, id, least.into(), summary, handler)
}

/// `PUT` to `path`.
pub(crate) fn put<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    id: &'static str,
    least: impl Into<Option<Role>>,
    summary: &'static str,
    handler: H,
) -> Op {
    Op::new((Method::PUT, MethodFilter::PUT), path, id, least.into(), summary, handler)
}

/// `PATCH` of `path`.
pub(crate) fn patch<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    id: &'static str,
    least: impl Into<Option<Role>>,
    summary: &'static str,
    handler: H,
) -> Op {
    Op::new((Method::PATCH, MethodFilter::PATCH), path, id, least.into(), summary, handler)
}

/// `POST` to `path`.
pub(crate) fn post<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    id: &'static str,
    least: impl Into<Option<Role>>,
    summary: &'static str,
    handler: H,
) -> Op {
    Op::new((Method::POST, MethodFilter::POST), path, id, least.into(), summary, handler)
}

/// `DELETE` of `path`.
pub(crate) fn delete<H: Handler<T, Arc<App>>, T: 'static>(
    path: &'static str,
    id: &'static str,
    least: impl Into<Option<Role>>,
    summary: &'static str,
    handler: H,
) -> Op {
    Op::new((Method::DELETE, MethodFilter::DELETE), path, id, least.into(), summary, handler)
}

/// `ops`, all of one group.
pub(crate) fn group<const N: usize>(name: &'static str, ops: [Op; N]) -> Vec<Op> {
    let with = |mut op: Op| {
        op.about.group = name;
        op
    };
    ops.into_iter().map(with).collect()
}

/// The router of `ops`, each behind its guard.
pub(crate) fn router(app: &Arc<App>, ops: Vec<Op>) -> Router {
    let serve = |router: Router<Arc<App>>, op: Op| {
        let gate = Gate { app: Arc::clone(app), about: Arc::new(op.about) };
        let path = gate.about.path;
        router.route(path, op.handler.route_layer(from_fn_with_state(gate, guard)))
    };
    ops.into_iter().fold(Router::new(), serve).with_state(Arc::clone(app))
}

/// What the guard of an operation has to know.
#[derive(Clone)]
struct Gate {
    app: Arc<App>,
    about: Arc<About>,
}

/// Finds out who asks and whether he may, carries the request out within its time, and writes changes down.
async fn guard(
    State(gate): State<Gate>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let Gate { app, about } = gate;
    let asked = Instant::now();
    let response = answer(&app, &about, &peer, request, next).await;
    app.metrics.served(about.id, response.status().as_u16(), asked.elapsed());
    response
}

async fn answer(app: &Arc<App>, about: &About, peer: &Peer, mut request: Request, next: Next) -> Response {
    let mut entry = audit::Pending::new(app, about, peer, request.uri().path());
    let identity = match about.least {
        None => None,
        Some(least) => match app.auth.identify(app, peer, request.headers()).await {
            Err(problem) => return entry.refused(None, problem),
            Ok(identity) => match identity.may(least, about.group) {
                Err(problem) => return entry.refused(Some(&identity), problem),
                Ok(()) => Some(identity),
            },
        },
    };
    if let Some(identity) = identity {
        entry.asked_by(&identity);
        request.extensions_mut().insert::<Identity>(identity);
    }
    if about.audited {
        entry.begin();
    }
    let work = next.run(request);
    let response = if about.endless {
        work.await
    } else {
        tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
            let detail = format!("it took longer than {} s", LIMIT.as_secs());
            let title = "The request took too long";
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timed-out", title, detail).into_response()
        })
    };
    entry.end(response.status());
    response
}
