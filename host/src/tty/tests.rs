//! Consoles on pseudo-terminals: with a reader, without one, hung up.

use std::os::fd::OwnedFd;

use nix::pty::openpty;
use nix::unistd::{read, ttyname, write};

use super::*;

/// A pseudo-terminal: our end as a console, and the end of whoever looks at it.
fn terminal() -> (PathBuf, OwnedFd, OwnedFd) {
    let pty = openpty(None, None).unwrap();
    (ttyname(&pty.slave).unwrap(), pty.master, pty.slave)
}

fn drain(master: &OwnedFd) -> usize {
    let mut seen = 0;
    let mut chunk = [0; 4096];
    let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::from(50u8)).unwrap() > 0 {
        seen += read(master, &mut chunk).unwrap();
    }
    seen
}

#[test]
fn the_kernels_list_names_terminals_once() {
    assert_eq!(parse_active("tty0 ttyS0\n"), [PathBuf::from("/dev/tty1"), PathBuf::from("/dev/ttyS0")]);
    assert_eq!(parse_active("tty0 tty1"), [PathBuf::from("/dev/tty1")]);
}

#[test]
fn a_console_that_nobody_reads_blocks_nothing_and_costs_bounded_memory() {
    let ((dead, _master, _slave), (alive, reader, _other)) = (terminal(), terminal());
    let mut consoles = Consoles::open(&[dead, alive]).unwrap();
    let start = Instant::now();
    let mut read = 0;
    for _ in 0..2000 {
        for console in 0..2 {
            consoles.send(console, &[b'x'; 1000]);
        }
        assert!(consoles.key(Duration::ZERO).is_none());
        read += drain_now(&reader);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!consoles.is_drained(0) && consoles.has_lost(0), "the dead one lost output, and says so");
    read += drain(&reader);
    assert!(read > 1_900_000 && !consoles.has_lost(1), "the other one got everything: {read}");
}

/// What is there, without waiting.
fn drain_now(master: &OwnedFd) -> usize {
    let mut seen = 0;
    let mut chunk = [0; 4096];
    let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::ZERO).unwrap() > 0 {
        seen += read(master, &mut chunk).unwrap();
    }
    seen
}

#[test]
fn a_writer_waits_for_a_stuck_console_once_and_not_again() {
    let (path, master, _slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    let timed = |consoles: &mut Consoles| {
        let start = Instant::now();
        consoles.write_all(&[b'x'; 20_000]).unwrap();
        start.elapsed()
    };
    assert!(timed(&mut consoles) >= WRITE_LIMIT, "it was taking output until then");
    assert!(timed(&mut consoles) < WRITE_LIMIT / 4, "now it is known");
    drain(&master);
    consoles.is_drained(0);
    assert!(!consoles.lines[0].stuck, "it takes output again");
}

#[test]
fn a_console_that_hangs_up_is_no_busy_loop() {
    let (path, master, slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    drop((master, slave));
    for _ in 0..3 {
        let start = Instant::now();
        assert!(consoles.key(Duration::from_millis(60)).is_none());
        consoles.send(0, b"hello");
        assert!(start.elapsed() >= Duration::from_millis(50), "it returned at once");
    }
}

#[test]
fn keys_come_whole_however_the_line_cuts_them() {
    let (path, master, _slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    let second = Duration::from_secs(1);
    write(&master, b"\x1b").unwrap();
    assert!(consoles.key(ESCAPE_LIMIT / 4).is_none(), "it may become an arrow");
    write(&master, b"[").unwrap();
    assert!(consoles.key(ESCAPE_LIMIT / 4).is_none());
    write(&master, b"A").unwrap();
    assert_eq!(consoles.key(second), Some((0, Key::Up)));
    write(&master, b"\x1b").unwrap();
    assert_eq!(consoles.key(second), Some((0, Key::Esc)), "nothing came after it");
}

#[test]
fn the_rest_of_an_arrow_that_came_too_late_is_not_typed() {
    let (path, master, _slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    let second = Duration::from_secs(1);
    for (rest, want) in [(b"[Bx".as_slice(), 'x'), (b"[5~y", 'y'), (b"[z", '['), (b"O", 'O')] {
        write(&master, b"\x1b").unwrap();
        assert_eq!(consoles.key(second), Some((0, Key::Esc)));
        write(&master, rest).unwrap();
        assert_eq!(consoles.key(second), Some((0, Key::Char(want))), "{rest:?}");
        while consoles.key(Duration::from_millis(20)).is_some() {}
    }
    write(&master, b"[").unwrap();
    assert_eq!(consoles.key(second), Some((0, Key::Char('['))), "no Escape came before it");
}

#[test]
fn a_terminal_may_tell_its_size_within_reason() {
    let (path, master, _slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    assert_eq!(consoles.size(0), None);
    for (report, want) in [("\x1b[43;132R", (132, 43)), ("\x1b[1;1R", (80, 24)), ("\x1b[9999;9999R", LARGE)] {
        write(&master, report.as_bytes()).unwrap();
        assert!(consoles.key(Duration::from_millis(50)).is_none(), "a report is no key");
        assert_eq!(consoles.size(0), Some(want), "{report:?}");
    }
}

const LARGE: (u16, u16) = (240, 100);

/// The end of a session hangs its terminal up, for all who have it open (exit(2)'s `disassociate_ctty`); for pseudo-terminals
/// it does not, so it is done by hand.
#[test]
fn a_console_lent_to_a_shell_is_a_console_again_afterwards() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: only root may hang a terminal up");
        return;
    }
    let (path, master, _slave) = terminal();
    let mut consoles = Consoles::open(&[path]).unwrap();
    let hung = consoles.lend(0, |path| pseudo::hang_up(fs::File::open(path).unwrap().as_fd()));
    hung.unwrap().unwrap();
    assert!(consoles.has_lost(0), "what it shows is unknown");
    consoles.send(0, b"again");
    assert!(consoles.is_drained(0));
    assert_eq!(drain(&master), 5);
    write(&master, b"y").unwrap();
    assert_eq!(consoles.key(Duration::from_secs(5)), Some((0, Key::Char('y'))));
}
