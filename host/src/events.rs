//! Waiting for something to happen to block devices or arrays, without asking all the time: the kernel's and udev's
//! messages (netlink(7), `NETLINK_KOBJECT_UEVENT`) and `/proc/mdstat`, which can be polled for changes (md(4)).

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// Multicast groups: 1 is the kernel's, 2 is udev's after it has made the device nodes and links.
const GROUPS: u32 = 1 | 2;
/// Longest message (the kernel's own limit is 2 KiB, udev's messages carry more).
const MESSAGE: usize = 8 << 10;
/// What every message about a block device has.
const BLOCK: &[u8] = b"SUBSYSTEM=block\0";

/// Sources of news about block devices. A source that cannot be opened is left out: then only the limit of
/// [`Events::wait`] wakes.
#[derive(Debug)]
pub struct Events {
    netlink: Option<OwnedFd>,
    mdstat: Option<File>,
    called: Option<PipeReader>,
}

/// Ends a [`Events::wait`] from elsewhere.
#[derive(Debug)]
pub struct Waker(PipeWriter);

impl Waker {
    /// Ends the wait that goes on, or the next one; that is no news of a device. Whoever calls again before the wait
    /// ended must not: thousands of calls that nobody heard would keep the caller waiting.
    pub fn wake(&self) {
        if let Err(e) = (&self.0).write_all(&[1]) {
            tracing::debug!(error = %e, "nobody waits for news of devices any more");
        }
    }
}

impl Events {
    /// Opens what there is.
    #[must_use]
    pub fn open() -> Self {
        let netlink = listen().inspect_err(|e| tracing::warn!(error = %e, "no news of devices")).ok();
        let mdstat = File::open(Path::new("/proc/mdstat")).ok(); // absent where there is no md
        Self { netlink, mdstat, called: None }
    }

    /// The same, with something that ends a wait.
    ///
    /// # Errors
    /// The kernel's, where it has no pipe left.
    pub fn open_with_waker() -> io::Result<(Self, Waker)> {
        let (called, waker) = io::pipe()?;
        Ok((Self { called: Some(called), ..Self::open() }, Waker(waker)))
    }

    /// Waits until something happened to a block device or an array, or somebody calls, at most `limit`; true when
    /// something did happen.
    pub fn wait(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.poll(left) {
                Heard::News => return true,
                Heard::Call => return false,
                Heard::Nothing if left.is_zero() => return false,
                Heard::Nothing => {}
            }
        }
    }

    /// One poll, and what it brought. What is no news (a message about a mouse) uses up some of the time.
    fn poll(&mut self, left: Duration) -> Heard {
        let mut fds = Vec::with_capacity(3);
        if let Some(netlink) = &self.netlink {
            fds.push(PollFd::new(netlink.as_fd(), PollFlags::POLLIN));
        }
        if let Some(mdstat) = &self.mdstat {
            fds.push(PollFd::new(mdstat.as_fd(), PollFlags::POLLPRI));
        }
        if let Some(called) = &self.called {
            fds.push(PollFd::new(called.as_fd(), PollFlags::POLLIN));
        }
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if !matches!(poll(&mut fds, timeout), Ok(1..)) {
            return Heard::Nothing;
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        let mut hits = fds.iter().map(ready).collect::<Vec<_>>().into_iter();
        let netlink_hit = self.netlink.is_some() && hits.next().unwrap_or(false);
        let mdstat_hit = self.mdstat.is_some() && hits.next().unwrap_or(false);
        let called_hit = self.called.is_some() && hits.next().unwrap_or(false);
        let mut news = mdstat_hit;
        if netlink_hit && let Some(netlink) = &self.netlink {
            news |= drain(netlink);
        }
        if mdstat_hit && let Some(mdstat) = &mut self.mdstat {
            // Reading it to its end arms it again.
            let mut text = Vec::new();
            let _ = mdstat.seek(SeekFrom::Start(0)).and_then(|_| mdstat.read_to_end(&mut text));
        }
        if called_hit && let Some(called) = &mut self.called {
            // One read takes all calls; nothing is read where whoever could call is gone.
            match called.read(&mut [0; 64]) {
                Ok(1..) => {}
                Ok(0) | Err(_) => self.called = None,
            }
        }
        match (news, called_hit) {
            (true, _) => Heard::News,
            (false, true) => Heard::Call,
            (false, false) => Heard::Nothing,
        }
    }
}

/// What a poll brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    News,
    Call,
    Nothing,
}

fn listen() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkKObjectUEvent)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
    Ok(fd)
}

/// Takes in all messages that are there; true when one is about a block device, or some were lost.
fn drain(netlink: &OwnedFd) -> bool {
    let mut news = false;
    let mut message = [0; MESSAGE];
    loop {
        match recv(netlink.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Ok(n) => news |= is_block(&message[..n]),
            Err(nix::errno::Errno::ENOBUFS) => news = true,
            Err(_) => return news,
        }
    }
}

fn is_block(message: &[u8]) -> bool {
    message.windows(BLOCK.len()).any(|window| window == BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_block_devices_are_news() {
        assert!(is_block(b"add@/devices/x\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=vda\0"));
        assert!(is_block(b"libudev\0\xfe\xed\xca\xfe....ACTION=remove\0SUBSYSTEM=block\0"));
        for other in [&b""[..], b"SUBSYSTEM=block", b"add@/x\0SUBSYSTEM=blockade\0", b"SUBSYSTEM=net\0"] {
            assert!(!is_block(other), "{other:?}");
        }
    }

    #[test]
    fn waiting_ends_at_its_limit() {
        let start = Instant::now();
        let mut events = Events::open();
        events.wait(Duration::from_millis(30));
        assert!(start.elapsed() < Duration::from_secs(10));
        let mut deaf = Events { netlink: None, mdstat: None, called: None };
        assert!(!deaf.wait(Duration::from_millis(5)));
    }

    #[test]
    fn waiting_ends_when_somebody_calls() {
        let (events, waker) = Events::open_with_waker().unwrap();
        let mut deaf = Events { netlink: None, mdstat: None, ..events };
        let start = Instant::now();
        waker.wake();
        waker.wake();
        assert!(!deaf.wait(Duration::from_secs(60)), "a call is no news of a device");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert!(!deaf.wait(Duration::from_millis(5)) && deaf.called.is_some(), "both calls were heard");
        drop(waker);
        assert!(!deaf.wait(Duration::from_millis(5)) && deaf.called.is_none(), "nobody calls any more");
        let (events, waker) = Events::open_with_waker().unwrap();
        drop(events);
        waker.wake();
    }
}
