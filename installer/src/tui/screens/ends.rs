//! Progress, success, failure, the log.

use std::time::Duration;

use maekin_host::tty::Key;

use super::*;
use crate::answers::After;
use crate::plan::Step;
use crate::tui::event::{Done, Event, Failure};

/// Installing, with half of the system written at 80 MiB a second.
fn installing() -> App {
    let mut app = at_plan();
    enter_text(&mut app, "erase");
    press(&mut app, &[Key::Enter]);
    let steps = app.plan.as_ref().unwrap().steps.clone();
    let at = steps.iter().position(|step| matches!(step, Step::WriteRoot { .. })).unwrap();
    let before: u64 = steps[..at].iter().map(Step::weight).sum();
    let total: u64 = steps.iter().map(Step::weight).sum();
    app.tick(Duration::ZERO);
    app.update(Event::Step { index: at + 1, total: steps.len(), label: steps[at].label() });
    for second in 0..5 {
        app.update(Event::Work { done: before + (second << 20), total });
        app.tick(Duration::from_secs(second));
    }
    app
}

fn done(places: &[&str]) -> Event {
    let places = places.iter().map(|place| (*place).to_owned()).collect();
    let receipt = serde_json::json!({});
    Event::Finished(Ok(Done { receipt, after: After::Reboot, seconds: 63.4, places }))
}

fn failed(text: &str) -> Event {
    Event::Finished(Err(Failure::failed(text.to_owned())))
}

#[test]
fn progress_tells_rate_and_time_and_takes_no_keys() {
    let mut app = installing();
    golden("progress", &app);
    golden_large("progress", &app);
    assert!(press(&mut app, &[Key::Esc, Key::Char('q'), Key::Ctrl('c')]).is_none(), "keys do nothing now");
}

#[test]
fn success_says_where_the_receipt_is() {
    let mut app = installing();
    app.update(done(&[
        "on the node: /var/lib/maekin/receipt.json",
        "on the install medium: receipts/node-1-00000000-0000-0000-0000-000000000009.json",
    ]));
    golden("done", &app);
    assert!(!app.stay);
    assert!(matches!(app.key(Key::Char('w')), Some(Action::SaveLog)));
    app.update(Event::Saved(Ok("logs/install-1.txt on sda3 MAEKIN (Ultra Fit)".to_owned())));
    assert!(app.stay, "a person is there");
    golden("done-stay", &app);
    press(&mut app, &[Key::Char('l'), Key::Char('q')]);
    assert_eq!(app.page, Page::Done);
}

#[test]
fn failure_leaves_every_way_open() {
    let mut app = installing();
    app.update(failed(
        "while writing the system to maekin-a: cannot write to /dev/md/maekin-a: No space left",
    ));
    golden("failed", &app);
    press(&mut app, &[Key::Char('l')]);
    golden("log", &app);
    assert_eq!(press(&mut app, &[Key::Char('q')]).is_none(), app.page == Page::Failed);
    for (key, want) in [('s', "shell"), ('w', "save"), ('b', "reboot"), ('p', "off"), ('r', "again")] {
        let got = match app.key(Key::Char(key)) {
            Some(Action::Shell) => "shell",
            Some(Action::SaveLog) => "save",
            Some(Action::Reboot) => "reboot",
            Some(Action::PowerOff) => "off",
            Some(Action::Gather) => "again",
            _ => "nothing",
        };
        assert_eq!(got, want);
    }
    assert_eq!(app.page, Page::Starting, "from the beginning");
}

#[test]
fn a_log_that_cannot_be_saved_says_what_to_do() {
    let mut app = installing();
    app.update(failed(&"while reading /dev/vda: Input/output error; ".repeat(40)));
    let advice = "put in a stick with a FAT file system that can be written, and press w again";
    app.update(Event::Saved(Err(format!("there is no such stick; {advice}"))));
    golden("failed-long-not-saved", &app);
}

#[test]
fn trying_again_keeps_what_was_typed_and_looks_at_the_drives_anew() {
    let mut app = installing();
    app.update(failed("while writing the system to maekin-a: Input/output error"));
    assert!(matches!(app.key(Key::Char('r')), Some(Action::Gather)));
    let mut facts = facts();
    facts.disks.remove(0); // another order, other names: vda is now what was vdb
    app.gathered(facts, &manifest(), None);
    let draft = app.draft.as_ref().unwrap();
    assert_eq!(draft.node.value("Password"), "correct horse");
    let chosen: Vec<&str> =
        draft.chosen(app.facts.as_ref().unwrap()).iter().map(|disk| disk.serial.as_str()).collect();
    assert_eq!(chosen, ["S-vdb", "S-vda"]);
}
