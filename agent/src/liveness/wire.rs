//! The socket: packets in, packets out.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use maekin_gossip::{Event, Gossip, Identity, MAX_PACKET, NodeId};
use tokio::net::UdpSocket;

use super::memory::Memory;
use super::own;
use super::place::{self, LivenessError, Place};
use super::{EVERY, Running, Shared, node_id};
use crate::app::App;

/// Packets that are taken from the socket before what is due is done: what came while this program stood still says
/// that their senders are there.
const BACKLOG: usize = 512;

/// Gossips until this node's address changes.
///
/// # Errors
/// [`LivenessError`].
pub(super) async fn run(app: &App, place: &Place, memory: &mut Memory) -> Result<(), LivenessError> {
    let address = place.address;
    let bind = |source| LivenessError::Bind { address, source };
    let socket = UdpSocket::bind(address).await.map_err(bind)?;
    begin(app, place, memory)?;
    tracing::info!(%address, "gossip begins");
    let mut buf = vec![0; MAX_PACKET + 1];
    let mut refresh_at = Instant::now();
    loop {
        if Instant::now() >= refresh_at {
            refresh_at = Instant::now() + EVERY;
            if place::address(app).is_some_and(|now| now != address) {
                return Ok(());
            }
            refresh(app, place, memory)?;
        }
        let due = turn(app, &socket).min(refresh_at);
        tokio::select! {
            received = socket.recv_from(&mut buf) => match received {
                Ok((length, _)) => receive(app, &buf[..length]),
                // An error of an earlier packet, as when its receiver is not there.
                Err(e) => tracing::debug!(error = %e, "gossip"),
            },
            () = tokio::time::sleep_until(due.into()) => {
                for _ in 0..BACKLOG {
                    let Ok((length, _)) = socket.try_recv_from(&mut buf) else { break };
                    receive(app, &buf[..length]);
                }
                tick(app);
            }
        }
    }
}

/// Starts gossip, or moves the one that runs to another address.
fn begin(app: &App, place: &Place, memory: &mut Memory) -> Result<(), LivenessError> {
    let mut shared = app.liveness.lock();
    if let Some(running) = &mut shared.running {
        let at = running.at();
        running.gossip.set_address(place.address, at);
        return Ok(());
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let generation = memory.next_generation(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    // Written down before it is used: no two starts may have the same.
    memory.generation = generation;
    memory.store(&app.settings.peers())?;
    let identity = Identity { cluster: place.cluster, id: place.id, generation, address: place.address };
    // Whom it asks when need not be hard to guess.
    let seed = generation ^ u64::from_be_bytes(*place.id.0.last_chunk::<8>().unwrap_or(&[0; 8]));
    let gossip = place.key.derive(|key| Gossip::new(&identity, key, seed, Duration::ZERO));
    shared.running = Some(Running { gossip, born: Instant::now(), keys: vec![place.key.id().to_owned()] });
    Ok(())
}

/// Tells gossip what changed around it, and keeps what a start without the record would need.
fn refresh(app: &App, place: &Place, memory: &mut Memory) -> Result<(), LivenessError> {
    let said = app.liveness.lock().quorum.said();
    let status = own::look(app, said);
    let keys = app.member().map(|member| member.seal.all()).unwrap_or_default();
    let mut shared = app.liveness.lock();
    let seeds = shared.seeds();
    let removed: Vec<NodeId> = shared.gone().iter().filter_map(|gone| node_id(&gone.id)).collect();
    shared.own.clone_from(&status);
    if let Some(running) = &mut shared.running {
        running.set_keys(&place.cluster, &keys);
        running.gossip.set_status(status);
        running.gossip.set_seeds(seeds);
        running.gossip.set_removed(removed);
    }
    if shared.nodes != memory.nodes {
        memory.nodes.clone_from(&shared.nodes);
        drop(shared);
        memory.store(&app.settings.peers())?;
    }
    Ok(())
}

/// Sends what is to be sent; when there is something to do next.
fn turn(app: &App, socket: &UdpSocket) -> Instant {
    let mut shared = app.liveness.lock();
    let Some(running) = &mut shared.running else { return Instant::now() + EVERY };
    while let Some((to, packet)) = running.gossip.poll_packet() {
        // Lost, as packets may be: where nobody is at home, or there is no way at this moment.
        if let Err(e) = socket.try_send_to(&packet, to) {
            tracing::debug!(error = %e, %to, "gossip");
        }
    }
    let due = running.born + running.gossip.next_due();
    tell(&mut shared);
    due
}

fn receive(app: &App, packet: &[u8]) {
    if let Some(running) = &mut app.liveness.lock().running {
        let at = running.at();
        running.gossip.receive(packet, at);
    }
}

fn tick(app: &App) {
    if let Some(running) = &mut app.liveness.lock().running {
        let at = running.at();
        running.gossip.tick(at);
    }
}

/// Writes into the log who came and went.
fn tell(shared: &mut Shared) {
    let mut events = Vec::new();
    if let Some(running) = &mut shared.running {
        events.extend(std::iter::from_fn(|| running.gossip.poll_event()));
    }
    for event in events {
        let (Event::Up(id) | Event::Down(id)) = event;
        let known = shared.nodes.iter().find(|node| node_id(&node.id) == Some(id));
        let name = known.map_or_else(|| format!("{id:?}"), |node| node.name.clone());
        match event {
            Event::Up(_) => tracing::info!(name, "node is there"),
            Event::Down(_) => tracing::warn!(name, "node does not answer"),
        }
    }
}
