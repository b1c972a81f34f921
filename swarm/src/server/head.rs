//! The head of a neighbour's request (RFC 9112 section 3). What is not needed is not understood: a request with a body,
//! another method or a target that is no path is refused.

use crate::wire::HAVE_HEAD;

/// Head with the port that the asking machine serves on.
pub const PORT_HEAD: &str = "maekin-port";

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Path and query.
    pub path: String,
    /// Where the asking machine serves.
    pub port: Option<u16>,
    /// What it has, unread.
    pub have: Option<String>,
}

/// Not a request that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadHead;

/// Reads a request's head from the beginning of `bytes`, and its length; `None` while it is not whole.
///
/// # Errors
/// [`BadHead`].
pub fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| BadHead)?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, path, version) = (words.next(), words.next().unwrap_or_default(), words.next());
    let plain = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
    if method != Some("GET") || !plain || version != Some("HTTP/1.1") || words.next().is_some() {
        return Err(BadHead);
    }
    let mut head = Head { path: path.to_owned(), port: None, have: None };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BadHead)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" if value != "0" => return Err(BadHead),
            "transfer-encoding" => return Err(BadHead),
            PORT_HEAD => head.port = value.parse().ok().filter(|port| *port != 0),
            HAVE_HEAD => head.have = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(Some((head, end + 4)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rack_requests_are_read_and_others_refused() {
        let head = |path: &str, port: Option<u16>, have: Option<&str>| {
            Ok(Some(Head { path: path.to_owned(), port, have: have.map(str::to_owned) }))
        };
        type Row = (&'static str, &'static str, Result<Option<Head>, BadHead>);
        let rows: &[Row] = &[
            ("plain", "GET /swarm/chunk/7 HTTP/1.1\r\nHost: x\r\n\r\n", head("/swarm/chunk/7", None, None)),
            (
                "of a machine",
                "GET /a HTTP/1.1\r\nMaekin-Port: 7000\r\nmaekin-have: ff\r\n\r\n",
                head("/a", Some(7000), Some("ff")),
            ),
            ("port that is none", "GET /a HTTP/1.1\r\nMaekin-Port: 70000\r\n\r\n", head("/a", None, None)),
            ("not whole", "GET /a HTTP/1.1\r\nHost: x\r\n", Ok(None)),
            ("nothing", "", Ok(None)),
            ("another method", "POST /a HTTP/1.1\r\n\r\n", Err(BadHead)),
            ("a body", "GET /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n", Err(BadHead)),
            ("a body in chunks", "GET /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Err(BadHead)),
            ("no path", "GET http://x/ HTTP/1.1\r\n\r\n", Err(BadHead)),
            ("a line that is no head", "GET /a HTTP/1.1\r\nnonsense\r\n\r\n", Err(BadHead)),
            ("old version", "GET /a HTTP/1.0\r\n\r\n", Err(BadHead)),
            ("four words", "GET /a b HTTP/1.1\r\n\r\n", Err(BadHead)),
        ];
        for (name, text, want) in rows {
            let got = parse_head(text.as_bytes()).map(|found| found.map(|(head, _)| head));
            assert_eq!(&got, want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn rack_hostile_heads_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = [b"GET ", &bytes[..], b"\r\n\r\n"].concat();
            if let Ok(Some((_, len))) = parse_head(&text) {
                prop_assert!(len <= text.len());
            }
            let _ = parse_head(&bytes);
        }
    }
}
