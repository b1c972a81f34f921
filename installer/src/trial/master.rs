//! Whether a master answers at its address, over TLS, under the CA whose digest was given: the same trust that a node
//! has when it joins.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::pin;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

/// How long it may take to accept a connection, and to say each next thing.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are looked at.
const ENOUGH: usize = 64;

/// Asks `url` (`https://10.77.0.1:8443`) whether it lives.
///
/// # Errors
/// What stands against it, from the outermost to the innermost reason.
pub(super) fn ask(url: &str, ca_sha256: &str) -> Result<()> {
    let place = url.strip_prefix("https://").unwrap_or(url).trim_end_matches('/');
    let place = if place.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
        place.to_owned()
    } else {
        format!("{place}:443")
    };
    let addresses: Vec<SocketAddr> =
        place.to_socket_addrs().with_context(|| format!("{place} is no address"))?.collect();
    let address = addresses.first().with_context(|| format!("{place} has no address"))?;
    let stream = TcpStream::connect_timeout(address, LIMIT).context("it takes no connection")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let tls = pin::client_config(ca_sha256).context("TLS cannot be set up")?;
    let name = ServerName::try_from(maekin_api::SERVER_NAME).context("TLS cannot be set up")?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(tls), name)?, stream);
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context("it breaks off")?;
    let mut answer = [0; ENOUGH];
    let n = stream.read(&mut answer).context("it says nothing")?;
    if !answer[..n].starts_with(b"HTTP/1.1 ") {
        bail!("it does not speak HTTP");
    }
    Ok(())
}

#[cfg(test)]
mod on_screens;
