//! The install master's addresses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use maekin_api::addresses::{AddressChange, Addresses, Hold};

use super::{Body, parse};
use crate::app::App;
use crate::http::error::ApiError;
use crate::provision::addresses::{self, AddressError};

pub(super) async fn get(State(app): State<Arc<App>>) -> Result<Json<Addresses>, ApiError> {
    Ok(Json(addresses::load(&app, &app.member()?.record).await?))
}

pub(super) async fn write(State(app): State<Arc<App>>, body: Body) -> Result<Json<Hold>, ApiError> {
    let change: AddressChange = parse(body)?;
    Ok(Json(addresses::write(&app, &app.member()?.record, &change).await?))
}

impl From<AddressError> for ApiError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::NotLeading => {
                Self::new(StatusCode::CONFLICT, "not-leading", "Another member leads", error.to_string())
            }
            AddressError::Invalid(text) => Self::bad_request(text),
            AddressError::Record(e) => e.into(),
        }
    }
}
