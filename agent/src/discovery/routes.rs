//! `GET /v1/discovered`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maekin_api::DISCOVERED;

use super::Unfound;
use crate::app::App;
use crate::http::error::ApiError;
use crate::http::page::Page;

/// `GET` [`maekin_api::DISCOVERED`].
pub(crate) async fn list(State(app): State<Arc<App>>, page: Page) -> Result<Response, ApiError> {
    app.member()?; // which says how far it is: only members listen
    let name = |node: &maekin_api::discovery::Discovered| {
        format!(
            "{}:{}:{}",
            node.id,
            node.name,
            node.addresses.first().map_or("", String::as_str).replace(['[', ']', '%'], ".")
        )
    };
    Ok(page.of(DISCOVERED, app.discovery.list(&app), name))
}

/// A name that means nobody, or several.
impl From<Unfound> for ApiError {
    fn from(unfound: Unfound) -> Self {
        let (status, kind, title) = match &unfound {
            Unfound::Nobody(_) => (StatusCode::NOT_FOUND, "not-found", "There is no such node"),
            Unfound::Several { .. } => (StatusCode::CONFLICT, "ambiguous", "Several nodes are meant"),
        };
        Self::new(status, kind, title, unfound.to_string())
    }
}
