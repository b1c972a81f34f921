//! Lists in pages: `?limit=` how many, `?after=` behind which one. The answer stays the plain list; where there is more,
//! its `Link` header says where (RFC 8288, `rel="next"`). Who gives neither gets the whole list.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Most in one page.
const MOST: usize = 1000;
/// Longest `after`, bytes.
const LONGEST: usize = 128;

/// What stands in the query, as text: what is wrong with it is said as a problem.
#[derive(Debug, Clone, Default, Deserialize)]
struct PageQuery {
    limit: Option<String>,
    after: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// How many at most; absent: as many as there are.
    pub(crate) limit: Option<usize>,
    /// Behind which one.
    pub(crate) after: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Query::<PageQuery>::try_from_uri(&parts.uri).map_err(|e| {
            ApiError::bad_request(format!("the query cannot be understood: {}", e.body_text()))
        })?;
        Self::parse(&query)
    }
}

impl Page {
    /// Checks what was asked for. Pure.
    ///
    /// # Errors
    /// The answer to give instead.
    fn parse(query: &PageQuery) -> Result<Self, ApiError> {
        let wrong = || ApiError::bad_request(format!("limit: must be a number from 1 to {MOST}"));
        let limit =
            query.limit.as_deref().map(|text| text.parse::<usize>().map_err(|_| wrong())).transpose()?;
        if limit.is_some_and(|limit| !(1..=MOST).contains(&limit)) {
            return Err(wrong());
        }
        // It goes into a key of the record, and into a header.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let fits = |text: &String| (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain);
        if query.after.as_ref().is_some_and(|after| !fits(after)) {
            return Err(ApiError::bad_request("after: must be the name of an entry of the list"));
        }
        Ok(Self { limit, after: query.after.clone() })
    }

    /// The wanted part of a whole list, as an answer; `name` is what an entry is called. In pages, a list is in the
    /// order of its names, so that what comes and goes meanwhile is neither skipped nor told twice.
    pub(crate) fn of<T: Serialize>(&self, path: &str, all: Vec<T>, name: impl Fn(&T) -> String) -> Response {
        let (part, next) = self.part(all, name);
        self.answer(path, &part, next.as_deref())
    }

    fn part<T>(&self, mut all: Vec<T>, name: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        if *self == Self::default() {
            return (all, None);
        }
        all.sort_by_key(&name);
        if let Some(after) = &self.after {
            all.retain(|entry| name(entry) > *after);
        }
        let limit = self.limit.unwrap_or(all.len());
        let more = all.len() > limit;
        all.truncate(limit);
        let next = all.last().map(&name).filter(|_| more);
        (all, next)
    }

    /// `part` as an answer; `next` is the name of its last entry where there is more behind it.
    pub(crate) fn answer<T: Serialize>(&self, path: &str, part: &[T], next: Option<&str>) -> Response {
        self.answer_with(path, part, next, "")
    }

    /// The same, where the next page is asked for with a further `&name=value`, of plain characters.
    pub(crate) fn answer_with<T: Serialize>(
        &self,
        path: &str,
        part: &[T],
        next: Option<&str>,
        query: &str,
    ) -> Response {
        let mut response = Json(part).into_response();
        if let Some(next) = next {
            let limit = self.limit.map(|limit| format!("&limit={limit}")).unwrap_or_default();
            let link = format!("<{path}?after={next}{limit}{query}>; rel=\"next\"");
            if let Ok(value) = HeaderValue::from_str(&link) {
                response.headers_mut().insert(header::LINK, value);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: Option<&str>, after: Option<&str>) -> PageQuery {
        PageQuery { limit: limit.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn api_pages_are_asked_for_with_small_numbers_and_plain_names() {
        let rows = [
            ("nothing", query(None, None), true),
            ("both", query(Some("10"), Some("52:54:00:00:00:01")), true),
            ("most", query(Some("1000"), None), true),
            ("none at all", query(Some("0"), None), false),
            ("too many", query(Some("1001"), None), false),
            ("negative", query(Some("-1"), None), false),
            ("no number", query(Some("x"), None), false),
            ("larger than any number", query(Some("99999999999999999999999"), None), false),
            ("empty name", query(None, Some("")), false),
            ("another place in the record", query(None, Some("../x")), false),
            ("breaks the header", query(None, Some("a>b\r\nx: y")), false),
            ("long name", query(None, Some(&"x".repeat(129))), false),
        ];
        for (name, query, want) in rows {
            assert_eq!(Page::parse(&query).is_ok(), want, "{name}");
        }
    }

    #[test]
    fn api_pages_together_are_the_whole_list_once() {
        let all = || vec!["c", "a", "e", "b", "d"];
        let whole = Page::default().part(all(), |name| (*name).to_owned());
        assert_eq!(whole, (all(), None), "as it was, where no page is asked for");
        for limit in 1..=6 {
            let mut page = Page { limit: Some(limit), after: None };
            let mut seen = Vec::new();
            for turn in 0..6 {
                let (part, next) = page.part(all(), |name| (*name).to_owned());
                assert!(part.len() <= limit, "limit {limit}, turn {turn}");
                seen.extend(part);
                page.after = next;
                if page.after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, ["a", "b", "c", "d", "e"], "limit {limit}");
        }
    }
}
