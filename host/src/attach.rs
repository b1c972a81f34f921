//! Joins the terminal that a person sits at with a stream, byte for byte, until a key says enough.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, SetArg, Termios};

/// Ctrl and `]`, which ends the connection, as in telnet.
pub const LEAVE: u8 = 0x1d;

/// Standard input in raw mode, restored when dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> io::Result<Self> {
        let saved = termios::tcgetattr(io::stdin())?;
        let mut raw = saved.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self(saved))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.0); // a lost terminal needs no repair
    }
}

/// Passes keys to `stream` and what comes from it to the screen until [`LEAVE`] is pressed or either side ends.
///
/// # Errors
/// When standard input is no terminal, or a side fails.
pub fn attach(mut stream: UnixStream) -> io::Result<()> {
    let _raw = Raw::enter()?;
    let (mut stdin, mut stdout) = (io::stdin(), io::stdout());
    let mut chunk = [0; 4096];
    loop {
        let mut fds = [stdin.as_fd(), stream.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut fds, PollTimeout::NONE)?; // waits for a person: there is no limit to that
        let [keys, text] = [fds[0].any().unwrap_or(false), fds[1].any().unwrap_or(false)];
        if text {
            let n = stream.read(&mut chunk)?;
            if n == 0 {
                return Ok(());
            }
            stdout.write_all(&chunk[..n])?;
            stdout.flush()?;
        }
        if keys {
            let n = stdin.read(&mut chunk)?;
            let typed = &chunk[..n];
            let upto = typed.iter().position(|b| *b == LEAVE);
            stream.write_all(&typed[..upto.unwrap_or(n)])?;
            if n == 0 || upto.is_some() {
                return Ok(());
            }
        }
    }
}
