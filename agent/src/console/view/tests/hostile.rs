//! Whatever other machines say and whoever types what: no panic, nothing outside the screen, nothing but plain text.

use super::*;
use crate::console::paint::difference;
use crate::console::presence::News;
use crate::console::update::{Event, update};
use maekin_host::tty::Key;
use proptest::prelude::*;

/// Texts that a screen may suffer from: escape codes, wide and combining letters, no letters, very long.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\u{1b}[2J\u{1b}]0;x\u{7}\r\n\t\u{9b}31m".to_owned()),
        Just("e\u{301}\u{200d}\u{202e}漢字🦀".repeat(20)),
        Just("x".repeat(500)),
        "(?s).{0,90}",
        "[a-z0-9 .:-]{0,30}",
    ]
}

fn key() -> impl Strategy<Value = Key> {
    let named = [
        Key::Enter,
        Key::Backspace,
        Key::Tab,
        Key::BackTab,
        Key::Esc,
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::PageUp,
        Key::PageDown,
        Key::Ctrl('c'),
        Key::Ctrl('u'),
        Key::Ctrl('l'),
    ];
    prop_oneof![
        4 => proptest::sample::select(named.to_vec()),
        4 => proptest::sample::select("0123456789sp?oancrtwnjkbyl ".chars().collect::<Vec<_>>()).prop_map(Key::Char),
        1 => any::<char>().prop_map(Key::Char),
    ]
}

/// A rack in which every text is `text`, and every number `n`.
fn suffering(text: &str, n: u64, members: usize) -> Snapshot {
    let mut snapshot = cared_for().snapshot;
    if let Some(node) = &mut snapshot.node {
        node.name = text.to_owned();
        node.version = text.to_owned();
        node.time = n;
        node.urls = vec![text.to_owned(); members.min(9)];
        node.interfaces[0].addresses = vec![text.to_owned(); 3];
        node.interfaces[0].name = text.to_owned();
        node.alarms = vec![alarm(text, Severity::Critical, text, text); members.min(30)];
        node.boot_drives.drives[0].serial = text.to_owned();
        node.boot_drives.comparison = Comparison {
            last: Some(n),
            next: Some(n),
            differ: vec![(text.to_owned(), n)],
            ..Comparison::default()
        };
        node.local_pool = LocalPool::Failed { reason: text.to_owned() };
    }
    if let Some(cluster) = &mut snapshot.cluster {
        cluster.name = text.to_owned();
        cluster.nodes = (0..members)
            .map(|i| Member { name: text.to_owned(), address: text.to_owned(), ..many(i) })
            .collect();
        cluster.install_window.until = n;
    }
    for install in &mut snapshot.installs {
        install.hostname = text.to_owned();
        install.progress = Progress::Failed { reason: text.to_owned() };
    }
    for machine in &mut snapshot.machines {
        machine.code = text.to_owned();
        machine.last_seen = n;
        if let Some(inventory) = &mut machine.inventory {
            inventory.dmi.vendor = text.to_owned();
        }
    }
    snapshot.problem = text.to_owned();
    snapshot
}

fn plain(buffer: &Buffer) -> bool {
    (buffer.area.width, buffer.area.height) == (WIDTH, HEIGHT)
        && buffer.content.iter().all(|cell| matches!(cell.symbol().as_bytes(), [b' '..=b'~']))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn console_no_state_and_no_keys_break_the_screen(
        text in text(), n in prop_oneof![Just(0), Just(u64::MAX), 0..2_000_000_u64], members in 0..200_usize,
        keys in proptest::collection::vec((0..3_usize, key()), 0..80), now in prop_oneof![Just(0), Just(u64::MAX), Just(1_000_000)],
        absent in 0..4_u8,
    ) {
        let mut snapshot = suffering(&text, n, members);
        match absent {
            1 => snapshot.node = None,
            2 => snapshot.cluster = None,
            _ => {}
        }
        let mut model = cared_for();
        model.shell_on = None;
        update(&mut model, Event::Snapshot(Box::new(snapshot)));
        update(&mut model, Event::Logs(vec![text.clone(); members]));
        let sticks = model.sticks.clone().unwrap_or_default();
        let mut shown = render(&model, now);
        for (at, (console, key)) in keys.into_iter().enumerate() {
            update(&mut model, Event::Key { console, key });
            match at % 9 {
                3 => drop(update(&mut model, Event::Said(text.clone()))),
                4 => drop(update(&mut model, Event::Token(text.clone()))),
                5 => drop(update(&mut model, Event::Bundle(Bundle::Failed(text.clone())))),
                6 => drop(update(&mut model, Event::Presence(News::Waiting { until: n }))),
                7 => {
                    let refused = vec![Refused { device: text.clone().into(), reason: text.clone() }];
                    update(&mut model, Event::Sticks(Sticks { refused, problem: text.clone(), ..sticks.clone() }));
                }
                8 => drop(update(&mut model, Event::Presence(News::Over(text.clone())))),
                _ => {}
            }
            let next = render(&model, now);
            prop_assert!(plain(&next), "{:?}", model.page);
            let bytes = difference(Some(&shown), &next);
            prop_assert!(bytes.iter().all(|b| matches!(b, 0x1b | b' '..=b'~')), "only our own sequences");
            shown = next;
        }
    }
}

#[test]
fn console_every_page_fits_the_smallest_screen_with_the_worst_of_names() {
    let pages = MENU.iter().filter_map(|(_, _, item)| match item {
        crate::console::model::Item::Show(page) => Some(*page),
        _ => None,
    });
    for page in pages {
        let snapshot = suffering(&"\u{1b}[31mVERY-LONG-NAME-".repeat(9), 999_950, 120);
        let model = Model { page, snapshot, ..cared_for() };
        let buffer = render(&model, 1_000_000);
        assert!(plain(&buffer), "{page:?}");
        check(&format!("worst-{}", format!("{page:?}").to_ascii_lowercase()), &model);
    }
}
