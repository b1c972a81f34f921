//! Every screen as 80 by 24 characters, compared with `installer/screens/*.txt`. After a change that is meant, run the
//! tests with `MAEKIN_BLESS=1` and look at the difference.

use std::path::Path;

use maekin_host::tty::Key;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use uuid::Uuid;

use super::app::{App, Page};
use super::event::{Action, Done, Event, Failure};
use super::view;
use crate::answers::After;
use crate::facts::tests::{disk, machine, used};
use crate::facts::{Disk, Facts, Firmware};
use crate::plan::tests::{answers, manifest};

fn render(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| view::draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| -> String {
        let cells: String = (0..80).map(|x| buffer[(x, y)].symbol()).collect();
        cells.trim_end().to_owned()
    };
    (0..24).map(|y| row(y) + "\n").collect()
}

fn golden(name: &str, app: &App) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("screens").join(format!("{name}.txt"));
    let got = render(app);
    if std::env::var_os("MAEKIN_BLESS").is_some() {
        std::fs::write(&path, &got).unwrap();
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
    press(&mut app, &[Key::Enter, Key::Down, Key::Char(' '), Key::Enter]);
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "correct horse");
    press(&mut app, &[Key::Down]);
    enter_text(&mut app, "correct horse");
    press(&mut app, &[Key::Enter, Key::Enter]);
    assert_eq!(app.page, Page::Network, "{:?}", app.problems);
    app
}

fn at_plan() -> App {
    let mut app = at_network();
    press(&mut app, &[Key::Enter, Key::Enter]);
    assert_eq!(app.page, Page::Cluster, "{:?}", app.problems);
    press(&mut app, &[Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!(app.page, Page::Plan, "{:?}", app.problems);
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
    press(&mut app, &[Key::Down, Key::Right, Key::Down]);
    enter_text(&mut app, "10.77.0.1");
    press(&mut app, &[Key::Down, Key::Down, Key::Enter]);
    golden("network-problems", &app);
    press(&mut app, &[Key::Up, Key::Up]);
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
    press(&mut app, &[Key::Enter, Key::Enter, Key::Enter, Key::Enter, Key::Enter, Key::Enter, Key::Enter]);
    assert_eq!((app.page, app.consent_word()), (Page::Plan, "install"), "{:?}", app.problems);
    golden("plan-blank", &app);
}

#[test]
fn progress_and_ends() {
    let mut app = at_plan();
    enter_text(&mut app, "erase");
    press(&mut app, &[Key::Enter]);
    app.update(Event::Step { index: 18, total: 30, label: "writing the system to maekin-a".to_owned() });
    app.update(Event::Work { done: 42, total: 100 });
    golden("progress", &app);
    assert!(press(&mut app, &[Key::Esc, Key::Char('q'), Key::Ctrl('c')]).is_none(), "keys do nothing now");
    let receipt = serde_json::json!({});
    app.update(Event::Finished(Ok(Done { receipt, after: After::Reboot, seconds: 63.4 })));
    golden("done", &app);
    app.update(Event::Finished(Err(Failure::failed(
        "while writing the system to maekin-a: cannot write to /dev/md/maekin-a: No space left".to_owned(),
    ))));
    golden("failed", &app);
    press(&mut app, &[Key::Char('l')]);
    golden("log", &app);
    assert_eq!(press(&mut app, &[Key::Char('q')]).is_none(), app.page == Page::Failed);
    for (key, want) in [('s', "shell"), ('b', "reboot"), ('p', "off"), ('r', "again")] {
        let got = match app.key(Key::Char(key)) {
            Some(Action::Shell) => "shell",
            Some(Action::Reboot) => "reboot",
            Some(Action::PowerOff) => "off",
            Some(Action::Gather) => "again",
            _ => "nothing",
        };
        assert_eq!(got, want);
    }
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
    assert!(event.lines()[0].starts_with("refused: line 2: colour: unknown field"), "{:?}", event.lines());
}
