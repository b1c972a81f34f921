//! A machine that waits to be let in.

use std::time::Duration;

use maekin_api::machine::{Ask, Verdict};
use maekin_host::tty::Key;

use super::*;
use crate::run::wait::Waiting;
use crate::tui::event::Event;

const CLOSED: &str = "the install window is closed; approve this machine by its code, or open the window";

fn waiting(verdict: Option<Verdict>, problem: Option<&str>) -> App {
    let mut app = App::new(Uuid::nil());
    let waiting = Waiting {
        code: "407-852".to_owned(),
        masters: vec!["http://10.77.0.1:8480".to_owned(), "http://10.77.0.2:8480".to_owned()],
        ask: Ask { mac: "52:54:00:00:00:01".to_owned(), ..Ask::default() },
        machine: "QEMU, Standard PC (Q35 + ICH9, 2009), serial M17-0042, 4.0 GiB of memory, 2 drives"
            .to_owned(),
        verdict,
        problem: problem.map(str::to_owned),
        installed: None,
    };
    app.update(Event::Waiting(Box::new(waiting)));
    app
}

fn wait_for(reason: &str) -> Verdict {
    Verdict::Wait { code: "407-852".into(), reason: reason.into(), tell: false, disk: false }
}

#[test]
fn a_machine_that_waits_shows_its_code_why_and_what_to_do() {
    golden("waiting-first", &waiting(None, None));
    let closed = CLOSED;
    golden("waiting", &waiting(Some(wait_for(closed)), None));
    golden_large("waiting", &waiting(Some(wait_for(closed)), None));
    let away = "no word from http://10.77.0.1:8480: io: Connection refused";
    golden("waiting-master-away", &waiting(Some(wait_for(closed)), Some(away)));
    let reason = "admin from 10.77.0.50 said no: it belongs to the other rack".to_owned();
    golden("waiting-denied", &waiting(Some(Verdict::Denied { code: "407-852".into(), reason }), None));
    let reason = "it was let in by root on node-1, and did not begin within 24 h".to_owned();
    golden("waiting-expired", &waiting(Some(Verdict::Expired { code: "407-852".into(), reason }), None));
    let long = wait_for(&"a reason that does not end, ".repeat(40));
    golden("waiting-long", &waiting(Some(long), Some(&"a problem too, ".repeat(40))));
}

#[test]
fn a_person_in_front_of_it_can_do_everything_but_let_it_in() {
    for (key, want) in [('s', "shell"), ('d', "disk"), ('b', "reboot"), ('p', "off"), ('i', "nothing")] {
        let mut app = waiting(Some(wait_for("closed")), None);
        let got = match app.key(Key::Char(key)) {
            Some(Action::Shell) => "shell",
            Some(Action::ToDisk) => "disk",
            Some(Action::Reboot) => "reboot",
            Some(Action::PowerOff) => "off",
            _ => "nothing",
        };
        assert_eq!(got, want);
    }
    assert!(press(&mut waiting(None, None), &[Key::Enter, Key::Esc, Key::Ctrl('c')]).is_none());
}

/// One that has something installed, and of which nobody has said anything.
fn idle() -> App {
    let mut app = waiting(None, None);
    let installed = Some("the Maekin node \"node-2\" of cluster \"rack\"".to_owned());
    let verdict = Verdict::Wait { code: "407-852".into(), reason: CLOSED.into(), tell: false, disk: true };
    let known = app.waiting.take().unwrap();
    app.update(Event::Waiting(Box::new(Waiting { installed, verdict: Some(verdict), ..known })));
    app
}

fn at(app: &mut App, millis: u64) -> bool {
    matches!(app.tick(Duration::from_millis(millis)), Some(Action::StartInstalled))
}

#[test]
fn what_is_installed_starts_where_nobody_says_otherwise() {
    let mut app = idle();
    assert!(!at(&mut app, 5000));
    golden("waiting-installed", &app);
    assert!(!at(&mut app, 14_999), "ten seconds");
    assert!(at(&mut app, 15_000));
    assert!(!at(&mut app, 15_200), "where the master could not be told, all of it begins again");
    assert!(at(&mut app, 25_200));

    let mut app = idle();
    assert!(!at(&mut app, 0));
    press(&mut app, &[Key::Char('x')]);
    golden("waiting-installed-stay", &app);
    assert!(!at(&mut app, 60_000), "somebody is here");
    assert!(matches!(app.key(Key::Char('d')), Some(Action::ToDisk)), "and can still choose it");
}

#[test]
fn what_is_installed_does_not_start_where_it_may_not() {
    type Change = fn(&mut Waiting);
    let deny = |waiting: &mut Waiting| {
        waiting.verdict = Some(Verdict::Denied { code: "407-852".into(), reason: "no".into() });
    };
    let rows: [(&str, Change, bool); 8] = [
        ("nobody decided", |_| {}, true),
        ("a person said no to installing it", deny, true),
        ("nothing is installed", |waiting| waiting.installed = None, false),
        ("no master was heard yet", |waiting| waiting.verdict = None, false),
        ("the master is away", |waiting| waiting.problem = Some("no word".into()), false),
        ("it is to be installed, later", |waiting| waiting.verdict = Some(wait_for("alive")), false),
        (
            "its installation did not come to its end",
            |waiting| {
                waiting.verdict = Some(Verdict::Expired { code: "407-852".into(), reason: "late".into() });
            },
            false,
        ),
        (
            "it is let in",
            |waiting| waiting.verdict = Some(Verdict::Install { ticket: "0".repeat(32) }),
            false,
        ),
    ];
    for (name, change, want) in rows {
        let mut app = idle();
        at(&mut app, 0);
        let mut waiting = app.waiting.clone().unwrap();
        change(&mut waiting);
        app.update(Event::Waiting(Box::new(waiting)));
        let started = (1..100).any(|second| at(&mut app, second * 1000));
        assert_eq!(started, want, "{name}");
    }
    let mut app = idle();
    at(&mut app, 0);
    app.update(Event::LetIn);
    assert!(!at(&mut app, 60_000), "let in meanwhile");
}

#[test]
fn it_goes_on_when_it_is_let_in_also_behind_the_log() {
    let mut app = waiting(Some(wait_for("closed")), None);
    press(&mut app, &[Key::Char('l')]);
    assert_eq!(app.page, Page::Log);
    app.update(Event::LetIn);
    press(&mut app, &[Key::Char('q')]);
    assert_eq!(app.page, Page::Starting);
}
