//! What a member had whose machine was installed anew: good for nothing from the moment at which the new one has its place.

use maekin_api::WHOAMI;
use maekin_api::install::Reinstall;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::pki::identity::Credentials;
use crate::record::values::ReplacedValue;
use crate::testing::made_yesterday;
use crate::trust::renew;
use crate::trust::values::{CertsValue, CrlValue};
use crate::{audit, tls};

const LIMIT: Duration = Duration::from_secs(60);

fn credentials(app: &App) -> Credentials {
    Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap()
}

/// A member's machine is named, boots from the network, and is installed; the secret that its ticket has.
async fn installed_anew(own: &Target, record: &Record, member: &App) -> String {
    let key = under(keys::NODES, &member.node_id);
    let entry = record.get::<NodeValue>(&key).await.unwrap().unwrap().value;
    let entry = NodeValue { mac: machine(2).mac, ..entry };
    assert!(record.commit(Change::default().put(&key, &entry).unwrap()).await.unwrap());
    let name = &member.config.hostname;
    own.post::<Reinstall>(&maekin_api::REINSTALL.replace("{name}", name), &()).await.unwrap();
    let Decision::Install { ticket } = store::decide(record, &machine(2), now()).await.unwrap() else {
        panic!("it is installed anew")
    };
    let given = store::ticket(record, &ticket).await.unwrap().value;
    bind(record, &ticket, 2, now()).await;
    store::report(record, &ticket, &Report::Done { receipt: serde_json::json!({}) }, now()).await.unwrap();
    given.secret.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_what_a_replaced_member_had_is_revoked_when_the_new_one_has_its_place() {
    if !have_etcd("join_what_a_replaced_member_had_is_revoked_when_the_new_one_has_its_place") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let founder = become_member(&first).await;
    let record = founder.record.clone();
    let follow = async || {
        let look = record.look(&first.node_id).await.unwrap();
        crate::trust::follow(&first, &founder, &look).await;
    };
    let own = Target::Socket(first.settings.socket());
    let invite: Invite = own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
    let old = agent(dirs[1].path(), 2, joining(&invite, &invite.ca_sha256));
    let was = become_member(&old).await;
    let first_cert = credentials(&old).dates().unwrap().serial;
    made_yesterday(&first, &record, &old).await; // it has two certificates that hold
    follow().await;
    assert!(record.get::<CrlValue>(keys::CRL).await.unwrap().is_none(), "a renewal revokes nothing");

    // What a thief of its drives has: both connections are open when its machine comes back without them.
    let theirs = credentials(&old);
    let (shown, key) = tls::shown(&old.key, &theirs).unwrap();
    let config = Arc::new(pin::client_config_as(&invite.ca_sha256, shown, key).unwrap());
    let address = format!("127.0.0.1:{}", first.settings.port);
    let thief = Target::Tls(address.clone(), Arc::clone(&config));
    assert!(thief.get::<serde_json::Value>(WHOAMI).await.is_ok());
    let name = ServerName::try_from(crate::pki::SERVER_NAME).unwrap();
    let stream = TcpStream::connect(&address).await.unwrap();
    let mut open = TlsConnector::from(config).connect(name, stream).await.unwrap();
    assert!(was.record.get::<WindowValue>(keys::WINDOW).await.is_ok());

    let secret = installed_anew(&own, &record, &old).await;
    let again = Invite { secret, ..invite };
    let new = agent(dirs[2].path(), 3, joining(&again, &again.ca_sha256));
    let member = become_member(&new).await;
    let replaced = record.get::<ReplacedValue>(&under(keys::REPLACED, &old.node_id)).await.unwrap().unwrap();
    let serials: Vec<_> = replaced.value.certs.iter().map(|cert| cert.serial.clone()).collect();
    assert_eq!(serials, [first_cert, theirs.dates().unwrap().serial], "both of them");
    assert!(record.get::<CertsValue>(&under(keys::CERTS, &old.node_id)).await.unwrap().is_none());
    let list = record.get::<CrlValue>(keys::CRL).await.unwrap().unwrap();
    assert_eq!((list.value.number, list.value.gentle), (1, true));
    let told = audit::waiting(&first);
    let told = told.iter().find(|e| e.kind == "member-replaced").expect("it is in the audit log");
    assert!(told.text.contains("its certificates (2) hold no longer"), "{told:?}");

    follow().await;
    let end = tokio::time::timeout(LIMIT, open.read(&mut [0; 16])).await.expect("closed in time");
    assert!(!matches!(end, Ok(n) if n > 0), "its open connection was closed: {end:?}");
    let said = thief.get::<serde_json::Value>(WHOAMI).await.expect_err("no member").to_string();
    assert!(said.contains("not among the members"), "{said}");
    let asked = was.record.get::<WindowValue>(keys::WINDOW).await;
    assert!(asked.is_err(), "its connection to the record is gone: {asked:?}");
    let anew = Record::connect(&[etcd::local_url(&first)], &old.key, &theirs).await.unwrap();
    assert!(anew.get::<WindowValue>(keys::WINDOW).await.is_err(), "and it gets no other");
    let late = renew::turn(&old, &was, true).await;
    assert!(late.is_err(), "nobody renews it: {late:?}");

    // Its successor goes on, and its renewals touch neither the list nor the voter.
    assert!(member.record.get::<WindowValue>(keys::WINDOW).await.is_ok());
    let pid = fs::read_to_string(dirs[0].path().join("etcd.pid")).unwrap();
    assert!(renew::turn(&new, &member, true).await.unwrap());
    follow().await;
    let after = record.get::<CrlValue>(keys::CRL).await.unwrap().unwrap();
    assert_eq!(after.revision, list.revision, "the list is as it was");
    assert_eq!(fs::read_to_string(dirs[0].path().join("etcd.pid")).unwrap(), pid, "and so is the voter");
    assert!(member.record.get::<WindowValue>(keys::WINDOW).await.is_ok());
}
