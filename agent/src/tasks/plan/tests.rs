use super::super::values::{DoneValue, OwnerValue, StepValue};
use super::*;

fn task(kind: Kind, node: &str) -> TaskValue {
    TaskValue {
        id: "1".into(),
        kind: kind.word().into(),
        node: node.into(),
        node_name: format!("name-{node}"),
        machine: if kind == Kind::PowerCycle { "52:54:00:00:00:01".into() } else { String::new() },
        asked: "a".into(),
        created: 1000,
        ..TaskValue::default()
    }
}

fn steps(names: &[&str]) -> Option<Vec<StepValue>> {
    let step = |name: &&str| StepValue { name: (*name).into(), what: format!("do {name}"), once: false };
    Some(names.iter().map(step).collect())
}

fn done(step: &str, failed: bool) -> DoneValue {
    DoneValue { step: step.into(), at: 1, by: "node-1".into(), text: format!("{step} it is"), failed }
}

#[test]
fn api_tasks_take_what_their_kind_takes() {
    let wish = |kind| NewTask {
        kind,
        node: String::new(),
        machine: String::new(),
        drive: String::new(),
        reason: String::new(),
        force: false,
    };
    let with = |kind, change: fn(&mut NewTask)| {
        let mut wish = wish(kind);
        change(&mut wish);
        wish
    };
    let rows = [
        ("backup", wish(Kind::Backup), true),
        ("backup of something", with(Kind::Backup, |w| w.node = "n".into()), false),
        ("backup by force", with(Kind::Backup, |w| w.force = true), false),
        ("drain", with(Kind::Drain, |w| w.node = "n".into()), true),
        (
            "drain by force, and why",
            with(Kind::Drain, |w| (w.node, w.force, w.reason) = ("n".into(), true, "fan".into())),
            true,
        ),
        ("drain of nothing", wish(Kind::Drain), false),
        (
            "a reason of two lines",
            with(Kind::Drain, |w| (w.node, w.reason) = ("n".into(), "a\nb".into())),
            false,
        ),
        (
            "as long a reason as a maintenance may have",
            with(Kind::Drain, |w| (w.node, w.reason) = ("n".into(), "x".repeat(200))),
            true,
        ),
        ("a longer one", with(Kind::Drain, |w| (w.node, w.reason) = ("n".into(), "x".repeat(201))), false),
        ("comparison", with(Kind::CompareBootDrives, |w| w.node = "n".into()), true),
        (
            "comparison by force",
            with(Kind::CompareBootDrives, |w| (w.node, w.force) = ("n".into(), true)),
            false,
        ),
        ("power", with(Kind::PowerCycle, |w| w.machine = "52:54:00:00:00:01".into()), true),
        ("power of nothing", wish(Kind::PowerCycle), false),
        ("power of a path", with(Kind::PowerCycle, |w| w.machine = "../x".into()), false),
        ("drive", with(Kind::RetireDrive, |w| (w.drive, w.reason) = ("sn-a1".into(), "old".into())), true),
        ("drive that is none", with(Kind::RetireDrive, |w| w.drive = "../x".into()), false),
        ("no drive", wish(Kind::RetireDrive), false),
        ("drive by force", with(Kind::RetireDrive, |w| (w.drive, w.force) = ("sn-a1".into(), true)), false),
        ("backup of a drive", with(Kind::Backup, |w| w.drive = "sn-a1".into()), false),
        ("power in capitals", with(Kind::PowerCycle, |w| w.machine = "52:54:00:00:00:AB".into()), false),
    ];
    for (name, wish, want) in rows {
        assert_eq!(Work::of(&wish).is_ok(), want, "{name}");
    }
}

#[test]
fn api_tasks_are_taken_by_who_can_do_them() {
    let us = |id, leads| Us { id, leads, maintenance: false };
    let (none, short, long) = (Duration::ZERO, Duration::from_secs(2), Duration::from_secs(60));
    let taken_over = TaskValue { turns: 1, ..task(Kind::Drain, "d") };
    let over = TaskValue {
        outcome: Some(OutcomeValue { state: State::Failed, ..OutcomeValue::default() }),
        ..task(Kind::Backup, "")
    };
    let newer = TaskValue { kind: "fly".into(), ..task(Kind::Backup, "") };
    let rows = [
        ("the leader's, and it is us", task(Kind::Backup, ""), us("a", true), none, Take::Now),
        ("the leader's", task(Kind::Backup, ""), us("a", false), long, Take::Never),
        ("ours only", task(Kind::CompareBootDrives, "a"), us("a", false), none, Take::Now),
        ("another one's only", task(Kind::CompareBootDrives, "b"), us("a", true), long, Take::Never),
        ("anybody's, and we were asked", task(Kind::PowerCycle, ""), us("a", false), none, Take::Now),
        ("anybody's", task(Kind::PowerCycle, ""), us("b", false), short, Take::In(Duration::from_secs(3))),
        ("anybody's for long", task(Kind::PowerCycle, ""), us("b", false), long, Take::Now),
        ("about us, and we were asked", task(Kind::Drain, "a"), us("a", true), short, Take::In(LAST - short)),
        ("about us, and nobody else came", task(Kind::Drain, "a"), us("a", true), long, Take::Now),
        ("somebody had it", taken_over, us("b", false), none, Take::Now),
        ("over", over, us("a", true), long, Take::Never),
        ("a newer release's", newer, us("a", true), long, Take::Never),
    ];
    for (name, task, us, waited, want) in rows {
        assert_eq!(take(&task, us, waited), want, "{name}");
        let maintenance = Us { maintenance: true, ..us };
        let place = task.wish().and_then(|wish| Work::of(&wish).ok());
        if place.as_ref().is_some_and(|work| matches!(work.place(), Place::Any | Place::Rather(_)))
            && waited < LAST
        {
            assert_eq!(take(&task, maintenance, waited), Take::In(LAST - waited), "{name}, in maintenance");
        }
    }
}

#[test]
fn api_tasks_that_nobody_works_at_end_some_day() {
    let members = || BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    let owned = |since| TaskValue {
        owner: Some(OwnerValue { id: "a".into(), name: "node-a".into(), since }),
        ..task(Kind::PowerCycle, "")
    };
    let cancelled = TaskValue { cancel: "eva".into(), ..task(Kind::CompareBootDrives, "b") };
    let rows = [
        ("young", task(Kind::CompareBootDrives, "b"), 1100, None),
        (
            "its node was removed",
            task(Kind::CompareBootDrives, "x"),
            1100,
            Some((State::Lost, "name-x is not")),
        ),
        ("the node it is about was removed: others see", task(Kind::Drain, "x"), 1100, None),
        ("a day", task(Kind::CompareBootDrives, "b"), 1000 + WAITS, Some((State::Lost, "waited for name-b"))),
        ("a day, anybody's", task(Kind::PowerCycle, ""), 1000 + WAITS, Some((State::Lost, "any node"))),
        ("had an owner since", owned(90_000), 90_000 + WAITS - 1, None),
        ("cancelled", cancelled, 1100, Some((State::Cancelled, "cancelled by eva; done before: nothing"))),
    ];
    for (name, task, now, want) in rows {
        let got = abandoned(&task, &members(), now);
        assert_eq!(got.as_ref().map(|o| o.state), want.map(|(state, _)| state), "{name}");
        let text = got.map(|o| o.text).unwrap_or_default();
        assert!(text.contains(want.map_or("", |(_, part)| part)), "{name}: {text}");
        let over = TaskValue { outcome: Some(OutcomeValue::default()), ..task };
        assert_eq!(abandoned(&over, &members(), u64::MAX), None, "{name}, over");
    }
}

#[test]
fn api_tasks_are_not_gone_on_with_in_the_middle_of_what_is_done_once() {
    let base = || TaskValue { plan: steps(&["look", "switch"]), ..task(Kind::PowerCycle, "") };
    assert_eq!(interrupted(&base()), None);
    let lost = interrupted(&TaskValue { begun: "switch".into(), ..base() }).unwrap();
    assert_eq!(lost.state, State::Lost);
    assert!(lost.text.contains("in the middle of: do switch"), "{}", lost.text);
    assert!(!lost.remedy.is_empty());
}

#[test]
fn api_tasks_end_as_their_steps_did() {
    let base = || TaskValue { plan: steps(&["one", "two"]), ..task(Kind::Backup, "") };
    let well = TaskValue { done: vec![done("one", false), done("two", false)], ..base() };
    assert_eq!((finished(&well).state, finished(&well).text.as_str()), (State::Succeeded, "two it is"));
    let part = TaskValue { done: vec![done("one", true), done("two", false)], ..base() };
    assert_eq!(finished(&part).state, State::Failed);
    assert!(finished(&part).text.contains("1 of 2 steps did not work: one it is"));
    let early = TaskValue { done: vec![done("one", false)], cancel: "eva".into(), ..base() };
    assert_eq!(cancelled(&early).text, "cancelled by eva; done before: do one");
    let mut twice = early.clone();
    twice.did(done("one", false));
    assert_eq!(twice.done.len(), 1, "a step is done once");
    assert_eq!(twice.next_step().unwrap().name, "two");
    assert_eq!((base().percent(50), early.percent(0), early.percent(50), well.percent(0)), (25, 50, 75, 100));
}

#[test]
fn api_tasks_are_kept_for_a_while() {
    let ended = |id: &str, at: u64| TaskValue {
        id: id.into(),
        ended: at,
        outcome: Some(OutcomeValue::default()),
        ..TaskValue::default()
    };
    let open = TaskValue { id: "open".into(), ..TaskValue::default() };
    let now = KEPT + 100;
    let all = [ended("old", 100), ended("b", 500), open, ended("c", 600), ended("d", 700)];
    let rows: [(&str, usize, &[&str]); 4] = [
        ("by age", 10, &["old"]),
        ("by number too", 2, &["b", "old"]),
        ("none may stay", 0, &["d", "c", "b", "old"]),
        ("as many as there are", 4, &["old"]),
    ];
    for (name, most, want) in rows {
        assert_eq!(doomed(&all, most, now), want, "{name}");
    }
}
