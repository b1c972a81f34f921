//! Nodes that find each other by multicast DNS, in namespaces behind a real bridge, with the built agent and the real etcd:
//! one that waits is found by its name, let in by a code, leaves, and is let in again, while somebody lies on the wire.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // a test says by panicking that it failed

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record};
use maekin_api::discovery::{Discovered, DiscoveredState};
use maekin_api::node::Membership;
use maekin_api::trust::{Leave, NewPairing, PairingInfo, RemovedNode};
use maekin_api::{AUDIT, DISCOVERED, NODE_LEAVE, PAIRING_APPROVE, PAIRING_DENY, PAIRINGS};
use maekin_host::mdns;
use maekin_lab::api::Api;
use maekin_lab::node::Node;
use maekin_lab::pace;
use maekin_lab::rack::{EVERY, Rack};
use maekin_rootfs::node::ClusterIntent;

/// How long anything may take where the machine does nothing else.
const LIMIT: Duration = Duration::from_secs(120);
/// Nodes that somebody on the wire makes up.
const LIES: u32 = 3000;

fn until<T>(what: &str, rack: &Rack, ready: impl FnMut() -> Option<T>) -> T {
    pace::until(what, LIMIT, EVERY, ready).unwrap_or_else(|e| {
        let said: Vec<_> = rack.nodes.iter().map(|n| format!("{}:\n{}", n.name, n.said(25))).collect();
        panic!("{e}\n{}", said.join("\n"))
    })
}

fn heard(api: &Api) -> Vec<Discovered> {
    api.get(DISCOVERED).unwrap_or_default()
}

fn waits(api: &Api, name: &str) -> Option<Discovered> {
    heard(api).into_iter().find(|node| node.name == name && node.state == DiscoveredState::Waiting)
}

fn is_member(node: &Node) -> Option<()> {
    let own = node.api().node().ok()?;
    matches!(own.membership, Membership::Member { .. }).then_some(())
}

fn begin(api: &Api, node: &str) -> Result<PairingInfo, String> {
    let new = NewPairing { node: node.to_owned(), ..NewPairing::default() };
    let answer = api.ask("POST", PAIRINGS, None, &serde_json::to_string(&new).unwrap()).unwrap();
    serde_json::from_str(&answer.body).map_err(|_| format!("{}: {}", answer.status, answer.body))
}

fn say(api: &Api, path: &str, code: &str) -> u16 {
    api.ask("POST", &path.replace("{code}", code), None, "null").unwrap().status
}

/// The code on both consoles, yes on both.
fn pair(rack: &Rack, name: &str) {
    let (member, node) = (rack.nodes[0].api(), rack.nodes[1].api());
    let ours = until("a pairing", rack, || begin(&member, name).ok());
    let theirs: Vec<PairingInfo> = node.get(PAIRINGS).unwrap();
    assert_eq!(theirs[0].code, ours.code, "both consoles show the same");
    assert_eq!(say(&node, PAIRING_APPROVE, &ours.code), 200);
    assert_eq!(say(&member, PAIRING_APPROVE, &ours.code), 200);
    until("the node to become a member", rack, || is_member(&rack.nodes[1]));
}

/// What a node would say that is not there.
fn lie(id: u64, name: &str) -> Vec<u8> {
    let label = format!("{name}-{id:012x}");
    let service = Name::from_ascii("_maekin._tcp.local.").unwrap();
    let instance = service.prepend_label(label.as_str()).unwrap();
    let texts =
        ["txtvers=1", "state=waiting", "release=9.9.9", &format!("id={id:012x}"), &format!("name={name}")];
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.add_answer(Record::from_rdata(service, 120, RData::PTR(PTR(instance.clone()))));
    let host = Name::from_ascii("nobody.local.").unwrap();
    message.add_answer(Record::from_rdata(instance.clone(), 120, RData::SRV(SRV::new(0, 0, 8443, host))));
    let texts = texts.map(str::to_owned).into();
    message.add_answer(Record::from_rdata(instance, 120, RData::TXT(TXT::new(texts))));
    message.to_vec().unwrap()
}

/// Somebody in the network of `node`, which is off, says that.
fn tell(node: &Node, packets: Vec<Vec<u8>>) {
    let address = node.address;
    node.net()
        .run(move || {
            let door = mdns::open_v4("e0", address)?;
            // Its own socket would send from the group's port as well; this one is a second responder of the host.
            for packet in packets {
                let _ = door.socket.send_to(&packet, door.group); // a full buffer loses one, as a wire does
            }
            Ok(())
        })
        .expect("packets are sent");
}

#[test]
fn join_a_node_that_waits_is_found_by_name_let_in_by_code_and_leaves() {
    if !maekin_lab::possible("join_a_node_that_waits_is_found_by_name_let_in_by_code_and_leaves") {
        return;
    }
    let mut rack = Rack::new(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), 4, 5).expect("a rack");
    let other = ClusterIntent::Create { name: "other".into() };
    for (n, intent) in
        [(0, ClusterIntent::Create { name: "lab".into() }), (1, ClusterIntent::Wait), (2, other)]
    {
        rack.nodes[n].install(intent).expect("a node file");
        rack.power_on(n).expect("it starts");
    }
    let (member, node, stranger) = (rack.nodes[0].api(), rack.nodes[1].api(), rack.nodes[2].api());
    for n in [0, 2] {
        until("a cluster", &rack, || is_member(&rack.nodes[n]));
    }

    // It is heard by IPv6 as well, perhaps sooner.
    let address = format!("{}:8443", rack.nodes[1].address);
    let found = until("the node that waits to be heard", &rack, || {
        waits(&member, "node-2").filter(|node| node.addresses[0] == address)
    });
    assert_eq!((found.by.as_str(), found.interface.as_str()), ("node-1", "e0"));
    let apart = until("the other cluster to be heard", &rack, || {
        heard(&member).into_iter().find(|node| node.state == DiscoveredState::Member)
    });
    assert_eq!((apart.name.as_str(), apart.cluster.as_str()), ("node-3", "other"));
    assert!(heard(&member).iter().all(|node| node.name != "node-1"), "its own cluster is not listed");

    // Somebody makes up nodes, one of them by the name of the one that is there.
    let liar = &rack.nodes[3];
    tell(liar, (0..LIES).map(|n| lie(u64::from(n), &format!("lie-{n}"))).collect());
    tell(liar, vec![lie(0xffff_ffff_ffff, "node-2"), vec![0; 9000], vec![0xff; 100]]);
    let list = heard(&member);
    assert!(list.len() <= 256 && list.iter().any(|node| node.id == found.id), "{} are listed", list.len());

    // Another cluster offers itself to the node; the person at ours has no such code, and the one at the node denies it.
    let his = begin(&stranger, "node-2").expect("it waits for anybody");
    assert_eq!(say(&member, PAIRING_APPROVE, &his.code), 404, "no such code on our console");
    assert!(say(&stranger, PAIRING_APPROVE, &his.code) >= 400, "nobody said yes at the node");
    assert_eq!(say(&node, PAIRING_DENY, &his.code), 200);

    pair(&rack, &found.id);
    until("the refusal to be in the audit log", &rack, || {
        let events = member.ask("GET", AUDIT, None, "").ok()?;
        events.body.contains("pairing-refused").then_some(())
    });
    until("the member to be listed no more", &rack, || waits(&member, "node-2").is_none().then_some(()));

    let word = |text: &str| serde_json::to_string(&Leave { confirm: text.to_owned() }).unwrap();
    assert_eq!(node.ask("POST", NODE_LEAVE, None, &word("yes")).unwrap().status, 400, "not the word");
    let alone = member.ask("POST", NODE_LEAVE, None, &word("leave")).unwrap();
    assert_eq!(alone.status, 409, "the only voter: {}", alone.body);
    assert!(alone.body.contains("only vote"), "{}", alone.body);
    let left: RemovedNode = node.post(NODE_LEAVE, &Leave { confirm: "leave".into() }).expect("it leaves");
    assert_eq!(left.name, "node-2");
    let again = until("the node to wait again, as another one", &rack, || {
        waits(&member, "node-2").filter(|node| node.id != found.id && node.id != "ffffffffffff")
    });
    let state = rack.nodes[1].dir.join("state");
    assert!(!state.join("membership.json").exists() && !state.join("backups").exists());
    // The only voter starts again to know who is revoked, and is away until it has chosen itself.
    let members = |count| {
        let all = member.cluster().ok()?.nodes;
        (all.len() == count).then_some(())
    };
    until("it to be no member", &rack, || members(1));
    pair(&rack, &again.id);
    until("it to be one again", &rack, || members(2));
}

/// The address that packets come from is the one that is listed, whatever they say.
#[test]
fn join_lies_are_listed_where_they_came_from() {
    if !maekin_lab::possible("join_lies_are_listed_where_they_came_from") {
        return;
    }
    let mut rack = Rack::new(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), 2, 6).expect("a rack");
    rack.nodes[0].install(ClusterIntent::Create { name: "lab".into() }).expect("a node file");
    rack.power_on(0).expect("it starts");
    let member = rack.nodes[0].api();
    until("a cluster", &rack, || is_member(&rack.nodes[0]));
    let listed = until("the lie to be heard", &rack, || {
        tell(&rack.nodes[1], vec![lie(7, "lie")]);
        waits(&member, "lie")
    });
    let from: SocketAddrV4 = listed.addresses[0].parse().expect("an address");
    assert_eq!((*from.ip(), from.port()), (rack.nodes[1].address, 8443));
    assert_ne!(rack.nodes[1].address, Ipv4Addr::UNSPECIFIED);
    let refused = begin(&member, "lie").expect_err("nobody is there");
    assert!(refused.starts_with("502"), "{refused}");
    let nobody = begin(&member, "truth").expect_err("nobody is called so");
    assert!(nobody.starts_with("404"), "{nobody}");
}
