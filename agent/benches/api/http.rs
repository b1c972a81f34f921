//! One connection to a node's API, kept: what an HTTP client does, and no more.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use maekin_host::pin;
use maekin_lab::api::PASSWORD;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// See the module.
pub(crate) struct Connection {
    sender: Arc<Mutex<SendRequest<Text>>>,
    authorization: String,
}

impl Connection {
    /// Opens one to the node at `address`, of the cluster whose CA has this fingerprint.
    pub(crate) async fn open(address: Ipv4Addr, ca_sha256: &str) -> Self {
        let tls = TlsConnector::from(Arc::new(pin::client_config(ca_sha256).expect("TLS")));
        let stream = TcpStream::connect((address, 8443)).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from(maekin_api::SERVER_NAME).expect("a name");
        let stream = tls.connect(name, stream).await.expect("TLS");
        let (sender, driver) = handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(async move { drop(driver.await) });
        let authorization = format!("Basic {}", STANDARD.encode(format!("admin:{PASSWORD}")));
        Self { sender: Arc::new(Mutex::new(sender)), authorization }
    }

    /// Asks; whether the answer says yes.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> impl Future<Output = bool> + Send + use<> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "lab")
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Text(body))
            .expect("a request");
        let sender = Arc::clone(&self.sender);
        async move {
            let mut sender = sender.lock().await;
            sender.ready().await.expect("an open connection");
            let Ok(mut answer) = sender.send_request(request).await else { return false };
            let yes = answer.status().is_success();
            while let Some(frame) =
                std::future::poll_fn(|cx| std::pin::Pin::new(answer.body_mut()).poll_frame(cx)).await
            {
                if frame.is_err() {
                    return false;
                }
            }
            yes
        }
    }
}

/// A body of one piece.
pub(crate) struct Text(&'static str);

impl Body for Text {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let text = std::mem::take(&mut self.0);
        std::task::Poll::Ready(
            (!text.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
