//! Which version of a resource is meant: `ETag` in answers, `If-Match` in requests (RFC 9110 sections 8.8.3 and 13.1.1),
//! from the revision at which the record last changed it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use crate::record::Expected;

/// Most tags in one header.
const MOST: usize = 16;

/// `value` as an answer, with the tag of its revision; 0 is nothing that could be meant, and has none.
pub(crate) fn tagged<T: Serialize>(revision: i64, value: &T) -> Response {
    with_tag(revision, Json(value).into_response())
}

/// `response`, with the tag of a revision.
pub(crate) fn with_tag(revision: i64, mut response: Response) -> Response {
    // Digits in quotes are a header's value.
    if let (true, Ok(value)) = (revision != 0, HeaderValue::from_str(&format!("\"r{revision}\""))) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// What a request says about the version that it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfMatch(Option<Expected>);

impl IfMatch {
    /// The version that is meant; any where nothing is said.
    pub(crate) fn optional(&self) -> Expected {
        self.0.clone().unwrap_or_default()
    }

    /// The version that is meant.
    ///
    /// # Errors
    /// The answer to give where nothing is said (RFC 6585 section 3).
    pub(crate) fn required(&self) -> Result<Expected, ApiError> {
        self.0.clone().ok_or_else(|| {
            let title = "The request must say which version it means";
            let detail =
                "read the resource and send its ETag as `If-Match`; `If-Match: *` for whatever is there";
            ApiError::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", title, detail)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse(&parts.headers)
    }
}

fn parse(headers: &HeaderMap) -> Result<IfMatch, ApiError> {
    let wrong =
        || ApiError::bad_request("If-Match: must be `*` or ETags as they were answered, e.g. \"r17\"");
    let mut found = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = found.next() else { return Ok(IfMatch(None)) };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    if found.next().is_some() || text.split(',').count() > MOST {
        return Err(wrong());
    }
    if text == "*" {
        return Ok(IfMatch(Some(Expected::Existing)));
    }
    // A weak tag, or one of another kind, is none of ours: it fits nothing (strong comparison).
    let tag = |text: &str| {
        let plain = text.strip_prefix("W/").unwrap_or(text);
        let inner = plain.strip_prefix('"')?.strip_suffix('"')?;
        let revision = inner.strip_prefix('r').and_then(|digits| digits.parse().ok());
        Some(revision.filter(|_| plain == text).unwrap_or(-1))
    };
    let tags: Option<Vec<i64>> = text.split(',').map(|text| tag(text.trim())).collect();
    tags.map(|tags| IfMatch(Some(Expected::Revisions(tags)))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_are_told_and_meant() {
        let rows: [(&str, &str, Option<&[i64]>); 9] = [
            ("one", "\"r17\"", Some(&[17])),
            ("several", "\"r17\", \"r18\"", Some(&[17, 18])),
            ("weak fits nothing", "W/\"r17\"", Some(&[-1])),
            ("another's fits nothing", "\"abc\"", Some(&[-1])),
            ("too large fits nothing", "\"r99999999999999999999\"", Some(&[-1])),
            ("no quotes", "r17", None),
            ("half a quote", "\"r17", None),
            ("empty", "", None),
            ("too many", &"\"r1\",".repeat(17), None),
        ];
        for (name, text, want) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, text.parse().unwrap());
            let got = parse(&headers).ok().map(|tag| tag.optional());
            assert_eq!(got, want.map(|tags| Expected::Revisions(tags.to_vec())), "{name}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(parse(&headers).unwrap().optional(), Expected::Whatever);
        assert!(parse(&headers).unwrap().required().is_err(), "nothing was said");
        headers.insert(header::IF_MATCH, "*".parse().unwrap());
        assert_eq!(parse(&headers).unwrap().required().unwrap(), Expected::Existing);
        let rows = [
            ("whatever, nothing", Expected::Whatever, 0, true),
            ("existing, nothing", Expected::Existing, 0, false),
            ("existing", Expected::Existing, 5, true),
            ("the one", Expected::Revisions(vec![4, 5]), 5, true),
            ("another one", Expected::Revisions(vec![4]), 5, false),
            ("gone", Expected::Revisions(vec![0]), 0, false),
        ];
        for (name, expected, revision, want) in rows {
            assert_eq!(expected.check(revision).is_ok(), want, "{name}");
        }
        assert_eq!(tagged(17, &()).headers()[header::ETAG], "\"r17\"");
        assert!(tagged(0, &()).headers().get(header::ETAG).is_none());
    }
}
