//! The worker against an installer and a systemd that are scripts: what is started, followed, told and tried again.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::boot_drives::memory::Memory;
use crate::testing::agent;
use maekin_rootfs::heal::{Action, Candidate, Place, PlaceState, Plan};
use maekin_rootfs::node::ClusterIntent;

struct Bench {
    dir: tempfile::TempDir,
    app: Arc<App>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = agent(dir.path(), 7, ClusterIntent::Create { name: "rack".into() });
        let bench = Self { dir, app };
        bench.script(&bench.app.settings.installer, "test \"$*\" = 'heal --json' && cat \"$0.json\"");
        // `start` notes the arguments and makes the unit active; `show` says what it is.
        let systemctl = "case $1 in\n\
            start) cat \"${0%/*}/run/heal.env\" >>\"$0.started\"; echo active >\"$0.state\";;\n\
            show) cat \"$0.state\" 2>/dev/null || echo inactive;;\nesac";
        bench.script(&bench.app.settings.systemctl, systemctl);
        bench
    }

    fn script(&self, path: &str, text: &str) {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(path.starts_with(self.dir.path().to_str().unwrap()));
    }

    fn found(&self, action: Action, disk: Option<&str>) {
        let place = |index, state| Place {
            index,
            disk: Some("/dev/vda".into()),
            title: String::new(),
            serial: "S".into(),
            state,
            halves: Default::default(),
            esp: maekin_rootfs::heal::Esp { whole: true, ..Default::default() },
        };
        let candidate = |disk: &str| Candidate {
            disk: disk.into(),
            title: String::new(),
            serial: "NEW".into(),
            size: 1,
            free: true,
            action,
            reason: "blank".into(),
            remedy: String::new(),
            dies: vec![],
            token: None,
        };
        let second = if action == Action::None { PlaceState::Whole } else { PlaceState::Missing };
        let findings = Findings {
            format: 1,
            install_id: uuid::Uuid::nil(),
            drives: 2,
            places: vec![place(0, PlaceState::Whole), place(1, second)],
            candidates: disk.map(candidate).into_iter().collect(),
            plan: Plan {
                action,
                disk: disk.map(Into::into),
                place: Some(1),
                reason: "drive 2 is missing".into(),
                remedy: String::new(),
                dies: vec![],
                token: None,
                steps: vec![],
            },
        };
        let path = format!("{}.json", self.app.settings.installer);
        fs::write(path, serde_json::to_string(&findings).unwrap()).unwrap();
    }

    fn says(&self, text: &str) {
        fs::write(heal::output(&self.app.settings.run), text).unwrap();
    }

    fn unit(&self, state: &str) {
        fs::write(format!("{}.state", self.app.settings.systemctl), state).unwrap();
    }

    /// The environments of all starts so far.
    fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(format!("{}.started", self.app.settings.systemctl)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn worker(&self) -> Worker<'_> {
        let keeper = &*self.app.boot_drives;
        Worker { app: &self.app, keeper, healing: None, comparing: None, findings: None }
    }

    /// One turn in which a look is due.
    fn turn(&self, worker: &mut Worker<'_>) -> Heal {
        self.app.boot_drives.lock().look = Some(Instant::now());
        worker.turn();
        self.app.boot_drives.lock().heal.clone()
    }
}

const HALF: &str = "{\"step\":\"copying\",\"index\":1,\"total\":2,\"done\":1,\"work\":2}\n";
const OK: &str = "{\"result\":\"ok\"}\n";
const FAILED: &str = "{\"result\":\"failed\",\"error\":\"defective\"}\n";

#[test]
fn a_blank_drive_is_healed_once_and_followed_to_its_end() {
    let bench = Bench::new();
    let mut worker = bench.worker();
    bench.says(OK); // of an earlier healing: it must not be taken for this one's end
    bench.found(Action::Rebuild, Some("/dev/vdc"));
    assert!(matches!(bench.turn(&mut worker), Heal::Running { .. }));
    assert_eq!(bench.started(), ["HEAL_ARGUMENTS=\"--disk /dev/vdc\""]);
    bench.says(HALF);
    for _ in 0..3 {
        let heal = bench.turn(&mut worker);
        assert!(matches!(&heal, Heal::Running { step, percent: 50, .. } if step == "copying"), "{heal:?}");
    }
    assert_eq!(bench.started().len(), 1, "never twice at once");
    bench.found(Action::None, None);
    bench.says(&format!("{HALF}{OK}"));
    let heal = bench.turn(&mut worker);
    assert!(matches!(&heal, Heal::Done { action, .. } if action == "rebuild"), "{heal:?}");
    let memory = Memory::load(&bench.app.settings.state);
    assert!(memory.healed.is_some_and(|h| h.error.is_none()), "it is known after a restart");
    bench.unit("inactive");
    assert!(matches!(bench.turn(&mut worker), Heal::Done { .. }));
    assert_eq!(bench.started().len(), 1);
}

#[test]
fn a_failure_is_told_and_tried_again_later() {
    let bench = Bench::new();
    let mut worker = bench.worker();
    bench.found(Action::Rebuild, Some("/dev/vdc"));
    for (failures, ending) in [(1, FAILED), (2, "")] {
        bench.turn(&mut worker);
        assert_eq!(bench.started().len(), failures, "tried");
        bench.says(&format!("{HALF}{ending}"));
        bench.unit("inactive");
        let heal = bench.turn(&mut worker);
        let word = if ending.is_empty() { "without a word" } else { "defective" };
        assert!(matches!(&heal, Heal::Failed { reason, .. } if reason.contains(word)), "{heal:?}");
        assert!(matches!(bench.turn(&mut worker), Heal::Failed { .. }), "not again at once");
        assert_eq!(bench.started().len(), failures);
        // Its time has come.
        bench.app.boot_drives.remember(|m| m.healed.as_mut().unwrap().at -= 400);
    }
}

#[test]
fn a_healing_that_an_earlier_agent_began_is_found_again() {
    let bench = Bench::new();
    bench.unit("active");
    bench.says(HALF);
    let mut worker = bench.worker();
    worker.resume();
    bench.found(Action::Rebuild, Some("/dev/vdc"));
    assert!(matches!(bench.turn(&mut worker), Heal::Running { percent: 50, .. }));
    assert!(bench.started().is_empty(), "it runs already");
    assert!(bench.app.boot_drives.ask(StartHeal { disk: None, consent: None }).is_err(), "nor by hand");
}

#[test]
fn a_person_decides_where_the_policy_asks() {
    let bench = Bench::new();
    let mut worker = bench.worker();
    let settings = maekin_api::boot_drives::Settings {
        heal: maekin_api::boot_drives::HealPolicy::Ask,
        ..Default::default()
    };
    bench.app.boot_drives.set(settings).unwrap();
    bench.found(Action::Rebuild, Some("/dev/vdc"));
    assert!(matches!(bench.turn(&mut worker), Heal::Asks { .. }));
    assert!(bench.started().is_empty());
    let start = StartHeal { disk: Some("/dev/vdc".into()), consent: None };
    bench.app.boot_drives.ask(start).unwrap();
    assert!(matches!(bench.turn(&mut worker), Heal::Running { .. }));
    assert_eq!(Memory::load(&bench.app.settings.state).settings, settings, "kept over a restart");
    assert!(bench.app.boot_drives.ask(StartHeal { disk: Some("/dev/x;y".into()), consent: None }).is_err());
}

#[test]
fn a_drive_that_was_there_while_all_was_well_is_not_taken() {
    let bench = Bench::new();
    let mut worker = bench.worker();
    bench.found(Action::None, Some("/dev/vdc"));
    assert_eq!(bench.turn(&mut worker), Heal::Idle);
    bench.found(Action::Rebuild, Some("/dev/vdc"));
    let heal = bench.turn(&mut worker);
    assert!(matches!(&heal, Heal::Asks { reason, .. } if reason.contains("it was in before")), "{heal:?}");
    assert!(bench.started().is_empty());
}
