//! A member is removed while it is connected: real agents against a real etcd.

use std::sync::Arc;
use std::time::Duration;

use maekin_api::node::Membership;
use maekin_api::trust::{JoinWith, MadeToken, NewToken};
use maekin_api::{CLUSTER_NODE, JOIN_TOKENS, NODE_JOIN, WHOAMI};
use maekin_host::pin;
use maekin_rootfs::node::ClusterIntent;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::client::{ClientError, Target};
use crate::pki::ca::{Ca, Subject, Validity, fingerprint};
use crate::pki::identity::Credentials;
use crate::record::values::ClusterValue;
use crate::testing::{EndEtcd, agent, become_member, have_etcd, restarted, serve};
use crate::volumes::values::VolumeValue;
use crate::{clock, tls};

const LIMIT: Duration = Duration::from_secs(60);

fn config(app: &App, credentials: &Credentials, ca_sha256: &str) -> Arc<rustls::ClientConfig> {
    let (shown, key) = tls::shown(&app.key, credentials).unwrap();
    Arc::new(pin::client_config_as(ca_sha256, shown, key).unwrap())
}

async fn problem(target: &Target) -> String {
    match target.get::<serde_json::Value>(WHOAMI).await {
        Err(ClientError::Problem(problem)) => format!("{}: {}", problem.kind, problem.detail),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_a_removed_node_is_refused_at_once_and_says_so() {
    if !have_etcd("join_a_removed_node_is_refused_at_once_and_says_so") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let founder = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());
    let new = NewToken { uses: 5, minutes: 5, note: String::new() };
    let made: MadeToken = own.post(JOIN_TOKENS, &new).await.unwrap();
    let given = super::super::invitation::Invitation::of_token(made.token.expose()).unwrap();
    let intent = ClusterIntent::Join {
        masters: given.masters.clone(),
        ca_sha256: given.ca_sha256.clone(),
        secret: given.secret.clone(),
    };
    let second = agent(dirs[1].path(), 2, intent);
    serve(&second).await;
    let member = become_member(&second).await;
    let theirs = Credentials::load(&second.settings.pki(), &second.key, &second.node_id).unwrap().unwrap();
    let address = format!("127.0.0.1:{}", first.settings.port);
    let bearer = Target::Tls(address.clone(), config(&second, &theirs, &given.ca_sha256));
    assert!(bearer.get::<serde_json::Value>(WHOAMI).await.is_ok(), "a member is known");
    strangers_are_refused(&first, &dirs[2], &given.ca_sha256).await;

    let name = ServerName::try_from(crate::pki::SERVER_NAME).unwrap();
    let open = TlsConnector::from(config(&second, &theirs, &given.ca_sha256));
    let mut open = open.connect(name, TcpStream::connect(&address).await.unwrap()).await.unwrap();
    member.record.get::<ClusterValue>(keys::CLUSTER).await.unwrap(); // its connection to the record is open, too

    let path = |name: &str| CLUSTER_NODE.replace("{name}", name);
    let refused = own.delete::<RemovedNode>(&path("node-1")).await.expect_err("the only voter").to_string();
    assert!(refused.contains("the only vote of the record"), "{refused}");
    let nobody = own.delete::<RemovedNode>(&path("node-9")).await.expect_err("nobody").to_string();
    assert!(nobody.contains("there is no member node-9"), "{nobody}");
    let volume = VolumeValue {
        id: "a".repeat(32),
        name: "db".into(),
        holders: vec![second.node_id.clone()],
        ..VolumeValue::default()
    };
    let change = Change::default().put(&under(keys::VOLUMES, "db"), &volume).unwrap();
    assert!(founder.record.commit(change).await.unwrap());
    let kept = own.delete::<RemovedNode>(&path("node-2")).await.expect_err("it has a volume").to_string();
    assert!(kept.contains("node-2 has 1 volume (db) of which nothing is left without it"), "{kept}");
    let removed: RemovedNode = own.delete(&(path("node-2") + "?force=true")).await.unwrap();
    assert_eq!((removed.id.as_str(), removed.by.as_str()), (second.node_id.as_str(), "root on node-1"));
    assert_eq!(own.delete::<RemovedNode>(&path(&second.node_id)).await.unwrap(), removed, "said twice");

    let end = tokio::time::timeout(LIMIT, open.read(&mut [0; 16])).await.expect("closed in time");
    assert!(!matches!(end, Ok(n) if n > 0), "the open connection was closed: {end:?}");
    let said = problem(&bearer).await;
    assert!(
        said.contains("urn:maekin:removed: node-2 was removed from the cluster by root on node-1"),
        "{said}"
    );

    let look = founder.record.look(&first.node_id).await.unwrap();
    crate::trust::follow(&first, &founder, &look).await;
    let asked = member.record.get::<ClusterValue>(keys::CLUSTER).await;
    assert!(asked.is_err(), "its connection to the record is gone, and it gets no other: {asked:?}");
    assert!(founder.record.get::<ClusterValue>(keys::CLUSTER).await.unwrap().is_some(), "ours is there");
    let nodes = founder.record.list::<NodeValue>(keys::NODES).await.unwrap();
    assert_eq!(nodes.len(), 1);

    // It starts again; then somebody gives it a token that is good.
    let again = restarted(&second);
    let tries = tokio::spawn(crate::membership::run(Arc::clone(&again)));
    let says = async {
        loop {
            if let Membership::Working { last_error, .. } = again.membership()
                && last_error.contains("node-2 was removed from the cluster by root on node-1")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, says).await.expect("it says that it was removed");
    tries.abort();
    let third = agent(&dirs[1].path().join("again"), 3, ClusterIntent::Wait);
    std::fs::copy(second.settings.pki().join("node.key"), third.settings.pki().join("node.key")).unwrap();
    let third = restarted(&third);
    serve(&third).await;
    let tries = tokio::spawn(crate::membership::run(Arc::clone(&third)));
    let own_third = Target::Socket(third.settings.socket());
    own_third.post::<()>(NODE_JOIN, &JoinWith { token: made.token.clone() }).await.unwrap();
    let says = async {
        loop {
            if let Membership::Working { last_error, .. } = third.membership()
                && last_error.contains("was removed from the cluster; install it anew")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, says).await.expect("its key is not let in again");
    tries.abort();
    assert!(
        crate::audit::waiting(&first).iter().any(|e| e.kind == "join-refused"),
        "and the audit log has it"
    );
}

/// Certificates that look right: of another cluster's CA with the same names, and of ours for nobody who is a member.
async fn strangers_are_refused(first: &App, dir: &tempfile::TempDir, ca_sha256: &str) {
    let stranger = agent(dir.path(), 9, ClusterIntent::Wait);
    let ours = signer::on_disk(first).unwrap().unwrap();
    let theirs =
        Ca::ensure(&dir.path().join("ca"), "rack", &crate::app::cluster_id(first.config.install_id)).unwrap();
    let address = "127.0.0.1".parse().unwrap();
    let subject = Subject { node_id: &first.node_id, name: "node-1", addresses: &[address] };
    let cert =
        |ca: &Ca| ca.issue(stranger.key.public(), &subject, Validity::of_node(clock::now())).unwrap().pem;
    let target = |cert| {
        let credentials = Credentials { cert, ca: ours.pem.clone() };
        let address = format!("127.0.0.1:{}", first.settings.port);
        Target::Tls(address, config(&stranger, &credentials, ca_sha256))
    };
    assert_ne!(fingerprint(&theirs.pem).unwrap(), ca_sha256);
    let refused = target(cert(&theirs)).get::<serde_json::Value>(WHOAMI).await;
    assert!(!matches!(refused, Ok(_) | Err(ClientError::Problem(_))), "no connection: {refused:?}");
    let said = problem(&target(cert(&ours))).await;
    assert!(said.contains("urn:maekin:not-among-members"), "a member's id with another key: {said}");
}
