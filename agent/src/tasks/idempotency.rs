//! A request that is sent twice makes one task: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). What it
//! made is remembered for a day, under the digest of who asked and the key.

use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::TaskError;

/// The header.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, bytes.
const LONGEST: usize = 128;
/// How long it is remembered, seconds.
pub(crate) const REMEMBERED: i64 = 86_400;
/// Most that are remembered at once.
pub(crate) const MOST: usize = 1000;

/// A request that may be sent twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Once {
    /// What it is remembered under: hex digits.
    pub(crate) name: String,
    /// Digest of its body.
    pub(crate) body: String,
}

/// Reads the header; `None` where there is none. `who` is who asks, `body` the body as it came. Pure.
///
/// # Errors
/// [`TaskError::Invalid`].
pub(crate) fn parse(headers: &HeaderMap, who: &str, body: &[u8]) -> Result<Option<Once>, TaskError> {
    let wrong = || {
        let why = format!("Idempotency-Key: must be one text of 1 to {LONGEST} visible ASCII characters");
        TaskError::Invalid(why)
    };
    let mut found = headers.get_all(&HEADER).iter();
    let Some(value) = found.next() else { return Ok(None) };
    let key = value.to_str().map_err(|_| wrong())?;
    let visible = key.bytes().all(|b| (0x21..0x7f).contains(&b));
    if found.next().is_some() || !visible || !(1..=LONGEST).contains(&key.len()) {
        return Err(wrong());
    }
    // Names of users have no line breaks, and neither has the key.
    let name = hex(&Sha256::digest(format!("{who}\n{key}")));
    Ok(Some(Once { name, body: hex(&Sha256::digest(body)) }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn api_idempotency_keys_are_visible_and_somebodys_own() {
        let rows = [
            ("usual", vec!["7f3c-1_a.B"], true),
            ("quoted", vec!["\"8e03978e\""], true),
            ("longest", vec![&*"x".repeat(128)], true),
            ("too long", vec![&*"x".repeat(129)], false),
            ("empty", vec![""], false),
            ("blank", vec!["a b"], false),
            ("not ASCII", vec!["\u{e4}"], false),
            ("twice", vec!["a", "b"], false),
        ]
        .map(|(name, keys, want)| (name, keys.into_iter().map(str::to_owned).collect::<Vec<_>>(), want));
        for (name, keys, want) in rows {
            let mut headers = HeaderMap::new();
            for key in &keys {
                headers.append(&HEADER, HeaderValue::from_bytes(key.as_bytes()).unwrap());
            }
            assert_eq!(parse(&headers, "eva", b"{}").is_ok(), want, "{name}");
        }
        assert_eq!(parse(&HeaderMap::new(), "eva", b"{}").unwrap(), None, "none");
        let mut headers = HeaderMap::new();
        headers.insert(&HEADER, HeaderValue::from_static("k"));
        let once = |who, body: &[u8]| parse(&headers, who, body).unwrap().unwrap();
        assert_eq!(once("eva", b"{}"), once("eva", b"{}"));
        assert_ne!(once("eva", b"{}").name, once("olaf", b"{}").name, "nobody hits another one's");
        assert_ne!(once("eva", b"{}").body, once("eva", b"[]").body);
    }
}
