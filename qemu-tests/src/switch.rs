//! The rack's layer-2 switch, without any privilege.
//!
//! Each port is a unix stream socket in the switch's directory (`NAME.sock`). QEMU's `-netdev stream` connects to it
//! and sends each Ethernet frame behind its length (4 bytes, big-endian). A port learns the addresses behind it
//! (`table`), has a bounded queue, and drops what does not fit, as a real one does. Cables are pulled and
//! partitions made through the control socket ([`Control`]). The switch listens before a guest starts and outlives
//! it: a guest started again finds its port.
//!
//! Threads and blocking sockets: a rack has a handful of ports.

mod control;
mod frames;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Context;

pub use control::Control;
use frames::{Frame, FrameReader, write_queue};
use table::Table;

/// Frames that wait at a port for a guest that is busy; more are dropped.
const QUEUE: usize = 1024;
/// Most ports of one switch.
const MAX_PORTS: usize = 64;

/// Where the switch's control socket is within its directory.
#[must_use]
pub fn control_socket(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// Where the socket of port `name` is.
#[must_use]
pub fn port_socket(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.sock"))
}

/// One end of a cable, towards the guest.
struct Port {
    queue: Option<SyncSender<Frame>>,
    /// Told to the writer of an older connection, which then does not clear a newer one's queue.
    generation: u64,
    received: u64,
    sent: u64,
    dropped: u64,
}

struct Inner {
    dir: PathBuf,
    names: Vec<String>,
    ports: Vec<Port>,
    table: Table,
}

/// A running switch; its threads run until the process ends.
#[derive(Clone)]
pub struct Switch {
    inner: Arc<Mutex<Inner>>,
}

impl Switch {
    /// Starts a switch in `dir` with one port for each name. More can be added through the control socket.
    ///
    /// # Errors
    /// Names the socket that cannot be listened on.
    pub fn start(dir: &Path, names: &[String]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let inner =
            Inner { dir: dir.to_owned(), names: Vec::new(), ports: Vec::new(), table: Table::default() };
        let switch = Self { inner: Arc::new(Mutex::new(inner)) };
        for name in names {
            switch.add_port(name)?;
        }
        control::serve(switch.clone(), &listen(&control_socket(dir))?)?;
        Ok(switch)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner) // no invariant spans a panic
    }

    fn add_port(&self, name: &str) -> anyhow::Result<()> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        anyhow::ensure!(
            !name.is_empty() && name.len() <= 40 && name.chars().all(good),
            "port name {name:?} is not made of at most 40 letters, digits and hyphens"
        );
        let mut inner = self.lock();
        if inner.names.iter().any(|n| n == name) {
            return Ok(());
        }
        anyhow::ensure!(inner.names.len() < MAX_PORTS, "a switch has at most {MAX_PORTS} ports");
        let listener = listen(&port_socket(&inner.dir, name))?;
        let index = inner.table.add_port();
        inner.names.push(name.to_owned());
        inner.ports.push(Port { queue: None, generation: 0, received: 0, sent: 0, dropped: 0 });
        drop(inner);
        let switch = self.clone();
        thread::Builder::new().name(format!("port {name}")).spawn(move || switch.accept(&listener, index))?;
        Ok(())
    }

    /// Serves the guests that come to a port, one after the other; the newest has the port.
    fn accept(&self, listener: &UnixListener, index: usize) {
        for stream in listener.incoming() {
            let connected = stream.and_then(|stream| self.connect(stream, index));
            if let Err(e) = connected {
                tracing::warn!(port = index, error = %e, "a guest could not be connected");
            }
        }
    }

    fn connect(&self, stream: UnixStream, index: usize) -> io::Result<()> {
        let (queue, frames) = sync_channel(QUEUE);
        let writer = stream.try_clone()?;
        let mut inner = self.lock();
        let port = &mut inner.ports[index];
        port.generation += 1;
        port.queue = Some(queue);
        let generation = port.generation;
        drop(inner);
        thread::Builder::new().spawn(move || write_queue(&frames, writer))?;
        let switch = self.clone();
        thread::Builder::new().spawn(move || {
            let mut reader = FrameReader::new(stream);
            let ended = loop {
                match reader.next() {
                    Ok(Some(frame)) => switch.forward(index, frame),
                    Ok(None) => break Ok(()),
                    Err(e) => break Err(e),
                }
            };
            tracing::debug!(port = index, ?ended, "guest gone");
            switch.disconnect(index, generation);
        })?;
        Ok(())
    }

    fn disconnect(&self, index: usize, generation: u64) {
        let mut inner = self.lock();
        if inner.ports[index].generation == generation {
            inner.ports[index].queue = None;
            inner.table.forget(index);
        }
    }

    fn forward(&self, from: usize, frame: Vec<u8>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.ports[from].received += 1;
        let targets = inner.table.route(from, &frame);
        let frame: Frame = Arc::from(frame);
        for to in targets {
            let port = &mut inner.ports[to];
            match port.queue.as_ref().map(|queue| queue.try_send(frame.clone())) {
                Some(Ok(())) => port.sent += 1,
                Some(Err(TrySendError::Full(_))) => port.dropped += 1,
                Some(Err(TrySendError::Disconnected(_))) | None => {}
            }
        }
    }

    fn set_up(&self, name: &str, up: bool) -> anyhow::Result<()> {
        let mut inner = self.lock();
        let index = inner.index(name)?;
        inner.table.set_up(index, up);
        Ok(())
    }

    /// Puts each listed port into the group it is listed in; those not listed share group 0.
    fn partition(&self, groups: &[Vec<&str>]) -> anyhow::Result<()> {
        let mut inner = self.lock();
        let mut of: BTreeMap<usize, usize> = BTreeMap::new();
        for (group, names) in groups.iter().enumerate() {
            for name in names {
                of.insert(inner.index(name)?, group + 1);
            }
        }
        inner.table.set_groups(|port| of.get(&port).copied().unwrap_or(0));
        Ok(())
    }

    fn status(&self) -> String {
        let inner = self.lock();
        let line = |(i, name): (usize, &String)| {
            let port = &inner.ports[i];
            let cable = if inner.table.is_up(i) { "up" } else { "down" };
            let guest = if port.queue.is_some() { "connected" } else { "empty" };
            let group = inner.table.group(i);
            let Port { received, sent, dropped, .. } = port;
            format!(
                "{name} {cable} {guest} group={group} received={received} sent={sent} dropped={dropped}\n"
            )
        };
        inner.names.iter().enumerate().map(line).collect()
    }
}

impl Inner {
    fn index(&self, name: &str) -> anyhow::Result<usize> {
        let found = self.names.iter().position(|n| n == name);
        found.with_context(|| format!("there is no port {name:?}; ports: {}", self.names.join(", ")))
    }
}

/// Listens on `socket`, in place of one that an earlier switch left behind.
fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("cannot remove {}", socket.display()));
        }
        _ => {}
    }
    UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))
}

#[cfg(test)]
mod tests;
