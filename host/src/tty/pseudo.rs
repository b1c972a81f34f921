//! Pseudo-terminals, pty(7): consoles for tests, whose other end is held by the test.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::unistd::{read, write};

/// asm-generic/ioctls.h.
const TIOCVHANGUP: libc::c_ulong = 0x5437;

/// A new terminal: where it is opened, and its other end.
///
/// # Errors
/// When the kernel has none left.
pub fn terminal() -> io::Result<(PathBuf, OwnedFd)> {
    let flags = nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_CLOEXEC;
    let master: PtyMaster = posix_openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname_r(&master)?;
    Ok((path.into(), master.into()))
}

/// What the terminal was sent and has not been read yet; waits for nothing.
///
/// # Errors
/// As read(2).
pub fn read_all(end: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    let mut fds = [PollFd::new(end, PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::ZERO)? > 0 {
        let n = read(end, &mut chunk)?;
        all.extend_from_slice(&chunk[..n]);
    }
    Ok(all)
}

/// Types on the terminal.
///
/// # Errors
/// As write(2).
pub fn write_all(end: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[write(end, bytes)?..];
    }
    Ok(())
}

/// Makes the terminal larger or smaller.
///
/// # Errors
/// As ioctl_tty(2).
pub fn resize(end: BorrowedFd<'_>, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ (ioctl_tty(2)) reads one winsize, which outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(end.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Hangs the terminal up for all who have it open, as the end of a session does with a real one. Takes root.
///
/// # Errors
/// As ioctl_tty(2).
pub fn hang_up(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCVHANGUP (asm-generic/ioctls.h) takes no argument; the descriptor outlives the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), TIOCVHANGUP) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
