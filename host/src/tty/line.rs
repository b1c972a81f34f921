//! One terminal: raw mode, a queue of what it has not taken yet, and its size.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, SetArg, Termios};

use super::ESCAPE_LIMIT;

/// Most bytes that wait for one terminal; a whole screen of 200 by 60 with colours is a third of it.
const MOST: usize = 64 << 10;
/// Bytes in the kernel's buffer that a line of 9600 baud sends in a quarter of a second.
const BLINK: libc::c_int = 256;
/// How long a terminal that hung up is left alone.
const REST: Duration = Duration::from_secs(5);
/// Sizes that a terminal may claim: columns, rows.
const SMALLEST: (u16, u16) = (80, 24);
const LARGEST: (u16, u16) = (240, 100);

pub(super) struct Line {
    pub(super) path: PathBuf,
    pub(super) file: File,
    saved: Termios,
    /// What was received and is not decoded yet, and when the last of it came.
    pub(super) pending: Vec<u8>,
    pub(super) heard: Instant,
    /// When an Escape by itself was last taken from it.
    pub(super) escaped: Option<Instant>,
    queued: Vec<u8>,
    /// Output was thrown away.
    pub(super) lost: bool,
    /// It has not taken anything for longer than a writer would wait.
    pub(super) stuck: bool,
    /// The size that the terminal itself told.
    pub(super) told: Option<(u16, u16)>,
    gone: Option<Instant>,
}

impl Line {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let saved = termios::tcgetattr(&file)?;
        set_raw(&file, &saved)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            saved,
            pending: Vec::new(),
            heard: Instant::now(),
            escaped: None,
            queued: Vec::new(),
            lost: false,
            stuck: false,
            told: None,
            gone: None,
        })
    }

    /// Queues `bytes`. Where they do not fit, nothing that waits is worth anything any more.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        if self.queued.len() + bytes.len() > MOST {
            self.queued.clear();
            self.lost = true;
        } else {
            self.queued.extend_from_slice(bytes);
        }
    }

    /// Sends what the terminal takes without waiting.
    pub(super) fn pump(&mut self) {
        while !self.queued.is_empty() && self.is_live() {
            match self.file.write(&self.queued) {
                Ok(0) => return,
                Ok(n) => {
                    self.queued.drain(..n);
                    self.stuck = false;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.leave(),
            }
        }
    }

    pub(super) fn backlog(&self) -> usize {
        self.queued.len()
    }

    pub(super) fn is_queued(&self) -> bool {
        !self.queued.is_empty() && self.gone.is_none()
    }

    /// Whether nothing waits here, and hardly anything in the kernel.
    pub(super) fn is_drained(&self) -> bool {
        let mut waiting: libc::c_int = 0;
        // SAFETY: TIOCOUTQ (ioctl_tty(2)) writes one int, to a place that outlives the call; the descriptor is ours.
        #[allow(unsafe_code)]
        let known = unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) } == 0;
        self.queued.is_empty() && (!known || waiting <= BLINK)
    }

    /// Reads what has come in.
    pub(super) fn fill(&mut self) {
        let mut chunk = [0; 256];
        match self.file.read(&mut chunk) {
            Ok(n @ 1..) => {
                self.pending.extend_from_slice(&chunk[..n]);
                self.heard = Instant::now();
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(_) | Err(_) => self.leave(),
        }
    }

    /// Whether what has begun to come in should have ended by now.
    pub(super) fn is_overdue(&self) -> bool {
        self.heard.elapsed() >= ESCAPE_LIMIT
    }

    /// Reads what has come in, if anything has.
    pub(super) fn fill_ready(&mut self) {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        if matches!(poll(&mut fds, PollTimeout::ZERO), Ok(1..)) {
            self.fill();
        }
    }

    /// Whether it is worth a try; one that hung up is, from time to time.
    fn is_live(&mut self) -> bool {
        if self.gone.is_some_and(|since| since.elapsed() >= REST) {
            self.reopen();
        }
        self.gone.is_none()
    }

    /// What hung up stays so for whoever had it open, the end of a shell's session included (vhangup(2)); whoever opens
    /// it anew has a terminal.
    fn reopen(&mut self) {
        match open(&self.path) {
            Ok(file) => {
                let _ = set_raw(&file, &self.saved); // a terminal that is lost again shows at its next use
                (self.file, self.gone, self.lost) = (file, None, true);
            }
            Err(_) => self.leave(),
        }
    }

    /// The line, where it is live.
    pub(super) fn live(&mut self) -> Option<&mut Self> {
        self.is_live().then_some(self)
    }

    /// The terminal hung up: it is not asked again for a while, or the loop would do nothing else.
    fn leave(&mut self) {
        self.gone = Some(Instant::now());
        self.queued.clear();
        self.pending.clear();
        self.lost = true;
    }

    /// Columns and rows: the kernel's word (a virtual terminal), else the terminal's own.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: TIOCGWINSZ (ioctl_tty(2)) writes one winsize, to a place that outlives the call; the descriptor is ours.
        #[allow(unsafe_code)]
        let known = unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) } == 0;
        let kernel = (known && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row));
        let (columns, rows) = kernel.or(self.told)?;
        Some((columns.clamp(SMALLEST.0, LARGEST.0), rows.clamp(SMALLEST.1, LARGEST.1)))
    }

    /// Puts the terminal back as it was found.
    pub(super) fn restore(&mut self) {
        // Never TCSADRAIN: it waits for a line that takes nothing. A lost terminal shows at its next use.
        let _ = termios::tcsetattr(&self.file, SetArg::TCSANOW, &self.saved);
    }

    /// Takes it again after somebody else used it.
    pub(super) fn take_back(&mut self) {
        self.pending.clear();
        self.queued.clear();
        self.reopen();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.restore();
        // Closing a serial line waits for its output, 30 seconds unless told otherwise; what it has not taken is gone.
        if !self.queued.is_empty() || self.stuck {
            let _ = termios::tcflush(&self.file, termios::FlushArg::TCOFLUSH); // nothing left to tell it to
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits();
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)
}

fn set_raw(file: &File, saved: &Termios) -> io::Result<()> {
    let mut raw = saved.clone();
    termios::cfmakeraw(&mut raw);
    termios::tcsetattr(file, SetArg::TCSANOW, &raw)?;
    Ok(())
}
