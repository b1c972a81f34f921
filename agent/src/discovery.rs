//! Found on the network: nodes that wait to be let in say so by multicast DNS, members listen, and a person begins the
//! pairing by a name instead of an address.
//!
//! The responder and browser are our own, small ones, on hickory's parser (which the install master's DHCP has anyhow).
//! The crates there are remember all that anybody on the wire says for as long as he says, take whatever port and address
//! a packet names, and run a thread that sees to every service there is; here one service is spoken of, what is
//! remembered has bounds ([`seen`]), and a node is where its packet came from. It is deliberately less than the whole of
//! RFC 6762: it answers to the group alone, and its names hold its id, so none is probed for.
//!
//! | module | job |
//! | --- | --- |
//! | [`notice`] | what a node says of itself (pure) |
//! | [`packet`] | packets in and out (pure) |
//! | [`seen`] | those that were heard of, within bounds (pure) |
//! | [`turns`] | when something is asked or said (pure) |
//! | [`wire`] | sockets: one an interface and IP version |
//! | [`routes`] | that in the API |

mod notice;
mod packet;
pub(crate) mod routes;
mod seen;
mod turns;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use maekin_api::discovery::{Discovered, DiscoveredState};
use maekin_api::watch::DISCOVERED;
use tokio::sync::watch;

use crate::app::App;
use crate::clock::now;
use crate::trust::pairing;
use notice::{CA, ID, Notice, digits};
use packet::Said;
pub(crate) use seen::Unfound;
use seen::{Entry, Seen};
use wire::Doors;

/// How often is looked whether this node is another thing now, and what grew old.
const EVERY: Duration = Duration::from_secs(2);
/// How many of those looks pass between two looks at the interfaces.
const LINKS: u32 = 5;

/// Whether a node of this id calls itself so by multicast DNS. Pure.
pub(crate) fn is_called(said: &str, node_id: &str) -> bool {
    said.len() == ID && digits(node_id, ID) == said
}

/// What is known of nodes on the wires.
#[derive(Debug)]
pub(crate) struct Keeper {
    born: Instant,
    seen: Mutex<Seen>,
}

impl Default for Keeper {
    fn default() -> Self {
        Self { born: Instant::now(), seen: Mutex::default() }
    }
}

/// What this node does on its wires.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Role {
    /// What it says of itself.
    says: Option<Notice>,
    /// Whether it looks for others.
    asks: bool,
    /// Whether it looks for members of its own cluster, and soon: it is one, and has not reached the record.
    seeks: bool,
}

impl Keeper {
    /// How long this agent has run: a clock that only goes forward.
    fn at(&self) -> Duration {
        self.born.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was said; says whether the list is another one.
    fn heard(&self, said: Said, from: SocketAddr, interface: &str) -> bool {
        let at = self.at().as_secs();
        self.lock().heard(said, from, interface, at)
    }

    /// Where the node is that waits and is called so, the best address first.
    ///
    /// # Errors
    /// [`Unfound`].
    pub(crate) fn find(&self, name: &str) -> Result<Vec<SocketAddr>, Unfound> {
        let seen = self.lock();
        Ok(seen.find(name)?.places.iter().map(|place| place.address).collect())
    }

    /// Members of whatever clusters, by the first digits of their ids, and where their APIs would be. Nobody has proved
    /// anything of it.
    pub(crate) fn members(&self) -> Vec<(String, SocketAddr)> {
        self.lock().members()
    }

    /// Nodes that wait, and members of other clusters.
    pub(crate) fn list(&self, app: &App) -> Vec<Discovered> {
        let own_ca = app.member().map(|m| digits(&m.ca_sha256(), CA)).unwrap_or_default();
        let (at, wall) = (self.at().as_secs(), now());
        let told = |entry: Entry| Discovered {
            id: entry.notice.id,
            name: entry.notice.name,
            state: entry.notice.state,
            release: entry.notice.release,
            addresses: entry.places.iter().map(|place| place.address.to_string()).collect(),
            interface: entry.places.first().map(|place| place.interface.clone()).unwrap_or_default(),
            cluster: entry.notice.cluster,
            ca: entry.notice.ca,
            since: wall.saturating_sub(at.saturating_sub(entry.since)),
            last: wall.saturating_sub(at.saturating_sub(entry.last)),
            by: app.config.hostname.clone(),
        };
        self.lock().list(&own_ca).into_iter().map(told).collect()
    }
}

/// What this node does on its wires now.
fn role(app: &App) -> Role {
    let notice = |state, cluster: &str, ca: &str| Notice {
        id: digits(&app.node_id, ID),
        name: app.config.hostname.clone(),
        state,
        release: app.boot.as_ref().map_or(env!("CARGO_PKG_VERSION"), |boot| &boot.version).to_owned(),
        cluster: cluster.to_owned(),
        ca: digits(ca, CA),
    };
    match app.member() {
        Ok(member) => {
            let cluster = &member.cluster;
            Role {
                says: Some(notice(DiscoveredState::Member, &cluster.name, &member.ca_sha256())),
                asks: true,
                seeks: false,
            }
        }
        Err(_) if pairing::waits(app) => {
            Role { says: Some(notice(DiscoveredState::Waiting, "", "")), ..Role::default() }
        }
        // Others may be at other addresses than it knew, and so may it be.
        Err(_) if app.settings.membership().exists() => Role { says: None, asks: true, seeks: true },
        Err(_) => Role::default(),
    }
}

/// Speaks and listens for as long as it is polled.
pub(crate) async fn run(app: Arc<App>) {
    let (tell, hear) = watch::channel(role(&app));
    let mut doors = Doors::new(Arc::clone(&app), hear);
    let mut turn = 0_u32;
    loop {
        let now = role(&app);
        tell.send_if_modified(|before| {
            let other = *before != now;
            *before = now;
            other
        });
        if turn.is_multiple_of(LINKS) {
            doors.tend();
        }
        turn = turn.wrapping_add(1);
        let at = app.discovery.at().as_secs();
        if app.discovery.lock().age(at) {
            app.news.tell(DISCOVERED, "", false);
        }
        tokio::time::sleep(EVERY).await;
    }
}
