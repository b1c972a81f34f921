//! What names a request: an id in the answer, the logs, the audit log and problem details.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// The header that carries it, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over.
const LONGEST: usize = 64;

tokio::task_local! {
    static ID: String;
}

/// The id of the request that is being answered; empty outside of one.
pub(crate) fn current() -> String {
    ID.try_with(Clone::clone).unwrap_or_default()
}

/// Gives the request its name.
pub(crate) async fn name(request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(made);
    let span = tracing::info_span!("request", request = id);
    let mut response = ID.scope(id.clone(), next.run(request)).instrument(span).await;
    // What was given is plain ASCII, and so is what was made.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The id that the asker chose, where it is harmless in logs. Pure.
fn given(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    ((1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

fn made() -> String {
    let mut bytes = [0; 8];
    // Without random numbers all requests have one name; nothing rests on it.
    let _ = getrandom::fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_request_ids_are_taken_over_where_they_are_plain() {
        let rows = [
            ("usual", "7f3c-1_a.B", true),
            ("longest", &"x".repeat(64), true),
            ("too long", &"x".repeat(65), false),
            ("empty", "", false),
            ("blank", "a b", false),
            ("breaks a line of a log", "a\tb", false),
            ("quotes", "a\"b", false),
            ("not ASCII", "\u{e4}", false),
        ];
        for (name, text, want) in rows {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            assert_eq!(given(&headers).is_some(), want, "{name}");
        }
        assert_eq!(given(&HeaderMap::new()), None, "none");
        assert_eq!(made().len(), 16);
    }
}
