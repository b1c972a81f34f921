//! The cluster's CA is changed after a member was removed: with the power going after every step, with a member away,
//! and with everything running.

use std::time::Instant;

use maekin_api::install::Progress;
use maekin_api::trust::{JoinWith, MadeToken, NewToken, RenewReply, RenewRequest};
use maekin_api::{CERTIFICATE, JOIN_TOKENS, NODE_JOIN, WHOAMI};

use super::survives::{three, three_vote, until};
use super::*;
use crate::http::client::ClientError;
use crate::install::invites;
use crate::membership::signer;
use crate::pki::ca::{Ca, Subject, Validity};
use crate::pki::identity::Credentials;
use crate::record::values::{CaValue, InviteValue, SealValue, TicketValue};
use crate::testing::serve_while;
use crate::tls;
use crate::trust::ca_change::{self, plan};
use crate::trust::values::{CaChangeValue, CaPhase, TokenValue};

/// A member that was, and that the sealing key was changed after that.
async fn removed(member: &Member) {
    let gone = RemovedValue { id: "gone".into(), name: "gone".into(), ..RemovedValue::default() };
    let seal =
        SealValue { current: member.seal.current().unwrap().digest(), covered: 1, ..SealValue::default() };
    let change = Change::default().put(&under(keys::REMOVED, "gone"), &gone).unwrap();
    assert!(member.record.commit(change.put(keys::SEAL, &seal).unwrap()).await.unwrap());
}

async fn gives_signs_of_life(record: &Record, apps: &[&Arc<App>]) {
    for app in apps {
        let key = under(keys::ALIVE, &app.node_id);
        assert!(record.commit(Change::default().put(&key, &AliveValue { since: 1 }).unwrap()).await.unwrap());
    }
}

async fn write(record: &Record, n: u64) {
    let value = WindowValue { until: n, left: 0 };
    let put = async || {
        let change = Change::default().put(keys::WINDOW, &value).unwrap();
        record.commit(change).await.ok().filter(|done| *done)
    };
    until("a write", put).await;
}

fn credentials(app: &App) -> Credentials {
    Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap()
}

/// What whoever has the CA's key can make: a certificate under any name. He knows the CA that `member` trusts as well.
fn minted(ca: &Ca, thief: &App, name: &App, member: &App) -> Credentials {
    let address = "127.0.0.1".parse().unwrap();
    let subject = Subject { node_id: &name.node_id, name: &name.config.hostname, addresses: &[address] };
    let cert = ca.issue(thief.key.public(), &subject, Validity::of_node(now())).unwrap().pem;
    Credentials { cert, ca: format!("{}{}", ca.pem, credentials(member).ca) }
}

/// Whether the voter of `app` answers to the bearer of these.
async fn opens_record(app: &App, thief: &App, shown: &Credentials) -> bool {
    let record = Record::connect(&[etcd::local_url(app)], &thief.key, shown).await.unwrap();
    record.get::<ClusterValue>(keys::CLUSTER).await.is_ok()
}

/// What the API of `app` says to them: who they are, and whether they get a certificate.
async fn opens_api(app: &App, thief: &App, shown: &Credentials, node_id: &str) -> bool {
    let config = Arc::new(tls::to_members(&thief.key, shown).unwrap());
    let target = Target::Tls(format!("127.0.0.1:{}", app.settings.port), config);
    let who = target.get::<serde_json::Value>(WHOAMI).await;
    assert!(!matches!(who, Err(ClientError::Connect { .. })), "the new CA is known: {who:?}");
    let request = RenewRequest {
        csr: thief.key.request().unwrap(),
        node_id: node_id.to_owned(),
        addresses: vec!["127.0.0.1".into()],
    };
    who.is_ok() || target.post::<RenewReply>(CERTIFICATE, &request).await.is_ok()
}

/// One look of a member that does not lead.
async fn look(app: &App, member: &Member) {
    ca_change::follow_once(app, member).await.unwrap();
    let own = member.record.get::<NodeValue>(&under(keys::NODES, &app.node_id)).await.unwrap().unwrap();
    let votes = !own.value.record_url.is_empty();
    ensure_node(app, &member.record, &member.own, votes, member.can_sign(), &member.seal).await.unwrap();
}

/// One look of the leader.
async fn lead(app: &App, member: &Member, at: u64) -> CaChangeValue {
    look(app, member).await;
    let value = ca_change::once(app, member, at).await.unwrap();
    look(app, member).await;
    value
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_the_ca_is_changed_after_a_removal_whenever_the_power_goes() {
    if !have_etcd("join_the_ca_is_changed_after_a_removal_whenever_the_power_goes") {
        return;
    }
    let dirs = [(); 6].map(|()| tempfile::tempdir().unwrap());
    let _end = EndEtcd(dirs[0].path().to_owned());
    let mut first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let mut tasks = serve_while(&first).await;
    let mut member = become_member(&first).await;
    let own = Target::Socket(first.settings.socket());
    let mut join = Vec::new();
    for (seed, dir) in [(2, &dirs[1]), (3, &dirs[2]), (4, &dirs[4]), (5, &dirs[5])] {
        let invite: Invite = own.post(INVITES, &NewInvite { minutes: 5 }).await.unwrap();
        let app = agent(dir.path(), seed, joining(&invite, &invite.ca_sha256));
        let tasks = serve_while(&app).await;
        let member = become_member(&app).await;
        join.push((app, tasks, member));
    }
    let (fifth, mut fifth_tasks, leaves) = join.pop().unwrap();
    let (fourth, mut fourth_tasks, lost) = join.pop().unwrap();
    let (third, mut third_tasks, away) = join.pop().unwrap();
    let (second, _second_tasks, other) = join.pop().unwrap();
    // It learns who the others are, without a voter of its own.
    remember_others(&third, &away).await;
    remember_others(&fifth, &leaves).await;
    let old = signer::on_disk(&first).unwrap().expect("the CA, sealed");
    assert!(!first.settings.pki().join("ca.key").exists(), "its key is on no disk in clear");
    let thief = agent(dirs[3].path(), 9, ClusterIntent::Wait);
    let forged = minted(&old, &thief, &second, &first);
    assert!(opens_record(&first, &thief, &forged).await, "such a certificate opens the record");

    gives_signs_of_life(&member.record, &[&first, &second]).await;
    let before = lead(&first, &member, now()).await;
    assert_eq!(before, CaChangeValue::default());
    look(&second, &other).await;
    look(&third, &away).await;
    look(&fourth, &lost).await;
    look(&fifth, &leaves).await;
    let said = lead(&first, &member, now()).await;
    assert_eq!((said.phase, said.new.as_str()), (CaPhase::Rest, member.cluster.ca_sha256.as_str()));
    let token: MadeToken =
        own.post(JOIN_TOKENS, &NewToken { uses: 5, minutes: 60, note: String::new() }).await.unwrap();
    let stale: Invite = own.post(INVITES, &NewInvite { minutes: 60 }).await.unwrap();
    let told = was_told(&member.record, &member.cluster.ca_sha256).await;
    removed(&member).await;

    // The others are off. Every turn is one step, of one leader or the other, with a voter and without; after each the
    // voter's agent loses power and begins anew.
    third_tasks.shutdown().await;
    fourth_tasks.shutdown().await;
    fifth_tasks.shutdown().await;
    let mut phases = Vec::new();
    for turn in 0..40 {
        write(&other.record, turn).await;
        look(&second, &other).await;
        look(&first, &member).await;
        let at = now() + turn * plan::AWAY;
        let value = match turn % 2 {
            0 => lead(&first, &member, at).await,
            _ => lead(&second, &other, at).await,
        };
        // Its step may have been the next phase already.
        let now_at = other.record.get::<CaChangeValue>(keys::CA_CHANGE).await.unwrap().unwrap().value;
        if now_at.phase == CaPhase::Trust {
            look(&fifth, &leaves).await; // it goes when it trusts both
        }
        if phases.last() != Some(&value.phase) {
            phases.push(value.phase);
        }
        assert!(other.record.get::<ClusterValue>(keys::CLUSTER).await.unwrap().is_some());
        if phases.len() == 5 {
            break;
        }
        tasks.shutdown().await;
        first = restarted(&first);
        tasks = serve_while(&first).await;
        member = become_member(&first).await;
    }
    let wanted = [CaPhase::Rest, CaPhase::Trust, CaPhase::Issue, CaPhase::Drop, CaPhase::Rest];
    assert_eq!(phases, wanted);
    look(&second, &other).await;
    look(&first, &member).await;
    let value = member.record.get::<CaChangeValue>(keys::CA_CHANGE).await.unwrap().unwrap().value;
    let new = member.record.get::<ClusterValue>(keys::CLUSTER).await.unwrap().unwrap().value.ca_sha256;
    assert_eq!((value.epoch, value.covered, &value.new), (1, 1, &new));
    assert_eq!(value.former, [old.fingerprint().unwrap()]);
    for (app, member) in [(&first, &member), (&second, &other)] {
        let own = credentials(app);
        assert_eq!(
            own.bundle().unwrap().fingerprints(),
            std::slice::from_ref(&new),
            "{}",
            app.config.hostname
        );
        assert!(own.issuer().is_some());
        assert_eq!(member.ca_sha256(), new);
    }
    let sealed = member.record.get::<CaValue>(keys::CA).await.unwrap().unwrap().value;
    assert!(member.seal.open(keys::CA, &sealed.sealed_key).is_ok());
    assert!(member.record.get::<CaValue>(keys::CA_NEXT).await.unwrap().is_none());
    assert_eq!(signer::on_disk(&first).unwrap().unwrap().fingerprint().unwrap(), new, "and the copy");
    let left = member.record.get::<TokenValue>(&under(keys::JOIN_TOKENS, &token.info.id)).await.unwrap();
    assert!(left.is_none(), "a token that names the old CA was taken back");

    let left = member.record.get::<InviteValue>(&invites::key(&stale.secret)).await.unwrap();
    assert!(left.is_none(), "so was the secret of an invitation");
    is_helped_on(&first, &member.record, &told).await;

    let forged = minted(&old, &thief, &second, &first);
    assert!(!opens_record(&first, &thief, &forged).await, "the record takes the old CA no longer");
    assert!(!opens_api(&first, &thief, &forged, &second.node_id).await, "nor does the API");
    let own_name = minted(&old, &thief, &thief, &first);
    assert!(!opens_api(&first, &thief, &own_name, &thief.node_id).await, "under its own name neither");

    assert!(!credentials(&third).bundle().unwrap().has(&new), "it has not heard of it");
    let_run_out(&third, &old);
    comes_back(&third, &new).await;
    let both = credentials(&fifth);
    assert!(both.bundle().unwrap().has(&new), "it has heard of it");
    assert_eq!(both.issuer().unwrap().sha256, old.fingerprint().unwrap(), "and has no certificate of it");
    comes_back(&fifth, &new).await;
    let own = Target::Socket(first.settings.socket());
    is_let_in_anew(&fourth, &own, &new).await;
    tasks.shutdown().await;
}

/// The secret of a machine that was installed two hours ago and told to trust `ca`, and of one that was told of another one.
async fn was_told(record: &Record, ca: &str) -> [(TicketValue, String); 2] {
    let tickets = [("a", "db-1", ca), ("b", "db-2", "")].map(|(c, name, ca)| {
        let (ticket, secret) = (c.repeat(32), format!("secret of {name}"));
        let progress = if ca.is_empty() { Progress::Booting } else { Progress::Installed };
        let value = TicketValue {
            ticket,
            hostname: name.into(),
            mac: format!("52:54:00:00:00:0{c}"),
            secret: Some(secret.clone()),
            progress,
            updated_at: now() - 7200,
            ca: ca.into(),
            ..TicketValue::default()
        };
        (value, secret)
    });
    for (value, secret) in &tickets {
        let ticket = Some(value.ticket.clone());
        let invite = InviteValue { expires: now() + 3600, ticket, used: None, ca: String::new() };
        let change = Change::default().put(&under(keys::TICKETS, &value.ticket), value).unwrap();
        assert!(record.commit(change.put(&invites::key(secret), &invite).unwrap()).await.unwrap());
    }
    tickets
}

/// The secret of the first is worth nothing, and people are told what to do; the other one is as it was.
async fn is_helped_on(app: &App, record: &Record, told: &[(TicketValue, String); 2]) {
    let own = Target::Socket(app.settings.socket());
    let installs: Vec<maekin_api::install::Install> = own.get(maekin_api::INSTALLS).await.unwrap();
    for (n, (value, secret)) in told.iter().enumerate() {
        let stays = n == 1;
        let invite = record.get::<InviteValue>(&invites::key(secret)).await.unwrap();
        let ticket = record.get::<TicketValue>(&under(keys::TICKETS, &value.ticket)).await.unwrap().unwrap();
        let name = &value.hostname;
        assert_eq!((invite.is_some(), ticket.value.secret.is_some()), (stays, stays), "{name}");
        assert_eq!(ticket.value.progress, value.progress, "{name}: it boots from what it has");
        let shown = installs.iter().find(|install| install.hostname == *name).unwrap();
        assert_eq!(shown.remedy.contains("maekin-agent join"), !stays, "{name}: {}", shown.remedy);
    }
}

/// What a look of a member writes down of the others.
async fn remember_others(app: &App, member: &Member) {
    let nodes = member.record.list::<NodeValue>(keys::NODES).await.unwrap();
    let keys: BTreeMap<_, _> = nodes
        .into_iter()
        .filter(|n| n.value.id != app.node_id)
        .map(|n| (n.value.url, n.value.key_sha256))
        .collect();
    let path = app.settings.membership();
    let file = MembershipFile::load(&path).unwrap().unwrap();
    MembershipFile { members: keys.keys().cloned().collect(), keys, ..file }.store(&path).unwrap();
}

/// A member was away for so long that its certificate has run out.
fn let_run_out(app: &App, ca: &Ca) {
    let address = "127.0.0.1".parse().unwrap();
    let subject = Subject { node_id: &app.node_id, name: &app.config.hostname, addresses: &[address] };
    let day = 24 * 3600;
    let validity = Validity { not_before: now() - 41 * day, not_after: now() - 10 * day };
    let cert = ca.issue(app.key.public(), &subject, validity).unwrap().pem;
    Credentials { cert, ca: ca.pem.clone() }.store(&app.settings.pki()).unwrap();
}

/// A member that was away during the change is let in by its key.
async fn comes_back(third: &Arc<App>, new: &str) {
    let again = restarted(third);
    let _tasks = serve_while(&again).await;
    let member = become_member(&again).await;
    look(&again, &member).await;
    assert_eq!(credentials(&again).bundle().unwrap().fingerprints(), [new.to_owned()]);
    write(&member.record, 99).await;
}

/// One that knows nobody's key is let in by a token, as the member that it was.
async fn is_let_in_anew(fourth: &Arc<App>, master: &Target, new: &str) {
    let again = restarted(fourth);
    let _tasks = serve_while(&again).await;
    let asked = NewToken { uses: 1, minutes: 5, note: String::new() };
    let made: MadeToken = master.post(JOIN_TOKENS, &asked).await.unwrap();
    let given = JoinWith { token: made.token };
    Target::Socket(again.settings.socket()).post::<()>(NODE_JOIN, &given).await.unwrap();
    let member = become_member(&again).await;
    look(&again, &member).await;
    assert_eq!(credentials(&again).bundle().unwrap().fingerprints(), [new.to_owned()]);
    assert_eq!(again.node_id, fourth.node_id);
    let nodes = member.record.list::<NodeValue>(keys::NODES).await.unwrap();
    assert_eq!(nodes.len(), 5, "as the one that it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn join_the_ca_is_changed_while_everything_runs_and_writes_go_on() {
    if !have_etcd("join_the_ca_is_changed_while_everything_runs_and_writes_go_on") {
        return;
    }
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for dir in &dirs {
        fs::write(dir.path().join("gently"), "").unwrap();
    }
    let nodes = three(&dirs).await;
    let record = nodes[0].record();
    three_vote(&record).await;
    until("everybody to be able to follow", async || {
        let nodes = record.list::<NodeValue>(keys::NODES).await.ok()?;
        nodes.iter().all(|n| !n.value.cas.is_empty()).then_some(())
    })
    .await;
    let old = signer::on_disk(&nodes[0].app).unwrap().unwrap();
    // A fourth was there, and is no member any more; the sealing key was changed after that.
    let member = nodes[0].app.member().ok().unwrap();
    let seal =
        until("the sealing key to be named", async || record.get::<SealValue>(keys::SEAL).await.ok()?);
    let seal = seal.await;
    let gone = RemovedValue { id: "gone".into(), name: "gone".into(), ..RemovedValue::default() };
    let change = Change::default().if_unchanged(keys::SEAL, seal.revision);
    let change = change.put(keys::SEAL, &SealValue { covered: 1, ..seal.value }).unwrap();
    let change = change.put(&under(keys::REMOVED, "gone"), &gone).unwrap();
    assert!(record.commit(change).await.unwrap());

    let (mut n, mut longest) = (0, Duration::ZERO);
    let change = until("the CA to be changed", async || {
        n += 1;
        let begun = Instant::now();
        write(&nodes[1 + n % 2].record(), u64::try_from(n).unwrap()).await;
        longest = longest.max(begun.elapsed());
        let found = record.get::<CaChangeValue>(keys::CA_CHANGE).await.ok()??.value;
        (found.epoch == 1 && found.phase == CaPhase::Rest).then_some(found)
    })
    .await;
    eprintln!("{n} writes; the longest took {} ms", longest.as_millis());
    assert!(n > 20, "writes went on: {n}");
    assert_eq!(change.former, [old.fingerprint().unwrap()]);
    until("every member to trust the new CA alone", async || {
        let trusted = nodes.iter().map(|n| credentials(&n.app).bundle().unwrap().fingerprints());
        trusted.into_iter().all(|trusted| trusted == [change.new.clone()]).then_some(())
    })
    .await;
    let thief = agent(&dirs[0].path().join("thief"), 9, ClusterIntent::Wait);
    let forged = minted(&old, &thief, &nodes[1].app, &nodes[0].app);
    for node in &nodes {
        assert!(!opens_record(&node.app, &thief, &forged).await, "{}", node.app.config.hostname);
    }
    three_vote(&record).await;
    assert_eq!(member.ca_sha256(), change.new);
}
