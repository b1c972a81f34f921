//! The entry of one request: begun before it is carried out, so that also one whose asker went away is written down.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maekin_api::audit::{AuditEvent, Outcome};

use super::{Event, write};
use crate::app::App;
use crate::http::auth::Peer;
use crate::http::error::ApiError;
use crate::http::identity::Identity;
use crate::http::table::About;

/// What will be written down about a request.
pub(crate) struct Pending {
    app: Arc<App>,
    event: AuditEvent,
    begun: bool,
}

impl Pending {
    /// An entry for a request of `peer` for the operation `about`.
    pub(crate) fn new(app: &Arc<App>, about: &About, peer: &Peer, path: &str) -> Self {
        let from = match peer {
            Peer::Root | Peer::Member(_) => String::new(),
            Peer::Stranger(ip) => ip.to_string(),
        };
        let event = AuditEvent {
            kind: "change".to_owned(),
            from,
            method: about.method.to_string(),
            path: path.to_owned(),
            operation: about.id.to_owned(),
            ..AuditEvent::default()
        };
        Self { app: Arc::clone(app), event, begun: false }
    }

    /// Who asks is known.
    pub(crate) fn asked_by(&mut self, identity: &Identity) {
        let Event(by) = Event::default().by(identity);
        self.event =
            AuditEvent { who: by.who, token: by.token, from: by.from, ..std::mem::take(&mut self.event) };
    }

    /// From now on there is something to write down, whatever comes of it.
    pub(crate) fn begin(&mut self) {
        self.begun = true;
    }

    /// Somebody may not do what he asked for. One who is not known is not written down here: whoever looked at what he
    /// showed has done so, and one who showed nothing is nobody.
    pub(crate) fn refused(mut self, identity: Option<&Identity>, problem: ApiError) -> Response {
        let response = problem.into_response();
        if let Some(identity) = identity {
            self.asked_by(identity);
            "forbidden".clone_into(&mut self.event.kind);
            self.begin();
            self.end(response.status());
        }
        response
    }

    /// The request was answered.
    pub(crate) fn end(mut self, status: StatusCode) {
        self.event.status = status.as_u16();
        self.event.outcome = match status.as_u16() {
            ..400 => Outcome::Done,
            400..500 => Outcome::Refused,
            _ => Outcome::Failed,
        };
        self.finish();
    }

    fn finish(&mut self) {
        if std::mem::take(&mut self.begun) {
            write(&self.app, std::mem::take(&mut self.event));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.event.outcome = Outcome::Abandoned;
        self.finish();
    }
}
