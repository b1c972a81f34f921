//! Who is not let in, in namespaces, with the built agent and the real etcd: each is refused, and the audit log has it.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

use std::path::Path;
use std::time::{Duration, Instant};

use maekin_api::node::Membership;
use maekin_api::trust::token::parse_token;
use maekin_api::trust::{MadeToken, NewToken};
use maekin_lab::api::{Api, joining};
use maekin_lab::pace;
use maekin_lab::rack::{EVERY, Rack};
use maekin_rootfs::node::ClusterIntent;

/// How long anything may take where the machine does nothing else.
const LIMIT: Duration = Duration::from_secs(120);

fn make_token(api: &Api, uses: u32, minutes: u32) -> String {
    let new = NewToken { uses, minutes, note: String::new() };
    let made: MadeToken =
        pace::until("a join token", LIMIT, EVERY, || api.post(maekin_api::JOIN_TOKENS, &new).ok())
            .expect("a member makes tokens");
    made.token.expose().to_owned()
}

/// Waits until the audit log has a refusal of this kind with these words, from this address.
fn audited(rack: &Rack, kind: &str, words: &str, from: &str) {
    let api = rack.nodes[0].api();
    let has = || {
        let events = api.audit().ok()?;
        events.iter().any(|e| e.kind == kind && e.text.contains(words) && e.from == from).then_some(())
    };
    let what = format!("{kind} with `{words}` from {from} in the audit log");
    pace::until(&what, LIMIT, EVERY, has)
        .unwrap_or_else(|e| panic!("{e}: {:#?}\n{}", api.audit(), rack.said()));
}

/// Waits until a node says that it could not join, and why.
fn told(rack: &Rack, n: usize, words: &str) {
    let api = rack.nodes[n].api();
    let says = || match api.node().ok()?.membership {
        Membership::Working { last_error, .. } => last_error.contains(words).then_some(()),
        Membership::Member { .. } => panic!("it was let in"),
    };
    pace::until(&format!("node {n} to be told `{words}`"), LIMIT, EVERY, says)
        .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
}

#[test]
fn join_strangers_are_refused_and_the_audit_log_has_it() {
    if !maekin_lab::possible("join_strangers_are_refused_and_the_audit_log_has_it") {
        return;
    }
    let mut rack = Rack::new(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), 4, 31).expect("a rack");
    for n in [0, 3] {
        // Two clusters of the same name.
        rack.nodes[n].install(ClusterIntent::Create { name: "lab".into() }).expect("installed");
        rack.power_on(n).expect("it starts");
    }
    let (ours, theirs) = (rack.nodes[0].api(), rack.nodes[3].api());
    let short = make_token(&ours, 1, 1);
    let made = Instant::now();
    let once = make_token(&ours, 1, 60);
    let foreign = make_token(&theirs, 1, 60);

    // A certificate that the other cluster's CA signed, for a member of that.
    let pki = rack.nodes[3].dir.join("state/pki");
    let [cert, key] =
        ["node.crt", "node.key"].map(|file| std::fs::read(pki.join(file)).expect("a member has it"));
    let stranger = Api::showing(rack.nodes[0].address, LIMIT, &cert, &key).expect("a client");
    let answer = stranger.ask("GET", maekin_api::CLUSTER, None, "");
    assert!(answer.is_err(), "{answer:?}");
    audited(&rack, "certificate-refused", "not of this cluster", "10.99.255.254");
    let known = Api::showing(rack.nodes[3].address, LIMIT, &cert, &key).expect("a client");
    assert_eq!(
        known.ask("GET", maekin_api::CLUSTER, None, "").expect("its own cluster knows it").status,
        200
    );

    // A token that was used: by the node that it was made for, and then again by another one.
    rack.nodes[1].install(joining(&once).expect("a token")).expect("installed");
    rack.power_on(1).expect("it starts");
    let members = || (ours.cluster().ok()?.nodes.len() == 2).then_some(());
    pace::until("the second to be a member", LIMIT, EVERY, members)
        .unwrap_or_else(|e| panic!("{e}\n{}", rack.said()));
    let address = rack.nodes[2].address.to_string();
    try_to_join(&mut rack, &once);
    told(&rack, 2, "used");
    audited(&rack, "join-refused", "used", &address);

    // One whose masters were exchanged: the new node finds another cluster there than the token says.
    let mut exchanged = parse_token(&foreign).expect("a token");
    exchanged.masters = parse_token(&once).expect("a token").masters;
    try_to_join(&mut rack, &exchanged.render().expect("a token"));
    told(&rack, 2, "UnknownIssuer");

    // One whose secret nobody knows here.
    let mut guessed = parse_token(&once).expect("a token");
    guessed.secret = [7; 16];
    try_to_join(&mut rack, &guessed.render().expect("a token"));
    told(&rack, 2, "does not prove");
    audited(&rack, "join-refused", "does not prove", &address);

    // One whose time is over.
    let over = || (made.elapsed() > Duration::from_secs(61)).then_some(());
    pace::until("the short token to run out", LIMIT, EVERY, over).expect("time goes on");
    try_to_join(&mut rack, &short);
    told(&rack, 2, "expired");
    audited(&rack, "join-refused", "expired", &address);
    assert_eq!(ours.cluster().expect("a cluster").nodes.len(), 2, "nobody else was let in");
}

/// Installs the third node anew, with this token, and switches it on.
fn try_to_join(rack: &mut Rack, token: &str) {
    rack.cut_power(2);
    rack.nodes[2].install(joining(token).expect("a token")).expect("installed");
    rack.power_on(2).expect("it starts");
}
