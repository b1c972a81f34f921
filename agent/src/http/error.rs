//! Errors as problem details (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maekin_api::problem::{MEDIA_TYPE, Problem};

use crate::access::AccessError;
use crate::errors::chain;
use crate::install::InstallError;
use crate::pki::PkiError;
use crate::power::errors::{BmcError, PowerError};
use crate::record::RecordError;

/// A problem as an answer.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Problem>);

impl ApiError {
    /// A problem of `kind`, a stable short name.
    pub(crate) fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            kind: format!("urn:maekin:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            request_id: super::request::current(),
        }))
    }

    /// A problem that another node answered with.
    pub(crate) fn passed_on(problem: Problem) -> Self {
        Self(Box::new(problem))
    }

    /// HTTP status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What is wrong, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be understood", detail)
    }

    /// Something of ours failed that the asker cannot help.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let title = "The node could not carry out the request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail)
    }
}

impl ApiError {
    /// The problem itself.
    pub(crate) fn into_problem(self) -> Problem {
        *self.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&*self.0).unwrap_or_default(); // four plain fields always serialize
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            let how = HeaderValue::from_static("Basic realm=\"maekin\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, how);
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"maekin\""));
        }
        response
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        let title = "The cluster's record cannot be used";
        let kind = match error {
            RecordError::Unreachable { .. } | RecordError::Refused { .. } => "record-unreachable",
            RecordError::Value { .. } | RecordError::Newer { .. } => "record-value",
            RecordError::Changed { .. } => {
                let title = "The resource is not the one that was meant";
                return Self::new(StatusCode::PRECONDITION_FAILED, "changed", title, chain(&error));
            }
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, chain(&error))
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        let detail = chain(&error);
        let new = |status, kind, title| Self::new(status, kind, title, detail.clone());
        match error {
            AccessError::Record(e) => e.into(),
            AccessError::Invalid(_) => Self::bad_request(detail),
            AccessError::NoUser(_) | AccessError::NoToken(_) => {
                new(StatusCode::NOT_FOUND, "not-found", "There is no such thing")
            }
            AccessError::Exists(_) => {
                new(StatusCode::CONFLICT, "exists", "There is one of that name already")
            }
            AccessError::LastAdmin(_) => {
                new(StatusCode::CONFLICT, "last-admin", "Nobody would be left who may do everything")
            }
            AccessError::Full(_) => new(StatusCode::CONFLICT, "full", "There are too many"),
            AccessError::NotYours(_) => new(StatusCode::FORBIDDEN, "forbidden", "Who asks may not do this"),
            AccessError::Contended => new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy"),
            AccessError::Internal(_) => Self::internal(detail),
        }
    }
}

impl From<InstallError> for ApiError {
    fn from(error: InstallError) -> Self {
        let detail = chain(&error);
        match error {
            InstallError::Record(e) => e.into(),
            InstallError::Pki(PkiError::Unreadable(_)) | InstallError::Invalid(_) => {
                Self::bad_request(detail)
            }
            InstallError::Pki(_) => Self::internal(detail),
            InstallError::Contended => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy", detail)
            }
            InstallError::Flooded => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "flooded", "Too much is told at once", detail)
            }
            InstallError::Unfit(_) => {
                let title = "The machine is not the one that was let in";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unfit", title, detail)
            }
            InstallError::NotFound { .. } | InstallError::NoMember(_) | InstallError::NoMachine(_) => {
                Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
            }
            InstallError::Volumes { .. } => {
                Self::new(StatusCode::CONFLICT, "has-volumes", "The member has volumes", detail)
            }
            InstallError::Over(_) => {
                Self::new(StatusCode::CONFLICT, "installation-over", "The installation is over", detail)
            }
            InstallError::Refused(_) => {
                Self::new(StatusCode::FORBIDDEN, "join-refused", "The node may not join", detail)
            }
        }
    }
}

impl From<PowerError> for ApiError {
    fn from(error: PowerError) -> Self {
        let detail = chain(&error);
        let new = |status, kind, title| Self::new(status, kind, title, detail.clone());
        match error {
            PowerError::Record(e) => e.into(),
            PowerError::Invalid(_) => Self::bad_request(detail),
            PowerError::NotFound(_) => new(StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            PowerError::Busy(_) => {
                new(StatusCode::CONFLICT, "power-busy", "Something is being done to this machine's power")
            }
            PowerError::Alive { .. } => {
                new(StatusCode::CONFLICT, "member-alive", "The machine is a member that works")
            }
            PowerError::Contended => new(StatusCode::SERVICE_UNAVAILABLE, "contended", "The record is busy"),
            PowerError::NoMember => new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-a-member",
                "This node is not a member of a cluster yet",
            ),
            PowerError::Seal(_) | PowerError::NoSealKey => {
                new(StatusCode::CONFLICT, "sealed", "The password cannot be opened on this node")
            }
            PowerError::Bmc(BmcError::Cannot(_)) => {
                new(StatusCode::CONFLICT, "power-cannot", "This machine's power cannot be used that way")
            }
            PowerError::Bmc(BmcError::Unreachable { .. } | BmcError::TooSlow { .. }) => new(
                StatusCode::GATEWAY_TIMEOUT,
                "bmc-unreachable",
                "The management controller does not answer",
            ),
            PowerError::Bmc(_) => {
                new(StatusCode::BAD_GATEWAY, "bmc-refused", "The management controller did not do it")
            }
            PowerError::Lost(_) => Self::internal(detail),
        }
    }
}
