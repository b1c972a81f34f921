//! Real agents: one makes a cluster, one waits, one sits in between.

use std::time::Duration;

use maekin_api::trust::{NewPairing, PairingInfo, PairingSide};
use maekin_api::{NODE_PAIRING_TOKEN, PAIRING_APPROVE, PAIRING_DENY, PAIRINGS};

use super::talk::*;
use crate::http::client::Target;
use crate::testing::{EndEtcd, agent, become_member, have_etcd, serve};
use maekin_api::trust::{JoinWith, MadeToken, NewToken};
use maekin_rootfs::node::ClusterIntent;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_by_pairing_takes_a_yes_on_both_sides() {
    if !have_etcd("join_by_pairing_takes_a_yes_on_both_sides") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let _end = [0, 1].map(|n| EndEtcd(dirs[n].path().to_owned()));
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let liar = agent(dirs[1].path(), 7, ClusterIntent::Create { name: "rack".into() });
    for app in [&first, &liar] {
        serve(app).await;
        become_member(app).await;
    }
    let node = agent(dirs[2].path(), 2, ClusterIntent::Wait);
    serve(&node).await;
    let joins = tokio::spawn(crate::membership::run(node.clone()));
    let [ours, his, its] = [&first, &liar, &node].map(|app| Target::Socket(app.settings.socket()));
    let address = format!("127.0.0.1:{}", node.settings.port);
    let begin = async |from: &Target, address: &str| {
        from.post::<PairingInfo>(
            PAIRINGS,
            &NewPairing { address: address.to_owned(), ..NewPairing::default() },
        )
        .await
    };
    let say = async |at: &Target, path: &str, code: &str| {
        at.post::<()>(&path.replace("{code}", code), &()).await.map_err(|e| crate::errors::chain(&e))
    };

    // A stranger's cluster of the same name: a pairing of its own, with its own code, that nobody approves.
    let stranger = begin(&his, &address).await.unwrap();
    let busy = begin(&ours, &address).await.expect_err("one at a time");
    assert!(crate::errors::chain(&busy).contains("another pairing"), "{busy}");
    let unasked = say(&his, PAIRING_APPROVE, &stranger.code).await.expect_err("no yes at the node");
    assert!(unasked.contains("not approved at this node"), "{unasked}");
    say(&its, PAIRING_DENY, &stranger.code).await.unwrap();
    assert!(say(&his, PAIRING_APPROVE, &stranger.code).await.is_err(), "and it is over");
    // He pairs with us as if he were the node: our console shows a code that no node's console shows.
    assert!(
        begin(&ours, &format!("127.0.0.1:{}", liar.settings.port)).await.is_err(),
        "a member does not wait"
    );

    node.trust.waiting.lock().unwrap().forgive();
    let open = begin(&ours, &address).await.unwrap();
    let shown: Vec<PairingInfo> = its.get(PAIRINGS).await.unwrap();
    assert_eq!((shown[0].code.as_str(), shown[0].side), (open.code.as_str(), PairingSide::Waiting));
    assert_eq!((shown[0].name.as_str(), open.name.as_str()), ("rack", "node-2"));
    let step = serde_json::to_string(&node.membership()).unwrap();
    assert!(step.contains(&open.code), "its console shows the code: {step}");
    let wrong = if open.code == "000000" { "000001" } else { "000000" };
    assert!(say(&ours, PAIRING_APPROVE, wrong).await.is_err(), "a code that differs lets nobody in");
    let early = say(&ours, PAIRING_APPROVE, &open.code).await.expect_err("no yes at the node yet");
    assert!(early.contains("not approved at this node"), "{early}");
    say(&its, PAIRING_APPROVE, &open.code).await.unwrap();
    // Another cluster's token in the right moment is not taken, and ends the pairing.
    let new = NewToken { uses: 1, minutes: 5, note: String::new() };
    let bad: MadeToken = his.post(maekin_api::JOIN_TOKENS, &new).await.unwrap();
    let into = Target::Tls(address.clone(), crate::tls::to_key(None).unwrap().into());
    let refused = into.post::<()>(NODE_PAIRING_TOKEN, &JoinWith { token: bad.token }).await;
    assert!(refused.expect_err("another cluster").to_string().contains("another cluster"));
    assert!(say(&ours, PAIRING_APPROVE, &open.code).await.is_err(), "it has to be begun again");

    node.trust.waiting.lock().unwrap().forgive();
    let open = begin(&ours, &address).await.unwrap();
    say(&its, PAIRING_APPROVE, &open.code).await.unwrap();
    say(&ours, PAIRING_APPROVE, &open.code).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), joins).await.expect("joins in time").unwrap();
    let member = node.member().unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(
        member.cluster.ca_sha256,
        first.member().unwrap_or_else(|e| panic!("{e:?}")).cluster.ca_sha256
    );
    assert!(list(&first).is_empty() && list(&node).is_empty(), "it is over");
    let refused = crate::audit::waiting(&node);
    assert!(refused.iter().any(|e| e.kind == "pairing-refused"), "in the audit log: {refused:#?}");
}
