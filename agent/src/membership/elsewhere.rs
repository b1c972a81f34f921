//! Voters that are at other addresses than this node knew: where none of those that it knows answers, it asks where their
//! nodes gossip from now. A packet of gossip is sealed with a key that members have; whoever is asked there shows a
//! certificate of the cluster's CA before anything is said, as every voter does. So nobody can lead this node elsewhere but
//! a member, and nothing is kept of it before the record itself says where its voters are.

use std::net::{IpAddr, SocketAddr};

use super::{MembershipFile, etcd};
use crate::app::App;
use crate::errors::chain;
use crate::record::Record;
use crate::record::values::NodeValue;

/// Most voters that are asked for elsewhere.
const MOST: usize = 8;

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

/// Asks there, too, from now on, where there is such a place.
pub(super) async fn ask(app: &App, record: &Record) {
    let Ok(Some(file)) = MembershipFile::load(&app.settings.membership()) else { return };
    let (nodes, heard) = app.liveness.whereabouts();
    let found = plan_elsewhere(&nodes, &heard, &file.endpoints);
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
mod tests {
    use super::*;

    #[test]
    fn partition_a_voter_is_asked_for_where_its_node_is_heard_from() {
        let node =
            |id: &str, url: &str| NodeValue { id: id.into(), record_url: url.into(), ..NodeValue::default() };
        let (first, six) = (node("a", "https://10.77.0.1:2379"), node("b", "https://[2001:db8::1]:2379"));
        let learner = node("c", "");
        let heard = |id: &str, address: &str| (id.to_owned(), address.parse::<IpAddr>().unwrap());
        type Row<'a> = (&'a str, Vec<NodeValue>, Vec<(String, IpAddr)>, &'a [&'a str], &'a [&'a str]);
        let rows: Vec<Row<'_>> = vec![
            ("not heard", vec![first.clone()], vec![], &[], &[]),
            ("where it was", vec![first.clone()], vec![heard("a", "10.77.0.1")], &[], &[]),
            (
                "elsewhere",
                vec![first.clone()],
                vec![heard("a", "10.77.0.11")],
                &["https://10.77.0.1:2379"],
                &["https://10.77.0.11:2379"],
            ),
            (
                "elsewhere, and known there",
                vec![first.clone()],
                vec![heard("a", "10.77.0.11")],
                &["https://10.77.0.11:2379"],
                &[],
            ),
            (
                "another family",
                vec![six, first.clone()],
                vec![heard("b", "2001:db8::9"), heard("a", "10.77.0.11")],
                &[],
                &["https://[2001:db8::9]:2379", "https://10.77.0.11:2379"],
            ),
            ("one without a voter", vec![learner], vec![heard("c", "10.77.0.13")], &[], &[]),
            ("nobody's", vec![first], vec![heard("z", "10.77.0.66")], &[], &[]),
            ("a place that is none", vec![node("a", "ftp://x")], vec![heard("a", "10.77.0.11")], &[], &[]),
        ];
        for (name, nodes, heard, known, want) in rows {
            let known: Vec<_> = known.iter().map(|url| (*url).to_owned()).collect();
            assert_eq!(plan_elsewhere(&nodes, &heard, &known), want, "{name}");
        }
    }
}
