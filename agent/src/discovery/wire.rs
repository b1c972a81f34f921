//! Sockets: one an interface and IP version, each with a task of its own, for as long as the interface is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::watch::DISCOVERED;
use maekin_host::links::{Link, probe_links};
use maekin_host::mdns::{self, Door};
use maekin_host::net6;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::packet::{Asked, Heard, LARGEST, announcement, names, parse, question};
use super::turns::{Due, Turns};
use super::{Role, Said};
use crate::app::App;

/// Most sockets.
const MOST: usize = 32;
/// Most addresses that are told.
const ADDRESSES: usize = 8;
/// Packets of an interface that are looked at in a second: what is more, waits in the kernel or is lost there.
const PACKETS: u32 = 200;

/// A socket is for this: interface, its number (another one may get its name), whether for IPv6.
type Key = (String, u32, bool);

/// All of them.
pub(super) struct Doors {
    app: Arc<App>,
    role: watch::Receiver<Role>,
    open: BTreeMap<Key, AbortHandle>,
    tasks: JoinSet<()>,
    /// Why one could not be opened: said once.
    said: BTreeSet<String>,
}

impl Doors {
    /// None yet.
    pub(super) fn new(app: Arc<App>, role: watch::Receiver<Role>) -> Self {
        Self { app, role, open: BTreeMap::new(), tasks: JoinSet::new(), said: BTreeSet::new() }
    }

    /// Opens those that are missing, and closes those whose interface is gone.
    pub(super) fn tend(&mut self) {
        while self.tasks.try_join_next().is_some() {} // what ended is opened anew below
        self.open.retain(|_, task| !task.is_finished());
        let wanted = plan_doors(&probe_links().unwrap_or_default(), |name| mdns::index(name).ok());
        self.open.retain(|key, task| {
            let stays = wanted.contains_key(key);
            if !stays {
                task.abort();
            }
            stays
        });
        for (key, address) in wanted {
            if self.open.contains_key(&key) || self.open.len() >= MOST {
                continue;
            }
            match open(&key, address) {
                Ok((door, socket)) => {
                    tracing::debug!(interface = key.0, ipv6 = key.2, "multicast DNS");
                    let served = serve(Arc::clone(&self.app), key.0.clone(), door, socket, self.role.clone());
                    self.open.insert(key, self.tasks.spawn(served));
                }
                Err(e) => {
                    let words = format!("{}: {e}", key.0);
                    if self.said.len() < MOST && self.said.insert(words.clone()) {
                        tracing::warn!(error = words, "multicast DNS: nodes that wait are not heard there");
                    }
                }
            }
        }
    }
}

/// Which sockets are wanted, with our address for IPv4. `index` tells an interface's number. Pure.
fn plan_doors(links: &[Link], index: impl Fn(&str) -> Option<u32>) -> BTreeMap<Key, Option<IpAddr>> {
    let mut wanted = BTreeMap::new();
    // A tap of a virtual machine is neither hardware nor has an address: nobody who waits is behind it.
    for link in links.iter().filter(|link| link.carrier && (link.physical || !link.addresses.is_empty())) {
        let Some(number) = index(&link.name) else { continue };
        let four = link.addresses.iter().map(|(ip, _)| *ip).find(IpAddr::is_ipv4);
        if four.is_some() {
            wanted.insert((link.name.clone(), number, false), four);
        }
        wanted.insert((link.name.clone(), number, true), None);
    }
    wanted
}

fn open(key: &Key, address: Option<IpAddr>) -> io::Result<(SocketAddr, UdpSocket)> {
    let Door { socket, group } = match address {
        Some(IpAddr::V4(ip)) => mdns::open_v4(&key.0, ip)?,
        _ => mdns::open_v6(&key.0)?,
    };
    Ok((group, UdpSocket::from_std(socket)?))
}

/// One interface and IP version.
struct Wire {
    app: Arc<App>,
    interface: String,
    group: SocketAddr,
    socket: UdpSocket,
    role: Role,
    turns: Turns,
}

async fn serve(
    app: Arc<App>,
    interface: String,
    group: SocketAddr,
    socket: UdpSocket,
    mut roles: watch::Receiver<Role>,
) {
    let role = roles.borrow_and_update().clone();
    let turns = begin(&app, &role);
    let mut wire = Wire { app, interface, group, socket, role, turns };
    let mut buf = vec![0; LARGEST + 1];
    let (mut second, mut taken) = (0, 0);
    loop {
        let at = wire.app.discovery.at();
        if at.as_secs() != second {
            (second, taken) = (at.as_secs(), 0);
        }
        let listens = taken < PACKETS;
        // Where it does not listen, it does again when the second is over.
        let rest = Duration::from_secs(second + 1).saturating_sub(at);
        let due = wire.turns.next().map(|next| next.saturating_sub(at));
        let pause = if listens { due } else { Some(due.unwrap_or(rest).min(rest)) };
        tokio::select! {
            received = wire.socket.recv_from(&mut buf), if listens => match received {
                Ok((length, from)) => {
                    taken += 1;
                    wire.take(&buf[..length], from);
                }
                // The interface may be gone: it is looked for again.
                Err(e) => return tracing::debug!(interface = wire.interface, error = %e, "multicast DNS"),
            },
            () = tokio::time::sleep(pause.unwrap_or(Duration::from_secs(3600))) => wire.act().await,
            changed = roles.changed() => {
                if changed.is_err() {
                    return;
                }
                let role = roles.borrow_and_update().clone();
                wire.become_another(role).await;
            }
        }
    }
}

fn begin(app: &App, role: &Role) -> Turns {
    Turns::begin(app.discovery.at(), (role.says.is_some(), role.asks, role.seeks), part())
}

/// A random part; without random numbers, always the same.
fn part() -> u8 {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

impl Wire {
    fn take(&mut self, packet: &[u8], from: SocketAddr) {
        // Queries from another port are those of simple resolvers, which want answers of their own (RFC 6762 section 6.7);
        // they get none, so that nobody is sent what he did not ask for.
        if from.port() != mdns::PORT {
            return;
        }
        match parse(packet) {
            Some(Heard::Asked(asked)) => self.asked(&asked),
            Some(Heard::Said(all)) if self.role.asks => {
                for said in all {
                    self.said(said, from);
                }
            }
            _ => {}
        }
    }

    fn asked(&mut self, asked: &Asked) {
        let at = self.app.discovery.at();
        if asked.waiting {
            self.turns.overheard(at, part());
        }
        if asked.all && asked.known.is_empty() {
            self.turns.overheard_all(at, part());
        }
        let Some(own) = &self.role.says else { return };
        let waits = !self.role.asks;
        let [service, host] = names(own);
        let by_name = asked.names.iter().any(|name| *name == service || *name == host);
        let known = asked.known.contains(&service);
        if by_name || ((asked.all || (asked.waiting && waits)) && !known) {
            self.turns.asked(at, part());
        }
    }

    fn said(&self, said: Said, from: SocketAddr) {
        let ours = self.role.says.as_ref().is_some_and(|own| own.id == said.notice.id);
        let (name, gone) = (said.notice.id.clone(), said.ttl == 0);
        if !ours && self.app.discovery.heard(said, from, &self.interface) {
            self.app.news.tell(DISCOVERED, &name, gone);
        }
    }

    async fn act(&mut self) {
        let Due { say, ask, ask_all } = self.turns.due(self.app.discovery.at(), part());
        if say {
            self.say(false).await;
        }
        for (due, waiting) in [(ask, true), (ask_all, false)] {
            if due && let Some(packet) = question(waiting) {
                self.send(&packet).await;
            }
        }
    }

    async fn become_another(&mut self, role: Role) {
        // Whoever is another thing now says that; whoever is nothing any more says good-bye.
        if role.says.is_none() && self.role.says.is_some() {
            self.say(true).await;
        }
        self.turns = begin(&self.app, &role);
        self.role = role;
    }

    async fn say(&self, gone: bool) {
        let Some(own) = &self.role.says else { return };
        if let Some(packet) = announcement(own, self.app.settings.port, &addresses(&self.interface), gone) {
            self.send(&packet).await;
        }
    }

    async fn send(&self, packet: &[u8]) {
        if let Err(e) = self.socket.send_to(packet, self.group).await {
            tracing::debug!(interface = self.interface, error = %e, "multicast DNS: not sent");
        }
    }
}

/// The addresses of an interface.
fn addresses(interface: &str) -> Vec<IpAddr> {
    let links = probe_links().unwrap_or_default();
    let mut all: Vec<IpAddr> = links
        .iter()
        .filter(|link| link.name == interface)
        .flat_map(|l| l.addresses.iter().map(|a| a.0))
        .collect();
    for ip in net6::addresses(interface).unwrap_or_default() {
        if !all.contains(&ip.into()) {
            all.push(ip.into());
        }
    }
    all.truncate(ADDRESSES);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_is_announced_where_others_may_be() {
        let link = |name: &str, carrier, physical, addresses: &[&str]| Link {
            name: name.to_owned(),
            mac: String::new(),
            carrier,
            physical,
            addresses: addresses.iter().map(|ip| (ip.parse().unwrap(), 24)).collect(),
        };
        let rows: [(&str, Link, &[bool]); 7] = [
            ("a network card", link("ens3", true, true, &["10.77.0.1"]), &[false, true]),
            ("one with IPv6 alone", link("ens3", true, true, &["fd00::1"]), &[true]),
            ("one without any address", link("ens3", true, true, &[]), &[true]),
            ("one without a cable", link("ens3", false, true, &["10.77.0.1"]), &[]),
            ("a bridge with an address", link("br0", true, false, &["10.77.0.1"]), &[false, true]),
            ("a machine's tap", link("tap0", true, false, &[]), &[]),
            ("one that went away", link("gone", true, true, &[]), &[]),
        ];
        for (name, link, want) in rows {
            let doors = plan_doors(&[link], |name| (name != "gone").then_some(2));
            let got: Vec<bool> = doors.keys().map(|(_, _, six)| *six).collect();
            assert_eq!(got, want, "{name}");
        }
    }
}
