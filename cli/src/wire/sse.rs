//! Server-sent events (WHATWG HTML, section 9.2) out of bytes. Pure, bounded.

/// Longest event, bytes.
const LONGEST: usize = 4 << 20;

/// An event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its type; empty where it has none.
    pub(crate) event: String,
    /// Its id; empty where it has none.
    pub(crate) id: String,
    /// Its data, the lines joined.
    pub(crate) data: String,
}

/// Takes bytes, gives events.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    size: usize,
}

impl SseParser {
    /// The events that `bytes` completes.
    ///
    /// # Errors
    /// An event is too long.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, String> {
        let mut found = Vec::new();
        for &byte in bytes {
            self.size += 1;
            if self.size > LONGEST {
                return Err(format!("an event of more than {LONGEST} bytes"));
            }
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
            if text.is_empty() {
                self.size = 0;
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.has_data) {
                    found.push(event);
                }
                continue;
            }
            let (field, value) = text.split_once(':').unwrap_or((&text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.event),
                "id" => value.clone_into(&mut self.event.id),
                "data" => {
                    if self.has_data {
                        self.event.data.push('\n');
                    }
                    self.has_data = true;
                    self.event.data.push_str(value);
                }
                _ => {} // comments, `retry`, what comes later
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = ": hello\n\nevent: node\nid: 7\ndata: {\"a\":1}\n\ndata: x\r\ndata:y\r\n\r\nevent: no data\n\n\
                        data\n\ndata: cut";

    fn events(chunks: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        chunks.iter().flat_map(|chunk| parser.push(chunk).unwrap()).collect()
    }

    #[test]
    fn cli_events_are_whole_however_they_are_cut() {
        let whole = events(&[TEXT.as_bytes()]);
        let event = |event: &str, id: &str, data: &str| SseEvent {
            event: event.into(),
            id: id.into(),
            data: data.into(),
        };
        assert_eq!(whole, [event("node", "7", "{\"a\":1}"), event("", "", "x\ny"), event("", "", "")]);
        for at in 0..TEXT.len() {
            let (one, two) = TEXT.as_bytes().split_at(at);
            assert_eq!(events(&[one, two]), whole, "cut at {at}");
        }
    }

    #[test]
    fn cli_an_endless_event_is_refused() {
        let mut parser = SseParser::default();
        let chunk = vec![b'x'; 1 << 20];
        assert!((0..8).any(|_| parser.push(&chunk).is_err()));
    }

    proptest! {
        #[test]
        fn cli_any_bytes_are_events_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let _ = SseParser::default().push(&bytes);
        }
    }
}
