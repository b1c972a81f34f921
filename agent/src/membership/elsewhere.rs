//! Voters that are at other addresses than this node knew: where none of those that it knows answers, it asks where their
//! nodes gossip from now. A packet of gossip is sealed with a key that members have; whoever is asked there shows a
//! certificate of the cluster's CA before anything is said, as every voter does. So nobody can lead this node elsewhere but
//! a member, and nothing is kept of it before the record itself says where its voters are.
//!
//! Where nobody gossips with this node either, since all that it knew are at other addresses, as it may be itself, it
//! listens to what members say of themselves by multicast DNS. Anybody can say that; so whoever says that he is one of the
//! voters first proves that he has that very member's key.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::WHOAMI;
use tokio::task::JoinSet;

use super::{MembershipFile, etcd};
use crate::app::App;
use crate::discovery::is_called;
use crate::errors::chain;
use crate::http::client::{ClientError, Target};
use crate::pki::identity::Credentials;
use crate::record::Record;
use crate::record::values::NodeValue;
use crate::tls;

/// Most voters that are asked for elsewhere.
const MOST: usize = 8;
/// How long one may take to prove who he is.
const PROOF: Duration = Duration::from_secs(3);

/// A voter's URL with another address in it; `None` where it is none, or has that address. Pure.
fn moved(url: &str, address: IpAddr) -> Option<String> {
    let known: SocketAddr = url.strip_prefix("https://")?.parse().ok()?;
    (known.ip() != address).then(|| format!("https://{}", SocketAddr::new(address, known.port())))
}

/// Where those members' voters would be that are `heard` from elsewhere. Pure.
fn plan_elsewhere(nodes: &[NodeValue], heard: &[(String, IpAddr)], known: &[String]) -> Vec<String> {
    let voters = nodes.iter().filter(|node| !node.record_url.is_empty());
    let at = |node: &NodeValue| heard.iter().find(|(id, _)| *id == node.id).map(|(_, address)| *address);
    let mut urls: Vec<_> = voters.filter_map(|node| moved(&node.record_url, at(node)?)).collect();
    urls.retain(|url| !known.contains(url));
    urls.dedup();
    urls.truncate(MOST);
    urls
}

/// Somebody who says that he is a voter's node.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    /// Where the voter would be.
    url: String,
    /// Where his API is.
    api: SocketAddr,
    /// The key that he has to have, its digest.
    key: String,
}

/// Those among `said` who say so, and are elsewhere than the voter was. Pure.
fn plan_claims(nodes: &[NodeValue], said: &[(String, SocketAddr)], known: &[String]) -> Vec<Claim> {
    // An address that is good on one wire only is none that a record can name.
    let usable = |at: &SocketAddr| match at.ip() {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_loopback(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_loopback(),
    };
    let voters = nodes.iter().filter(|node| !node.record_url.is_empty() && !node.key_sha256.is_empty());
    let claims = voters.flat_map(|node| {
        let own = said.iter().filter(|(id, at)| is_called(id, &node.id) && usable(at));
        let claim = |(_, api): &(String, SocketAddr)| {
            let url = moved(&node.record_url, api.ip())?;
            Some(Claim { url, api: *api, key: node.key_sha256.clone() })
        };
        own.filter_map(claim).collect::<Vec<_>>()
    });
    claims.filter(|claim| !known.contains(&claim.url)).take(MOST).collect()
}

/// Where voters are whose nodes say so by multicast DNS and prove it.
async fn on_the_wire(app: &App, nodes: &[NodeValue], known: &[String]) -> Vec<String> {
    let claims = plan_claims(nodes, &app.discovery.members(), known);
    let own = Credentials::load(&app.settings.pki(), &app.key, &app.node_id);
    let (false, Ok(Some(own))) = (claims.is_empty(), own) else { return Vec::new() };
    let mut asked = JoinSet::new();
    for claim in claims {
        let Ok(config) = tls::to_member_with(&app.key, &own, &claim.key) else { continue };
        let target = Target::Tls(claim.api.to_string(), Arc::new(config));
        asked.spawn(async move {
            let answer = tokio::time::timeout(PROOF, target.get::<serde_json::Value>(WHOAMI)).await;
            // Whatever he says, only who has the key says it.
            matches!(answer, Ok(Ok(_) | Err(ClientError::Problem(_)))).then_some(claim.url)
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// Asks there, too, from now on, where there is such a place.
pub(super) async fn ask(app: &App, record: &Record) {
    let Ok(Some(file)) = MembershipFile::load(&app.settings.membership()) else { return };
    let (nodes, heard) = app.liveness.whereabouts();
    let mut found = plan_elsewhere(&nodes, &heard, &file.endpoints);
    if found.is_empty() {
        found = on_the_wire(app, &nodes, &file.endpoints).await;
    }
    if found.is_empty() {
        return;
    }
    tracing::info!(elsewhere = ?found, "no voter of the record answers where it was; it is asked for where its node is heard from");
    // Ours last: one that only copies the record answers nobody.
    let local = etcd::local_url(app);
    let known = file.endpoints.into_iter().filter(|url| *url != local);
    let mut urls: Vec<_> = found.into_iter().chain(known).collect();
    if etcd::has_data(app) {
        urls.push(local);
    }
    if let Err(e) = record.set_endpoints(&urls).await {
        tracing::warn!(error = %chain(&e), "voters of the record");
    }
}

#[cfg(test)]
mod tests;
