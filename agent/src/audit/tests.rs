use std::sync::Arc;
use std::time::Duration;

use maekin_rootfs::node::ClusterIntent;

use super::keep::{flush, trim};
use super::*;
use crate::membership;
use crate::record::Record;
use crate::record::keys::{self, under};
use crate::testing::{EndEtcd, agent, have_etcd, serve};

fn waiting(log: &Log) -> Vec<AuditEvent> {
    log.lock().events.iter().cloned().collect()
}

fn change(at: u64) -> AuditEvent {
    AuditEvent { at, kind: "change".into(), outcome: Outcome::Done, status: 200, ..AuditEvent::default() }
}

#[test]
fn api_audit_memory_is_bounded_and_what_is_lost_is_counted() {
    let log = Log::default();
    for at in 0..5000 {
        log.push(change(at), "0123456789");
    }
    assert_eq!(waiting(&log).len(), WAITING);
    log.lock().events.clear();
    log.push(change(7000), "0123456789");
    let event = waiting(&log).remove(0);
    assert_eq!(event.text, format!("{} before it were not kept", 5000 - WAITING));
    assert!(event.id.starts_with("0000001b58-01234567-"), "{}", event.id);
}

#[test]
fn api_audit_refusals_fill_no_log() {
    let log = Log::default();
    let refused = |at| AuditEvent { at, ..Event::refused("login-refused").0 };
    for _ in 0..500 {
        log.push(refused(60), "0123456789");
    }
    assert_eq!(waiting(&log).len(), REFUSALS as usize, "in one minute");
    let forbidden = AuditEvent { who: "eva".into(), status: 403, ..refused(61) };
    log.lock().events.clear();
    log.push(forbidden, "0123456789");
    assert_eq!(waiting(&log).len(), 1, "strangers do not push out users");
    log.push(refused(61), "0123456789");
    log.push(change(61), "0123456789");
    assert!(waiting(&log).last().unwrap().text.contains("1 before it"), "changes are always kept");
    log.push(refused(120), "0123456789");
    assert_eq!(waiting(&log).len(), 3, "the next minute");
    let ids: Vec<_> = waiting(&log).into_iter().map(|event| event.id).collect();
    assert!(ids.is_sorted(), "later ids are greater");
}

#[test]
fn api_audit_what_may_have_been_written_is_written_again_as_it_was() {
    let log = Log::default();
    for at in 0..3 {
        log.push(change(at), "0123456789");
    }
    let first = log.to_write();
    log.push(change(3), "0123456789");
    assert_eq!(log.to_write(), first, "nobody heard whether it was");
    assert_eq!(log.written(), 3);
    let next = log.to_write();
    assert_eq!(next.iter().map(|batch| batch.events.len()).collect::<Vec<_>>(), [1], "the one behind");
    assert_eq!((log.written(), log.waiting()), (1, 0));
    assert!(log.to_write().is_empty());
}

/// A node that is a member of a cluster of its own, and its record.
async fn member(dir: &std::path::Path) -> (Arc<App>, Record) {
    let app = agent(dir, 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let joined = membership::run(Arc::clone(&app));
    tokio::time::timeout(Duration::from_secs(60), joined).await.expect("a member in time");
    let record = app.member().ok().unwrap().record.clone();
    (app, record)
}

/// Everything, read in pages of `limit`.
async fn all(record: &Record, limit: usize) -> Vec<AuditEvent> {
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let part = page(record, after.as_deref(), limit).await.unwrap();
        after = part.last().map(|event| event.id.clone());
        let last = part.len() < limit;
        seen.extend(part);
        if last {
            return seen;
        }
        assert!(seen.len() < 10_000, "pages without an end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_audit_is_kept_in_the_record_up_to_a_number() {
    if !have_etcd("api_audit_is_kept_in_the_record_up_to_a_number") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, record) = member(dir.path()).await;
    // As an earlier release wrote it: each under a key of its own. It had the first version.
    let old = |at: u64| AuditEvent { id: format!("{at:010x}-89abcdef-00000001"), ..change(at) };
    for at in 0..40 {
        record.put_raw(&under(keys::AUDIT, &old(at).id), &with_version(&old(at))).await;
    }
    for round in 0..6 {
        for n in 0..100 {
            app.audit.push(change(40 + (round * 100 + n) / 50), &app.node_id);
        }
        flush(&app.audit, &record).await.unwrap();
    }
    assert!(record.count(keys::AUDIT).await.unwrap() < 40 + 20, "many are one value");
    let seen = all(&record, 70).await;
    let want: Vec<u64> = (0..40).chain((0..600).map(|n| 40 + n / 50)).rev().collect();
    assert_eq!(seen.iter().map(|event| event.at).collect::<Vec<_>>(), want, "the newest first, each once");
    assert!(seen.iter().rev().is_sorted_by(|a, b| a.id < b.id), "in the order of ids");
    assert_eq!(all(&record, 1000).await, seen, "however it is read");
    let mut quiet = None;
    trim(&record, 500, &mut quiet).await.unwrap();
    assert_eq!(all(&record, 1000).await.len(), 640, "a few more are let be");
    assert!(quiet.is_some());
    trim(&record, 100, &mut quiet).await.unwrap();
    assert_eq!(all(&record, 1000).await.len(), 640, "nothing was written since");
    trim(&record, 100, &mut None).await.unwrap();
    let left = all(&record, 1000).await;
    assert!((100..100 + batch::TOGETHER).contains(&left.len()), "{}", left.len());
    assert_eq!(left, seen[..left.len()], "the oldest went");
}

fn with_version(event: &AuditEvent) -> Vec<u8> {
    let mut value = serde_json::to_value(event).unwrap();
    value["v"] = 1.into();
    serde_json::to_vec(&value).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_audit_loses_nothing_at_two_thousand_changes_a_second() {
    if !have_etcd("api_audit_loses_nothing_at_two_thousand_changes_a_second") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let (app, record) = member(dir.path()).await;
    let keeps = tokio::spawn(keep(Arc::clone(&app), app.member().ok().unwrap()));
    // 20 each 10 ms; a tick that comes late is made up for.
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    for tick in 0..200 {
        ticks.tick().await;
        for _ in 0..20 {
            app.audit.push(change(1000 + tick / 100), &app.node_id);
        }
    }
    let empty = async {
        while app.audit.waiting() > 0 {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.expect("all written in time");
    keeps.abort();
    let seen = all(&record, 1000).await;
    let made = seen.iter().filter(|event| event.at < 2000).count();
    assert_eq!(made, 4000, "each is there");
    assert!(seen.iter().all(|event| event.text.is_empty()), "and none says that others were lost");
    let values = record.count(keys::AUDIT).await.unwrap();
    assert!(values < 4000 / 8, "{values} values");
}
