use std::sync::Arc;

use maekin_rootfs::node::ClusterIntent;

use super::keep::{flush, trim};
use super::*;
use crate::membership;
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
    for at in 0..2000 {
        log.push(change(at), "0123456789");
    }
    assert_eq!(waiting(&log).len(), WAITING);
    log.lock().events.clear();
    log.push(change(3000), "0123456789");
    let event = waiting(&log).remove(0);
    assert_eq!(event.text, format!("{} before it were not kept", 2000 - WAITING));
    assert!(event.id.starts_with("0000000bb8-01234567-"), "{}", event.id);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_audit_is_kept_in_the_record_up_to_a_number() {
    if !have_etcd("api_audit_is_kept_in_the_record_up_to_a_number") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let joined = membership::run(Arc::clone(&app));
    tokio::time::timeout(std::time::Duration::from_secs(60), joined).await.expect("a member in time");
    let record = app.member().ok().unwrap().record.clone();
    for round in 0..6 {
        for n in 0..100 {
            app.audit.push(change(round * 100 + n), &app.node_id);
        }
        flush(&app.audit, &record).await.unwrap();
    }
    assert_eq!(record.count(keys::AUDIT).await.unwrap(), 600);
    let (mut seen, mut after) = (Vec::new(), None);
    for _ in 0..10 {
        let part = page(&record, after.as_deref(), 70).await.unwrap();
        after = part.last().map(|event| event.id.clone());
        seen.extend(part.iter().map(|event| event.at));
        if part.len() < 70 {
            break;
        }
    }
    assert_eq!(seen, (0..600).rev().collect::<Vec<_>>(), "the newest first, each once");
    trim(&record, 500).await.unwrap();
    assert_eq!(record.count(keys::AUDIT).await.unwrap(), 600, "a few more are let be");
    trim(&record, 100).await.unwrap();
    let left: Vec<u64> = page(&record, None, 1000).await.unwrap().iter().map(|event| event.at).collect();
    assert_eq!(left, (500..600).rev().collect::<Vec<_>>(), "the oldest went");
}
