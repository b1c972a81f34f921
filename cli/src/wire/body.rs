//! The bytes of an answer as they come.

use std::pin::Pin;

use hyper::body::{Body, Bytes, Incoming};

/// The next bytes; `None` at the end.
///
/// # Errors
/// As hyper, also when the answer ends before the length that it announced.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return Ok(None),
            Some(Err(e)) => return Err(e),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_) => {} // trailers
            },
        }
    }
}
