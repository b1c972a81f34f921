//! Two nodes: the second copies the record, and goes on alone by a person's word when the first is gone for good.

use super::survives::{Node, invite, until};
use super::*;
use crate::membership::restore::plan::{Refusal, Source, plan_promotion, plan_restore};
use crate::membership::restore::{self, went_on};
use crate::pki::identity::Credentials;
use crate::record::care;
use crate::record::values::{RestoredValue, WindowValue};
use crate::record::voters::Voter;
use crate::testing::have_etcdutl;

async fn two(dirs: &[tempfile::TempDir; 2]) -> [Node; 2] {
    let first = agent(dirs[0].path(), 1, ClusterIntent::Create { name: "rack".into() });
    let first = Node::start(first, dirs[0].path()).await;
    until("the first node to lead", async || first.app.leads().then_some(())).await;
    let secret = invite(&first).await;
    let second = agent(dirs[1].path(), 2, joining(&secret, &secret.ca_sha256));
    let second = Node::start(second, dirs[1].path()).await;
    [first, second]
}

/// Waits until exactly this node votes, and the other one copies.
async fn votes_and_copies(record: &Record, votes: &App, copies: &App) {
    until("one to vote and the other to copy", async || {
        let voters = record.members().await.ok()?;
        let has =
            |app: &App, learner| voters.iter().any(|v: &Voter| v.name == app.node_id && v.learner == learner);
        (voters.len() == 2 && has(votes, false) && has(copies, true)).then_some(())
    })
    .await;
}

async fn set(record: &Record, left: u32) -> bool {
    let window = WindowValue { until: 1, left };
    record.commit(Change::default().put(keys::WINDOW, &window).unwrap()).await.unwrap_or(false)
}

async fn left(record: &Record) -> u32 {
    record.get::<WindowValue>(keys::WINDOW).await.unwrap().expect("is there").value.left
}

/// The learner of a node by itself.
async fn copy_of(node: &Node) -> Record {
    let app = &node.app;
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id).unwrap().unwrap();
    Record::connect(&[etcd::local_url(app)], &app.key, &credentials).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_the_second_of_two_copies_it_and_has_no_vote() {
    if !have_etcd("record_the_second_of_two_copies_it_and_has_no_vote") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [first, mut second] = two(&dirs).await;
    let record = first.record();
    votes_and_copies(&record, &first.app, &second.app).await;
    until("it to be written down", async || voters::is_learner(&second.app).then_some(())).await;
    assert!(set(&record, 5).await);
    let revision = record.revision().await.unwrap();
    let copy = copy_of(&second).await;
    until("the copy to have it", async || {
        copy.statuses().await.iter().any(|(_, s)| s.revision >= revision).then_some(())
    })
    .await;
    assert!(copy.revision().await.is_err(), "it answers nobody by itself");
    let known = MembershipFile::load(&second.app.settings.membership()).unwrap().unwrap();
    assert!(!known.endpoints.contains(&etcd::local_url(&second.app)), "nobody asks it: {known:?}");

    // Its loss stops nobody, and it goes on where it was.
    second.die().await;
    assert!(set(&record, 6).await);
    let again = Node::start(restarted(&second.app), dirs[1].path()).await;
    votes_and_copies(&record, &first.app, &again.app).await;
    assert_eq!(left(&again.record()).await, 6);
    let (seen, _) = restore::look(&again.app, None).await.unwrap();
    assert!(
        matches!(plan_promotion(&seen, now()), Err(Refusal::Quorum(_))),
        "the first one answers: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_the_second_of_two_goes_on_alone_and_the_first_gives_its_own_up() {
    let test = "record_the_second_of_two_goes_on_alone_and_the_first_gives_its_own_up";
    if !have_etcdutl(test) {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    dirs.iter().for_each(|dir| fs::write(dir.path().join("gently"), "").unwrap());
    let [mut first, mut second] = two(&dirs).await;
    let record = first.record();
    votes_and_copies(&record, &first.app, &second.app).await;
    until("it to be written down", async || voters::is_learner(&second.app).then_some(())).await;

    // Writes until the first one is gone: what the copy had of what was said yes to must be there afterwards.
    let copy = copy_of(&second).await;
    let mut acknowledged = 0;
    for n in 1..=60 {
        assert!(set(&record, n).await);
        acknowledged = n;
    }
    let had = copy.statuses().await.first().map(|(_, s)| s.revision).unwrap();
    let last = record.get::<WindowValue>(keys::WINDOW).await.unwrap().unwrap().revision;
    let members = MembershipFile::members(&first.app.settings.membership());
    assert!(members.iter().any(|url| url.ends_with(&second.app.settings.port.to_string())), "{members:?}");
    first.die().await;
    let saved = tempfile::tempdir().unwrap();
    let state = dirs[0].path().join("state");
    maekin_host::file::copy_tree(&state, &saved.path().join("state")).unwrap();

    let (seen, _) = restore::look(&second.app, None).await.unwrap();
    let plan = plan_promotion(&seen, now()).unwrap();
    assert_eq!(plan_restore(&seen, now()).unwrap().source, Source::Learner, "a copy knows less");
    assert!(plan.to_string().contains("copy goes up to revision"), "{plan}");
    second.tasks.shutdown().await; // the agent ends, as the verb does it
    let state = dirs[1].path().join("state");
    drop(restore::prepare(&second.app, &plan, now()).await.unwrap());
    // A power cut here leaves the learner as it was, and it can be done again.
    assert!(voters::is_learner(&second.app) && state.join("etcd.new").exists());
    restore::prepare(&second.app, &plan, now()).await.unwrap();
    restore::swap(&second.app).unwrap();
    second.etcd = None;

    // A power cut here leaves the new one. The first one is back before it, hears of nothing, and goes on with the old.
    let back = Node::start(restarted(&first.app), dirs[0].path()).await;
    assert_eq!(left(&back.record()).await, acknowledged);
    assert!(went_on::ask(&back.app, 0).await.unwrap().is_none());
    let second = Node::start(restarted(&second.app), dirs[1].path()).await;
    let record = second.record();
    let found = left(&record).await;
    let lost = i64::from(acknowledged - found);
    eprintln!("{found} of {acknowledged} are there; the copy had revision {had} of {last}");
    assert!(last - lost >= had.min(last), "what the copy had is missing");
    let told = async |record: &Record| {
        record.get::<RestoredValue>(keys::RESTORED).await.ok().flatten().map(|found| found.value.count)
    };
    assert_eq!(told(&record).await, Some(1));
    assert!(record.revision().await.unwrap() > 1_000_000, "no revision is seen twice");
    assert!(!voters::is_learner(&second.app) && state.join("etcd.before").exists());

    // Both run: the first one hears of it, and becomes the copy.
    let old = back.record();
    until("the old record to be given up", async || {
        care::yield_to_restored(&back.app, &old).await;
        (told(&old).await == Some(1)).then_some(())
    })
    .await;
    // The first one's lease is in both records: it goes on leading where it renews that in the new one in time.
    until("one of both to lead", async || (back.app.leads() || second.app.leads()).then_some(())).await;
    votes_and_copies(&record, &second.app, &back.app).await;
    assert!(set(&record, 1000).await);
    assert_eq!(left(&back.record()).await, 1000);
    let mut back = back;
    back.die().await;

    // The same from a disk that was away meanwhile: it does not begin with the old one at all.
    fs::remove_dir_all(dirs[0].path().join("state")).unwrap();
    maekin_host::file::copy_tree(&saved.path().join("state"), &dirs[0].path().join("state")).unwrap();
    let back = Node::start(restarted(&first.app), dirs[0].path()).await;
    assert_eq!(left(&back.record()).await, 1000, "the old one is not even read");
    votes_and_copies(&record, &second.app, &back.app).await;
}
