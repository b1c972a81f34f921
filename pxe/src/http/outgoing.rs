//! Files that go from the page cache to the network without passing through this program.
//!
//! hyper writes what a response's body yields, and a body yields bytes. A file's body yields *holes*: slices of one
//! region of memory that nobody ever reads or writes, as long as the file's part. The connection's stream
//! ([`Outgoing`]) sees from a slice's address that it is a hole, and sends that much of the file instead, by
//! sendfile(2). So heads, lengths, keep-alive and pipelining stay hyper's job, and a download costs no copy.
//!
//! What is not in the page cache is first read on another thread: a slow disk holds up nobody else's connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use maekin_host::sendfile;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Bytes of one hole: as much as is sent, and read from a disk, in one go.
const HOLE: usize = 1 << 20;

/// Never touched, so it never takes memory.
static REGION: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(vec![0; HOLE]));

/// A file, or a part of one, as the body of a response. A handler puts it into the response's extensions.
#[derive(Debug, Clone)]
pub struct FileBody {
    /// The open file.
    pub file: Arc<File>,
    /// First byte.
    pub from: u64,
    /// How many bytes.
    pub len: u64,
}

/// The files that the holes of one connection stand for, in order.
#[derive(Debug, Clone, Default)]
pub struct Outlet(Arc<Mutex<VecDeque<FileBody>>>);

impl Outlet {
    /// Makes a file that a response carries its body.
    #[must_use]
    pub fn attach(&self, mut response: Response) -> Response {
        match response.extensions_mut().remove::<FileBody>() {
            Some(file) if file.len > 0 => {
                *response.body_mut() = Body::new(Holes(file.len));
                self.queue().push_back(file);
                response
            }
            _ => response,
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<FileBody>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The part of a file that comes next.
    fn next(&self) -> Option<FileBody> {
        self.queue().front().cloned()
    }

    /// Moves on by `sent` bytes.
    fn advance(&self, sent: usize) {
        let mut queue = self.queue();
        if let Some(file) = queue.front_mut() {
            file.from += sent as u64;
            file.len = file.len.saturating_sub(sent as u64);
            if file.len == 0 {
                queue.pop_front();
            }
        }
    }
}

/// A body of so many bytes of holes.
struct Holes(u64);

impl HttpBody for Holes {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let len = usize::try_from(self.0).unwrap_or(HOLE).min(HOLE);
        if len == 0 {
            return Poll::Ready(None);
        }
        self.0 -= len as u64;
        Poll::Ready(Some(Ok(Frame::data(REGION.slice(..len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0 == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

/// Whether a slice to be written is a hole.
fn is_hole(slice: &[u8]) -> bool {
    !slice.is_empty() && REGION.as_ptr_range().contains(&slice.as_ptr())
}

/// A connection that writes files where hyper writes holes.
#[derive(Debug)]
pub struct Outgoing {
    stream: TcpStream,
    outlet: Outlet,
    /// A read from the disk that is under way.
    warming: Option<JoinHandle<()>>,
    /// Up to here the next file's bytes have been read.
    warm: Option<u64>,
}

impl Outgoing {
    /// Wraps a connection; `outlet` tells which files its holes are.
    #[must_use]
    pub fn new(stream: TcpStream, outlet: Outlet) -> Self {
        Self { stream, outlet, warming: None, warm: None }
    }

    fn poll_hole(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        let Some(next) = self.outlet.next() else {
            return Poll::Ready(Err(io::Error::other("a hole without a file")));
        };
        let len = len.min(usize::try_from(next.len).unwrap_or(len));
        loop {
            if let Some(warming) = &mut self.warming {
                let _ = ready!(Pin::new(warming).poll(cx)); // what cannot be read, sendfile will say
                self.warming = None;
            }
            ready!(self.stream.poll_write_ready(cx))?;
            let last = next.from + len as u64 - 1;
            if self.warm.is_none_or(|warm| last >= warm) {
                // Once only: a page that is dropped again at once must not keep us here for ever.
                self.warm = Some(last + 1);
                if !sendfile::is_cached(&next.file, last) {
                    let (file, from) = (next.file.clone(), next.from);
                    self.warming = Some(tokio::task::spawn_blocking(move || {
                        let _ = sendfile::warm(&file, from, len);
                    }));
                    continue;
                }
            }
            let send = || sendfile::send_file(&self.stream, &next.file, next.from, len);
            match self.stream.try_io(Interest::WRITABLE, send) {
                Ok(0) => {
                    return Poll::Ready(Err(io::Error::other("the file has become shorter")));
                }
                Ok(sent) => {
                    self.outlet.advance(sent);
                    if sent as u64 == next.len {
                        self.warm = None; // the next one is another file
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }
}

impl AsyncRead for Outgoing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bufs = match bufs.iter().position(|slice| !slice.is_empty()) {
            Some(first) => &bufs[first..],
            None => return Poll::Ready(Ok(0)),
        };
        match bufs.iter().position(|slice| is_hole(slice)) {
            Some(0) => self.poll_hole(cx, bufs[0].len()),
            hole => {
                let bytes = &bufs[..hole.unwrap_or(bufs.len())];
                Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slices_of_the_region_are_holes() {
        assert!(is_hole(&REGION) && is_hole(&REGION[5..6]) && is_hole(&REGION[HOLE - 1..]));
        assert!(!is_hole(&[0; 16]) && !is_hole(&[]) && !is_hole(&vec![0; HOLE]));
    }

    #[tokio::test]
    async fn files_and_bytes_alternate_in_order() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let outlet = Outlet::default();
        let mut stream = Outgoing::new(listener.accept().await.unwrap().0, outlet.clone());
        let content: Vec<u8> = (0..251).cycle().flat_map(|b| [b; 3]).take(3 * HOLE + 5).collect();
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &content).unwrap();
        let file = Arc::new(file);
        let reader = tokio::spawn(async move {
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.map(|_| got)
        });
        let mut wanted = Vec::new();
        for (from, len) in [(0, content.len()), (7, 10), (HOLE, 2 * HOLE)] {
            let part = FileBody { file: file.clone(), from: from as u64, len: len as u64 };
            let mut response = Response::new(Body::empty());
            response.extensions_mut().insert(part);
            let mut body = outlet.attach(response).into_body();
            assert_eq!(body.size_hint().exact(), Some(len as u64));
            stream.write_all(b"head").await.unwrap();
            while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                stream.write_all(&frame.unwrap().into_data().unwrap()).await.unwrap();
            }
            wanted.extend_from_slice(b"head");
            wanted.extend_from_slice(&content[from..from + len]);
        }
        assert!(outlet.next().is_none());
        assert!(stream.write_all(&REGION[..1]).await.is_err(), "a hole without a file");
        drop(stream);
        assert!(reader.await.unwrap().unwrap() == wanted);
    }

    #[tokio::test]
    async fn a_file_that_shrinks_ends_the_connection() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let outlet = Outlet::default();
        let mut stream = Outgoing::new(listener.accept().await.unwrap().0, outlet.clone());
        let file = Arc::new(tempfile::tempfile().unwrap());
        outlet.queue().push_back(FileBody { file, from: 0, len: 10 });
        let err = stream.write_all(&REGION[..10]).await.unwrap_err();
        assert!(err.to_string().contains("shorter"), "{err}");
    }
}
