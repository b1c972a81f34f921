//! Consoles that are slow, large, or not read at all; and how much a serial line is sent.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use maekin_host::tty::pseudo;
use uuid::Uuid;

use super::*;
use crate::tui::app::Page;
use crate::tui::event::Event;

/// Bytes a second that a line of 9600 baud carries: eight bits, start and stop.
const LINE_9600: usize = 960;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn only_what_has_changed_is_sent() {
    let mut painter = Painter::default();
    let mut app = App::new(Uuid::nil());
    let whole = painter.paint(&app, SIZE);
    assert!(text(&whole).contains("starting the installer"));
    assert!(painter.paint(&app, SIZE).is_empty(), "nothing has changed");
    app.page = Page::Progress;
    painter.paint(&app, SIZE);
    app.step.2 = "another step".to_owned();
    let bytes = painter.paint(&app, SIZE).len();
    assert!((1..40).contains(&bytes), "{bytes} bytes for a label");
    assert!(painter.paint(&app, (132, 43)).len() > whole.len(), "another size is drawn anew");
}

/// An installation of five minutes as the installer's loop shows it, and what one console is sent: bytes in all, and
/// the most in any second.
fn simulated_install(log_lines: bool) -> (usize, usize) {
    const STEPS: usize = 30;
    const SECONDS: usize = 300;
    const TOTAL: u64 = 4 << 30;
    let mut painter = Painter::default();
    let mut app = App::new(Uuid::nil());
    app.page = Page::Progress;
    painter.paint(&app, SIZE);
    let (mut all, mut most, mut second) = (0, 0, 0);
    for turn in 0..SECONDS * 5 {
        let mut sent = 0;
        if turn % (SECONDS * 5 / STEPS) == 0 {
            let index = turn * STEPS / (SECONDS * 5) + 1;
            let label = format!("writing part {index} of the system to maekin-a");
            let event = Event::Step { index, total: STEPS, label };
            // As `Screen::log` sends it.
            sent += event.lines().iter().map(|line| line.len() + 55).filter(|_| log_lines).sum::<usize>();
            app.update(event);
        }
        // Work comes far more often than it is drawn, and with an uneven rate.
        for _ in 0..20 {
            let wobble = (turn as u64 * 7919) % 4096;
            app.update(Event::Work {
                done: TOTAL / (SECONDS as u64 * 5) * turn as u64 + wobble,
                total: TOTAL,
            });
        }
        app.tick(Duration::from_millis(turn as u64 * 200));
        if std::mem::take(&mut app.dirty) {
            sent += painter.paint(&app, SIZE).len();
        }
        all += sent;
        second += sent;
        if turn % 5 == 4 {
            most = most.max(second);
            second = 0;
        }
    }
    (all / SECONDS, most)
}

#[test]
fn an_installation_is_a_trickle_on_a_serial_line() {
    let (average, most) = simulated_install(true);
    println!("bytes a second: {average} on average, {most} at most");
    assert!(average <= 150, "{average} bytes a second on average");
    assert!(most <= LINE_9600 / 2, "{most} bytes in one second: half of what 9600 baud carry");
}

/// A screen on `count` pseudo-terminals, and the other ends of their lines.
fn screen(count: usize) -> (Screen, Vec<OwnedFd>) {
    let (paths, ends): (Vec<PathBuf>, Vec<OwnedFd>) = (0..count).map(|_| pseudo::terminal().unwrap()).unzip();
    (Screen::new(Consoles::open(&paths).unwrap()), ends)
}

#[test]
fn a_console_that_nobody_reads_never_holds_an_installation_up() {
    let (mut screen, ends) = screen(2);
    let mut app = App::new(Uuid::nil());
    app.page = Page::Progress;
    let (dead, alive) = (&ends[0], &ends[1]);
    let start = Instant::now();
    let mut seen = String::new();
    for i in 0..1000u64 {
        let event = Event::Step { index: 1, total: 2, label: format!("step number {i}") };
        for line in event.lines() {
            screen.log(&line);
        }
        app.update(event);
        app.update(Event::Work { done: i, total: 1000 });
        app.tick(Duration::from_secs(i));
        screen.draw(&mut app);
        assert!(screen.key(Duration::ZERO).is_none());
        seen.push_str(&text(&pseudo::read_all(alive.as_fd()).unwrap()));
    }
    assert!(start.elapsed() < Duration::from_secs(30), "held up: {:?}", start.elapsed());
    assert!(seen.contains("step number 999"), "the other console goes on");
    // Whoever comes to the dead one sees it as it is now, after little of what was said before.
    let mut late = 0;
    while screen.painters[0].seen != Some(screen.version) {
        late += pseudo::read_all(dead.as_fd()).unwrap().len();
        screen.draw(&mut app);
        assert!(late <= BACKLOG + (24 << 10), "{late} bytes of old news"); // a pty itself holds many
    }
    assert_eq!(screen.painters[0].shown, screen.painters[1].shown);
}

#[test]
fn each_console_has_its_own_size() {
    let (mut screen, ends) = screen(2);
    pseudo::resize(ends[1].as_fd(), 132, 43).unwrap();
    let mut app = App::new(Uuid::nil());
    screen.draw(&mut app);
    let seen: Vec<String> = ends.iter().map(|end| text(&pseudo::read_all(end.as_fd()).unwrap())).collect();
    assert!(seen[0].contains("\x1b[6n") && !seen[1].contains("\x1b[6n"), "one that tells is not asked");
    assert!(
        seen[0].contains("\x1b[19;2H") && seen[1].contains("\x1b[29;2H"),
        "the help line is above the log"
    );
    pseudo::write_all(ends[0].as_fd(), b"\x1b[30;100R").unwrap();
    screen.key(Duration::from_millis(50));
    screen.draw(&mut app);
    assert!(text(&pseudo::read_all(ends[0].as_fd()).unwrap()).contains("\x1b[22;2H"), "as it said itself");
}

#[test]
fn whoever_comes_to_a_console_sees_the_whole_screen() {
    let (mut screen, ends) = screen(1);
    let mut app = App::new(Uuid::nil());
    screen.draw(&mut app);
    pseudo::read_all(ends[0].as_fd()).unwrap();
    pseudo::write_all(ends[0].as_fd(), b"x").unwrap();
    assert!(screen.key(Duration::from_secs(1)).is_some());
    screen.draw(&mut app);
    assert!(text(&pseudo::read_all(ends[0].as_fd()).unwrap()).contains("starting the installer"));
    pseudo::write_all(ends[0].as_fd(), b"x").unwrap();
    assert!(screen.key(Duration::from_secs(1)).is_some());
    screen.draw(&mut app);
    assert!(pseudo::read_all(ends[0].as_fd()).unwrap().is_empty(), "once");
}

#[test]
fn a_strangers_words_in_the_log_control_no_terminal() {
    let (mut screen, ends) = screen(1);
    let mut app = App::new(Uuid::nil());
    screen.draw(&mut app);
    pseudo::read_all(ends[0].as_fd()).unwrap();
    screen.log("switch \x1b[2Jevil\r\n");
    let seen = text(&pseudo::read_all(ends[0].as_fd()).unwrap());
    assert!(seen.contains("switch  [2Jevil  "), "{seen:?}");
}
