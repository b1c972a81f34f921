//! The engine against a program that stands in for LVM: it answers from a file, and writes down what it is told.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use maekin_api::node::LocalPool;
use maekin_rootfs::node::ClusterIntent;

use super::lvm::Lvm;
use super::{Local, Prepared, pool, report};
use crate::testing::agent;
use crate::volumes::engine::{Engine, EngineError, Source, Step};

const REPORT: &str = r#"{"report":[{"lv":[{"vg_name":"maekin","lv_name":"local","lv_size":"1073741824","data_percent":"81.00",
    "metadata_percent":"10.00","lv_metadata_size":"4194304","lv_when_full":"queue","lv_active":"active",
    "lv_health_status":"","vg_free":"209715200","vg_extent_size":"4194304"}]}]}"#;

/// An engine whose LVM is a script in `dir`.
fn engine(dir: &Path) -> Local {
    let lvm = dir.join("lvm");
    let (told, answer, broken) = (dir.join("told"), dir.join("report"), dir.join("broken"));
    let refused = dir.join("refused");
    // `broken`: nothing works; `refused`: this one of its commands does not.
    let script = format!(
        "#!/bin/sh\necho \"$*\" >>{}\n[ -e {} ] && {{ echo 'no such device' >&2; exit 5; }}\n\
         [ -e {refused} ] && [ \"$1\" = \"$(cat {refused})\" ] && {{ echo 'not that' >&2; exit 5; }}\n\
         [ \"$1\" = lvs ] && cat {}\nexit 0\n",
        told.display(),
        broken.display(),
        answer.display(),
        refused = refused.display()
    );
    fs::write(&lvm, script).unwrap();
    fs::set_permissions(&lvm, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(answer, REPORT).unwrap();
    let app = agent(dir, 1, ClusterIntent::Wait);
    app.set_local_pool(LocalPool::Ready { size: 1 << 30 });
    Local { app, lvm: Lvm::at(&lvm), pool: Arc::default() }
}

fn told(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("told")).unwrap_or_default();
    let _ = fs::remove_file(dir.join("told")); // there may be none
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn local_one_process_looks_and_the_pool_is_looked_after() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let seen = engine.observe().await.unwrap();
    assert_eq!((seen.storage.used_share, seen.storage.capacity), (8100, 1 << 30));
    let lines = told(dir.path());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("lvs --reportformat json --units b --nosuffix"), "{lines:?}");
    assert!(engine.tend(&seen).await.unwrap());
    let want = ["lvchange --errorwhenfull y maekin/local", "lvextend --size +104857600b maekin/local"];
    assert_eq!(told(dir.path()), want);

    let step = Step::Grow { id: "a".repeat(32), size: 8 << 20 };
    engine.apply(&step).await.unwrap();
    assert_eq!(told(dir.path()), [format!("lvextend --size 8388608b maekin/vol-{}", "a".repeat(32))]);
    let own = || "a".repeat(32);
    for id in ["", "../x", "--all", &"A".repeat(32), &"a".repeat(33), "vol;reboot"] {
        let id = || id.to_owned();
        let steps = [
            Step::Delete { id: id() },
            Step::Clone { id: own(), from: Source::Snapshot(id()) },
            Step::Snapshot { id: own(), volume: id() },
        ];
        for step in steps {
            let refused = engine.apply(&step).await.unwrap_err();
            assert!(refused.to_string().contains("is no id"), "{step:?}: {refused}");
        }
    }
    assert_eq!(told(dir.path()), Vec::<String>::new(), "a hostile record starts nothing");
    fs::write(dir.path().join("broken"), "").unwrap();
    let failed = engine.apply(&step).await.unwrap_err();
    assert!(failed.to_string().contains("no such device"), "{failed}");
}

#[tokio::test]
async fn local_a_need_that_fails_keeps_no_other_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    fs::write(dir.path().join("refused"), "lvchange").unwrap();
    let seen = engine.observe().await.unwrap();
    told(dir.path());
    let failed = engine.tend(&seen).await.unwrap_err();
    assert!(failed.to_string().contains("not that"), "{failed}");
    let want = ["lvchange --errorwhenfull y maekin/local", "lvextend --size +104857600b maekin/local"];
    assert_eq!(told(dir.path()), want, "the pool grows");
}

#[tokio::test]
async fn local_nothing_is_said_of_volumes_while_the_pool_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    fs::write(dir.path().join("report"), r#"{"report":[{"lv":[]}]}"#).unwrap();
    assert!(matches!(engine.observe().await, Err(EngineError::Failed(_))), "an empty group is no empty pool");
    fs::write(dir.path().join("report"), "{").unwrap();
    assert!(matches!(engine.observe().await, Err(EngineError::Failed(_))));
    engine.app.set_local_pool(LocalPool::Pending);
    assert!(matches!(engine.observe().await, Err(EngineError::NotReady(_))));

    // What was seen when the pool was made is not looked for again.
    let report = report::parse_report(REPORT.as_bytes()).unwrap();
    engine.app.storage.prepared(&engine.app, LocalPool::Ready { size: 1 }, Some(Prepared(report)));
    let called = tokio::time::timeout(std::time::Duration::from_secs(30), engine.app.storage.called());
    assert!(called.await.is_ok(), "who was told to wait is called, and the pool is ready then");
    told(dir.path());
    assert_eq!(engine.observe().await.unwrap().storage.capacity, 1 << 30);
    assert_eq!(told(dir.path()), Vec::<String>::new());
    assert_eq!(engine.app.local_pool(), LocalPool::Ready { size: 1 << 30 }, "it has grown");
}

#[tokio::test]
async fn local_a_pool_that_the_kernel_lost_is_activated_or_called_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    // As after `lvchange -an maekin/local`, the first half of a repair. The kernel has it again after a command.
    let (report, awake) = (dir.path().join("report"), dir.path().join("awake"));
    fs::write(&report, REPORT.replace(":\"active\"", ":\"\"")).unwrap();
    fs::write(&awake, REPORT).unwrap();
    let failed = engine.observe().await.unwrap_err();
    assert!(failed.to_string().contains("does not have the pool"), "{failed}");
    let lines = told(dir.path());
    assert_eq!(lines.len(), 3, "it is activated once, not for ever: {lines:?}");
    assert_eq!(lines[1], "lvchange --activate y maekin/local");
    fs::write(dir.path().join("refused"), "lvchange").unwrap();
    let failed = engine.observe().await.unwrap_err();
    assert!(failed.to_string().contains("not that"), "{failed}");
    told(dir.path());

    fs::remove_file(dir.path().join("refused")).unwrap();
    let lvm = dir.path().join("lvm");
    let script = fs::read_to_string(&lvm).unwrap();
    let wakes = format!("[ \"$1\" = lvchange ] && cp {} {}\n", awake.display(), report.display());
    fs::write(&lvm, script.replace("exit 0\n", &format!("{wakes}exit 0\n"))).unwrap();
    let seen = engine.observe().await.unwrap();
    assert_eq!(seen.storage.mode, maekin_api::storage::PoolMode::Writable);
    engine.observe().await.unwrap();
    assert_eq!(told(dir.path()).len(), 4, "look, activate, look; and a look");
}

#[tokio::test]
async fn local_what_a_cut_short_command_left_standing_still_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let id = "a".repeat(32);
    let still = format!(
        r#"{{"vg_name":"maekin","lv_name":"vol-{id}","pool_lv":"local","lv_active":"active","lv_suspended":"suspended"}},
           {{"vg_name":"maekin","lv_name":"theirs","pool_lv":"local","lv_active":"active","lv_suspended":"suspended"}},
           {{"vg_name":"maekin","lv_name":"snap-{id}","pool_lv":"local","lv_active":"","lv_suspended":"unknown"}},
           {{"vg_name":"maekin","#
    );
    fs::write(dir.path().join("report"), REPORT.replace(r#"{"vg_name":"maekin","#, &still)).unwrap();
    let seen = engine.observe().await.unwrap();
    told(dir.path());
    assert!(engine.tend(&seen).await.unwrap());
    let lines = told(dir.path());
    assert_eq!(lines[0], format!("lvchange --refresh maekin/vol-{id}"));
    assert!(!lines[1..].concat().contains("--refresh"), "nothing else: {lines:?}");
}

#[tokio::test]
async fn local_a_start_asks_lvm_no_more_than_it_has_to() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine(dir.path());
    let (device, backup) = (dir.path().join("data"), dir.path().join("backup"));
    let there = pool::ensure(&engine.lvm, &device, &backup).unwrap();
    assert_eq!((there.size, there.report.is_some()), (1 << 30, true));
    assert_eq!(told(dir.path()).len(), 1, "the kernel has it already");
    let asleep = REPORT.replace(":\"active\"", ":\"\"");
    fs::write(dir.path().join("report"), asleep).unwrap();
    let asleep = pool::ensure(&engine.lvm, &device, &backup).unwrap();
    assert!(asleep.report.is_none(), "how full it is was not known then");
    let lines = told(dir.path());
    assert_eq!((lines.len(), lines[1].as_str()), (2, "lvchange --activate y maekin/local"));
    fs::write(dir.path().join("report"), REPORT.replace("maekin", "ceph-1")).unwrap();
    assert!(
        pool::ensure(&engine.lvm, &device, &backup).is_err(),
        "a pool of that name in another group is not ours"
    );
}

#[test]
fn local_a_device_that_is_not_there_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let lvm = Lvm::at(&dir.path().join("none"));
    assert!(pool::ensure(&lvm, &dir.path().join("no-device"), &dir.path().join("backup")).is_err());
}
