//! Every screen as 80 by 24 characters, compared with `installer/screens/*.txt`. After a change that is meant, run the
//! tests with `MAEKIN_BLESS=1` and look at the difference.

mod ends;
mod network;
mod tickets;

use std::path::Path;

use maekin_host::tty::Key;
use ratatui::layout::Rect;
use uuid::Uuid;

use super::app::{App, Page};
use super::event::Action;
use super::view;
use crate::facts::contents::Partition;
use crate::facts::tests::{disk, machine, used};
use crate::facts::{Disk, Facts, Firmware, Health, PreviousNode};
use crate::plan::tests::{answers, manifest};

fn render(app: &App, width: u16, height: u16) -> String {
    let buffer = view::render(app, Rect { x: 0, y: 0, width, height });
    let row = |y: u16| -> String {
        let cells: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        cells.trim_end().to_owned()
    };
    (0..height).map(|y| row(y) + "\n").collect()
}

/// The screen as on a console of 80 by 24.
fn golden(name: &str, app: &App) {
    compare(name, &render(app, 80, 24));
}

/// The screen as on a large console.
fn golden_large(name: &str, app: &App) {
    compare(&format!("{name}-132x43"), &render(app, 132, 43));
}

fn compare(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("screens").join(format!("{name}.txt"));
    if std::env::var_os("MAEKIN_BLESS").is_some() {
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(got == want, "{name} has changed; if that is meant, run with MAEKIN_BLESS=1\n{got}");
}

fn facts() -> Facts {
    let medium = Disk { holds_medium: true, model: "Ultra Fit".into(), removable: true, ..disk("sda", 14) };
    let mut facts = machine(Firmware::Uefi, vec![medium, used("vda", 12), disk("vdb", 12), disk("vdc", 4)]);
    facts.dmi.vendor = "QEMU".to_owned();
    facts.dmi.product = "Standard PC".to_owned();
    facts
}

/// The installer in front of a person who is to choose.
fn asked() -> App {
    let mut app = App::new(Uuid::from_u128(9));
    assert!(app.gathered(facts(), &manifest(), None).is_none());
    app
}

fn press(app: &mut App, keys: &[Key]) -> Option<Action> {
    keys.iter().fold(None, |_, key| app.key(*key))
}

fn enter_text(app: &mut App, text: &str) {
    for c in text.chars() {
        app.key(Key::Char(c));
    }
}

/// Up to the network screen, on the used drive and the blank one.
fn at_network() -> App {
    let mut app = asked();
    to_network(&mut app);
    app
}

fn to_network(app: &mut App) {
    press(app, &[Key::Enter, Key::Down, Key::Char(' '), Key::Enter]);
    press(app, &[Key::Down]);
    enter_text(app, "correct horse");
    press(app, &[Key::Down]);
    enter_text(app, "correct horse");
    press(app, &[Key::Enter, Key::Enter]);
    assert_eq!(app.page, Page::Network, "{:?}", app.problems);
}

/// From the network screen to the one where it can be tried.
fn to_trial(app: &mut App) {
    while app.page == Page::Network {
        press(app, &[Key::Enter]);
        assert!(app.problems.is_empty(), "{:?}", app.problems);
    }
    press(app, &[Key::Enter; 3]);
    assert_eq!(app.page, Page::Trial, "{:?}", app.problems);
}

fn at_plan_from(app: &mut App) {
    to_network(app);
    to_trial(app);
    press(app, &[Key::Down, Key::Down, Key::Enter]);
    assert_eq!(app.page, Page::Plan, "{:?}", app.problems);
}

fn at_plan() -> App {
    let mut app = asked();
    at_plan_from(&mut app);
    app
}

#[test]
fn the_first_screens() {
    golden("starting", &App::new(Uuid::nil()));
    let mut app = asked();
    golden("welcome", &app);
    press(&mut app, &[Key::Enter]);
    golden("drives", &app);
    press(&mut app, &[Key::Down, Key::Char(' ')]);
    golden("drives-two-chosen", &app);
    press(&mut app, &[Key::Char(' '), Key::Down, Key::Char(' '), Key::Enter]);
    golden("drives-none-chosen", &app);
}

#[test]
fn a_drive_that_cannot_be_used_cannot_be_chosen() {
    let mut app = asked();
    press(&mut app, &[Key::Enter, Key::Char(' ')]);
    press(&mut app, &[Key::Down, Key::Down, Key::Down, Key::Char(' ')]);
    let names: Vec<String> = app
        .draft
        .as_ref()
        .unwrap()
        .chosen(app.facts.as_ref().unwrap())
        .iter()
        .map(|d| d.name.clone())
        .collect();
    assert_eq!(names, ["vdb"], "the blank one, chosen beforehand");
}

#[test]
fn the_forms() {
    let mut app = asked();
    press(&mut app, &[Key::Enter, Key::Enter]);
    golden("node", &app);
    enter_text(&mut app, "X");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "short");
    press(&mut app, &[Key::Down, Key::Down, Key::Enter]);
    golden("node-problems", &app);
    let mut app = at_network();
    golden("network", &app);
    press(&mut app, &[Key::Down, Key::Down]);
    enter_text(&mut app, "4095");
    press(&mut app, &[Key::Down, Key::Down, Key::Right, Key::Down]);
    enter_text(&mut app, "10.77.0.1");
    press(&mut app, &[Key::Down, Key::Down, Key::Enter]);
    golden("network-problems", &app);
    press(&mut app, &[Key::Up; 5]);
    press(&mut app, &[Key::Backspace; 4]);
    press(&mut app, &[Key::Down; 3]);
    enter_text(&mut app, "/24");
    press(&mut app, &[Key::Down, Key::Down, Key::Enter]);
    assert_eq!(app.page, Page::Cluster, "{:?}", app.problems);
    golden("cluster", &app);
    press(&mut app, &[Key::Down, Key::Down, Key::Right, Key::Down]);
    enter_text(&mut app, "10.77.0.100");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "10.78.0.1");
    press(&mut app, &[Key::Enter]);
    golden("cluster-problems", &app);
    press(&mut app, &[Key::Up, Key::Up, Key::Up, Key::Up, Key::Right]);
    golden("cluster-join", &app);
}

#[test]
fn consent_must_be_typed_and_is_to_what_is_shown() {
    let mut app = at_plan();
    golden("plan-losses", &app);
    enter_text(&mut app, "yes");
    assert!(press(&mut app, &[Key::Enter]).is_none());
    golden("plan-refused", &app);
    enter_text(&mut app, "erase");
    let action = press(&mut app, &[Key::Enter]);
    let Some(Action::Install(plan)) = action else { panic!("it does not install") };
    let titles: Vec<&str> = plan.drives.iter().map(|d| d.path.to_str().unwrap()).collect();
    assert_eq!(titles, ["/dev/vdb", "/dev/vda"]);
    assert_eq!(app.page, Page::Progress);
}

#[test]
fn blank_drives_need_another_word() {
    let mut app = asked();
    press(&mut app, &[Key::Enter, Key::Enter]);
    enter_text(&mut app, "");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "correct horse");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "correct horse");
    press(&mut app, &[Key::Enter; 2]);
    to_trial(&mut app);
    press(&mut app, &[Key::Down, Key::Down, Key::Enter]);
    assert_eq!((app.page, app.consent_word()), (Page::Plan, "install"), "{:?}", app.problems);
    golden("plan-blank", &app);
}

/// A machine whose drives have much to say.
fn full_rack_server() -> Facts {
    let mut facts = facts();
    let health = |passed, complaints: &[&str]| {
        let complaints = complaints.iter().map(|c| (*c).to_owned()).collect();
        Some(Health { passed, complaints, worn: Some(3), hours: Some(41_234) })
    };
    facts.disks[1].health = health(true, &[]);
    facts.disks[2].health = health(false, &["1432 sectors were replaced"]);
    for i in 0..20u64 {
        let mut data = used(&format!("sd{}", char::from(b'b' + u8::try_from(i).unwrap())), 4000);
        data.health = health(true, &[]);
        facts.disks.push(data);
    }
    facts.disks[1].contents.previous = Some(PreviousNode {
        hostname: "node-7".into(),
        cluster: Some("rack".into()),
        install_id: Uuid::nil(),
    });
    facts
}

#[test]
fn a_machine_with_many_drives_and_an_old_name() {
    let mut app = App::new(Uuid::from_u128(9));
    assert!(app.gathered(full_rack_server(), &manifest(), None).is_none());
    golden("welcome-previous", &app);
    press(&mut app, &[Key::Enter, Key::Down, Key::Char(' ')]);
    golden("drives-many", &app);
    golden_large("drives-many", &app);
    press(&mut app, &[Key::Down; 9]);
    golden("drives-many-below", &app);
    press(&mut app, &[Key::Enter]);
    golden("node-previous", &app);
    assert_eq!(app.draft.as_ref().unwrap().node.value("Host name"), "node-7");
}

#[test]
fn nothing_is_lost_that_was_not_on_the_screen() {
    let mut facts = facts();
    for number in 1..30 {
        let name = format!("part{number}");
        let mut partition = Partition { number, size: 1 << 30, label: name.clone(), ..Partition::default() };
        partition.signatures.push(used(&name, 1).contents.signatures.remove(0));
        facts.disks[1].contents.partitions.push(partition);
    }
    let mut app = App::new(Uuid::from_u128(9));
    app.gathered(facts, &manifest(), None);
    at_plan_from(&mut app);
    golden("plan-long", &app);
    golden_large("plan-long", &app);
    enter_text(&mut app, "erase");
    assert!(press(&mut app, &[Key::Enter]).is_none(), "not all of it was seen");
    golden("plan-unseen", &app);
    press(&mut app, &[Key::PageDown; 3]);
    golden("plan-long-end", &app);
    assert!(matches!(press(&mut app, &[Key::Enter]), Some(Action::Install(_))));
}

#[test]
fn with_answers_nobody_is_asked() {
    let mut app = App::new(Uuid::from_u128(9));
    let chosen = answers("[disks]\nmirror = [\"path:/dev/vdb\"]\n");
    let action = app.gathered(facts(), &manifest(), Some(Ok(chosen)));
    assert!(matches!(action, Some(Action::Install(_))));
    assert_eq!(app.page, Page::Progress);
}

#[test]
fn refusals_stay_on_the_screen_and_are_told_line_by_line() {
    let mut app = App::new(Uuid::from_u128(9));
    let chosen = answers("[disks]\nmirror = [\"path:/dev/vda\", \"path:/dev/vdc\"]\n");
    let Some(Action::Tell(event)) = app.gathered(facts(), &manifest(), Some(Ok(chosen))) else {
        panic!("nothing is told")
    };
    let lines = event.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("refused: vda (QEMU HARDDISK, serial S-vda, 12.0 GiB): it is not blank"));
    assert!(lines[1].contains("refused: vdc") && lines[1].contains("at least 8 GiB"));
    app.update(event);
    golden("refused", &app);
}

#[test]
fn a_bad_answer_file_is_told_with_its_lines() {
    let mut app = App::new(Uuid::from_u128(9));
    let problems = crate::answers::parse("version = 2\ncolour = 1\n").unwrap_err().to_string();
    let Some(Action::Tell(event)) = app.gathered(facts(), &manifest(), Some(Err(problems))) else {
        panic!("nothing is told")
    };
    let told = event.lines();
    assert!(told.iter().any(|l| l.starts_with("refused: line 2: colour: unknown field")), "{told:?}");
    assert!(told.iter().any(|l| l.contains("missing field `cluster`")), "{told:?}");
}
