//! When certificates are renewed, and that they are: real agents against a real etcd.

use maekin_api::join::{Invite, NewInvite};
use maekin_api::{INVITES, WHOAMI};
use maekin_host::pin;
use maekin_rootfs::node::ClusterIntent;

use super::*;
use crate::http::client::Target;
use crate::record::keys::{self, under};
use crate::record::values::ClusterValue;
use crate::testing::{EndEtcd, agent, become_member, have_etcd, made_yesterday, restarted, serve};
use crate::tls;
use crate::trust::values::CertsValue;

const DAY: u64 = 24 * 3600;

#[test]
fn join_certificates_are_renewed_when_two_thirds_of_their_time_are_over() {
    let made = 1_000 * DAY;
    let dates = |from: u64, to: u64| Dates { serial: "1".into(), not_before: from, not_after: to };
    let usual = || dates(made - BACKDATED, made + LIFETIME);
    let rows = [
        ("new", usual(), true, 0, made, Step::Keep),
        ("new, by a clock that is an hour behind", usual(), true, 0, made - 3600, Step::Keep),
        ("last moment", usual(), true, 0, made + 20 * DAY - 1, Step::Keep),
        ("two thirds", usual(), true, 0, made + 20 * DAY, Step::Renew),
        ("two thirds, a day later than others", usual(), true, 255, made + 20 * DAY, Step::Keep),
        ("and then", usual(), true, 255, made + 21 * DAY, Step::Renew),
        ("the last second of it", usual(), true, 0, made + 30 * DAY - 1, Step::Renew),
        ("over", usual(), true, 0, made + 30 * DAY, Step::Over),
        ("off for a year", usual(), true, 9, made + 365 * DAY, Step::Over),
        ("a clock from the factory", usual(), true, 0, 0, Step::Clock),
        ("a clock two days behind", usual(), true, 0, made - 2 * DAY, Step::Clock),
        ("another address", usual(), false, 0, made, Step::Renew),
        ("another address, and over", usual(), false, 0, made + 31 * DAY, Step::Over),
        ("of an earlier release", dates(0, 20_000 * DAY), true, 0, made, Step::Renew),
        ("no sense", dates(5, 5), true, 0, 5, Step::Over),
    ];
    for (name, dates, named, spread, now, want) in rows {
        assert_eq!(plan_renewal(&dates, named, spread, now), want, "{name}");
    }
}

fn credentials(app: &App) -> Credentials {
    Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap()
}

/// Puts a certificate in place that ran out ten days ago.
fn let_run_out(first: &App, app: &App) -> Credentials {
    let ca = signer::on_disk(first).unwrap().unwrap();
    let address = "127.0.0.1".parse().unwrap();
    let subject = Subject { node_id: &app.node_id, name: &app.config.hostname, addresses: &[address] };
    let validity = Validity { not_before: now() - 41 * DAY, not_after: now() - 10 * DAY };
    let cert = ca.issue(app.key.public(), &subject, validity).unwrap().pem;
    let old = Credentials { cert, ca: ca.pem.clone() };
    old.store(&app.settings.pki()).unwrap();
    old
}

/// Asks the API at a port as the bearer of these credentials.
fn bearer(app: &App, credentials: &Credentials, port: u16) -> Target {
    let (shown, key) = tls::shown(&app.key, credentials).unwrap();
    let ca = crate::pki::ca::fingerprint(&credentials.ca).unwrap();
    Target::Tls(format!("127.0.0.1:{port}"), Arc::new(pin::client_config_as(&ca, shown, key).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_certificates_renew_without_a_restart_and_after_they_ran_out() {
    if !have_etcd("join_certificates_renew_without_a_restart_and_after_they_ran_out") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&first).await;
    let founder = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());
    let invite: Invite = own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
    let intent =
        ClusterIntent::Join { masters: invite.masters, ca_sha256: invite.ca_sha256, secret: invite.secret };
    let second = agent(dirs[1].path(), 2, intent);
    serve(&second).await;
    let member = become_member(&second).await;
    let before = credentials(&second).dates().unwrap();
    assert!(before.not_after - now() <= LIFETIME && before.hold(now()), "{before:?}");

    // Both ways: by the founder, which signs itself, and by the other, which asks.
    for (name, app, member) in [("the founder", &first, &founder), ("another", &second, &member)] {
        enlist_own(app, member).await.unwrap();
        made_yesterday(&first, &founder.record, app).await;
        let old = credentials(app).dates().unwrap();
        assert!(!turn(app, member, false).await.unwrap(), "{name}: it is not time");
        assert!(turn(app, member, true).await.unwrap(), "{name}: asked for");
        let new = credentials(app).dates().unwrap();
        assert_ne!(old.serial, new.serial, "{name}");
        let listed = async || {
            let listed = founder.record.get::<CertsValue>(&under(keys::CERTS, &app.node_id)).await.unwrap();
            listed.unwrap().value.certs.into_iter().map(|cert| cert.serial).collect::<Vec<_>>()
        };
        let once = listed().await;
        let both = [&old.serial, &new.serial].iter().all(|serial| once.contains(serial));
        assert!(both, "{name}: each can be revoked: {once:?}");
        // What comes of it is lost each time, as with a full disk: more tries than a node may have certificates.
        for _ in 0..70 {
            assert!(turn(app, member, true).await.unwrap(), "{name}: tried again");
        }
        let day = 24 * 3600;
        if credentials(app).dates().unwrap().not_after == new.not_after && now() % day > 60 {
            assert_eq!(listed().await, once, "{name}: tries are one certificate a day");
        }
        assert!(
            member.record.get::<ClusterValue>(keys::CLUSTER).await.unwrap().is_some(),
            "{name}: the record"
        );
        let shown = bearer(&second, &credentials(&second), app.settings.port);
        assert!(shown.get::<serde_json::Value>(WHOAMI).await.is_ok(), "{name}: its API");
    }

    let over = let_run_out(&first, &second);
    let refused = bearer(&second, &over, first.settings.port).get::<serde_json::Value>(WHOAMI).await;
    let refused = refused.expect_err("it has run out").to_string();
    assert!(refused.contains("not known"), "a certificate that ran out opens nothing: {refused}");
    let again = restarted(&second);
    become_member(&again).await;
    assert!(credentials(&again).dates().unwrap().hold(now()), "the node was off for long, and is back");

    // The cluster was off as a whole: the founder has nobody to ask.
    let_run_out(&first, &first);
    let again = restarted(&first);
    become_member(&again).await;
    assert!(credentials(&again).dates().unwrap().hold(now()));
}
