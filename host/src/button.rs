//! The machine's power button, while somebody waits for it to be pressed.
//!
//! Buttons are input devices (Documentation/input/event-codes.rst, `KEY_POWER`). While they are held here nobody else
//! hears them (`EVIOCGRAB`), so a press does not switch the machine off. They are let go when the value is dropped, or
//! when the process ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Code of the power key (linux/input-event-codes.h).
const KEY_POWER: u16 = 116;
/// Code of a letter, which every keyboard has.
const KEY_A: u16 = 30;
/// The bus of what firmware itself describes (linux/input.h), as sysfs writes it.
const BUS_HOST: &str = "0019";
/// Type of an event that is a key.
const EV_KEY: u16 = 1;
/// Bytes of a `struct input_event` with 64-bit times (linux/input.h).
const EVENT: usize = 24;
/// `EVIOCGRAB`: `_IOW('E', 0x90, int)`.
const EVIOCGRAB: libc::c_ulong = 0x4004_4590;
/// How often it is looked whether the wait was called off.
const LOOK: Duration = Duration::from_millis(200);

/// The power button cannot be waited for.
#[derive(Debug, thiserror::Error)]
pub enum ButtonError {
    /// The machine shows none to the system.
    #[error("this machine shows no power button to the system (none that its firmware describes)")]
    None,
    /// One could not be taken.
    #[error("cannot hold the power button {}", path.display())]
    Hold {
        /// Its device node.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Listening failed.
    #[error("cannot listen to the power button")]
    Listen(#[source] io::Error),
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The button was pressed.
    Pressed,
    /// Not in time.
    Late,
    /// The wait was called off.
    CalledOff,
}

/// Every power button of the machine, held.
#[derive(Debug)]
pub struct Buttons {
    files: Vec<File>,
}

impl Buttons {
    /// Takes every power button; from now on a press does nothing else.
    ///
    /// # Errors
    /// [`ButtonError`], also where one of several cannot be had: it would switch the machine off.
    pub fn hold() -> Result<Self, ButtonError> {
        let paths = nodes(Path::new("/sys/class/input"));
        let files = paths.iter().map(|path| {
            open(path).and_then(grab).map_err(|source| ButtonError::Hold { path: path.clone(), source })
        });
        let files = files.collect::<Result<Vec<File>, ButtonError>>()?;
        if files.is_empty() { Err(ButtonError::None) } else { Ok(Self { files }) }
    }

    /// Waits at most `limit` for a press that begins from now on.
    ///
    /// # Errors
    /// [`ButtonError::Listen`].
    pub fn wait(
        &mut self,
        limit: Duration,
        mut called_off: impl FnMut() -> bool,
    ) -> Result<Outcome, ButtonError> {
        let deadline = Instant::now() + limit;
        let mut pending: Vec<Vec<u8>> = vec![Vec::new(); self.files.len()];
        loop {
            if called_off() {
                return Ok(Outcome::CalledOff);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Outcome::Late);
            }
            let mut fds: Vec<_> =
                self.files.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(left.min(LOOK)).unwrap_or(PollTimeout::ZERO);
            match poll(&mut fds, timeout) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(ButtonError::Listen(e.into())),
            }
            for (file, pending) in self.files.iter_mut().zip(&mut pending) {
                if read(file, pending).map_err(ButtonError::Listen)? {
                    return Ok(Outcome::Pressed);
                }
            }
        }
    }
}

/// Device nodes of the machine's power buttons, from a directory like `/sys/class/input`.
fn nodes(sys: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(sys).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("event"))
        .filter(|entry| {
            let read =
                |file: &str| fs::read_to_string(entry.path().join("device").join(file)).unwrap_or_default();
            is_button(&read("id/bustype"), &read("capabilities/key"))
        })
        .map(|entry| Path::new("/dev/input").join(entry.file_name()))
        .collect();
    found.sort();
    found
}

/// Whether a device is a button of the machine itself, from the bus that it is on and the keys that it has. A keyboard
/// may have a power key too, also one at the far end of a switch: that is no button of this machine.
fn is_button(bus: &str, keys: &str) -> bool {
    bus.trim() == BUS_HOST && has_key(keys, KEY_POWER) && !has_key(keys, KEY_A)
}

/// Whether the keys that a device has (words of 64 bits in hex, the highest first) have `code` among them.
fn has_key(keys: &str, code: u16) -> bool {
    let word = keys.split_whitespace().rev().nth(usize::from(code / 64));
    word.and_then(|word| u64::from_str_radix(word, 16).ok()).is_some_and(|word| word >> (code % 64) & 1 == 1)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits()).open(path)
}

fn grab(file: File) -> io::Result<File> {
    // SAFETY: EVIOCGRAB takes an int by value, not by address (drivers/input/evdev.c, evdev_do_ioctl); the descriptor
    // is ours.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(file.as_raw_fd(), EVIOCGRAB, 1) };
    if result == 0 { Ok(file) } else { Err(io::Error::last_os_error()) }
}

/// Reads what there is; says whether the button was pressed.
fn read(file: &mut File, pending: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; EVENT * 16];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => pending.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        }
        if take_events(pending) {
            return Ok(true);
        }
    }
}

/// Takes whole events off the front; whether one of them is the power key going down.
fn take_events(bytes: &mut Vec<u8>) -> bool {
    let whole = bytes.len() - bytes.len() % EVENT;
    let pressed = bytes[..whole].chunks_exact(EVENT).any(|event| {
        let word = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
        let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
        (word(16), word(18), value) == (EV_KEY, KEY_POWER, 1)
    });
    bytes.drain(..whole);
    pressed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn console_keys_of_a_device_are_read_as_the_kernel_writes_them() {
        let keyboard = "3 0 0 0 0 0 1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe";
        let rows = [
            ("ACPI power button", "0019\n", "10000000000000 0\n", true),
            ("keyboard, which has a power key", "0011", keyboard, false),
            ("keyboard of firmware", "0019", keyboard, false),
            ("the power key of a USB keyboard", "0003", "10000000000000 0", false),
            ("sleep button", "0019", "4000 0 0", false),
            ("lid", "0019", "0", false),
            ("none", "", "", false),
            ("no hex", "0019", "zz zz", false),
        ];
        for (name, bus, keys, want) in rows {
            assert_eq!(is_button(bus, keys), want, "{name}");
        }
        assert!(has_key(keyboard, KEY_POWER), "or the row proves nothing");
    }

    #[test]
    fn console_only_the_power_key_going_down_is_a_press() {
        let rows = [
            ("pressed", event(EV_KEY, KEY_POWER, 1), true),
            ("let go", event(EV_KEY, KEY_POWER, 0), false),
            ("held", event(EV_KEY, KEY_POWER, 2), false),
            ("another key", event(EV_KEY, 30, 1), false),
            ("no key", event(4, KEY_POWER, 1), false),
            ("after others", [event(0, 0, 0), event(EV_KEY, KEY_POWER, 1)].concat(), true),
            ("half of one", event(EV_KEY, KEY_POWER, 1)[..20].to_vec(), false),
        ];
        for (name, mut bytes, want) in rows {
            assert_eq!(take_events(&mut bytes), want, "{name}");
            assert!(bytes.len() < EVENT, "{name}");
        }
    }

    /// A pipe in place of the device.
    fn pipe() -> (Buttons, File) {
        let (read, write) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        (Buttons { files: vec![read.into()] }, write.into())
    }

    #[test]
    fn console_a_wait_ends_with_a_press_in_time_or_when_called_off() {
        let (mut buttons, mut device) = pipe();
        device.write_all(&event(EV_KEY, 30, 1)).unwrap();
        assert_eq!(buttons.wait(Duration::from_millis(30), || false).unwrap(), Outcome::Late);
        device.write_all(&event(EV_KEY, KEY_POWER, 1)).unwrap();
        assert_eq!(buttons.wait(Duration::from_secs(10), || false).unwrap(), Outcome::Pressed);
        assert_eq!(buttons.wait(Duration::from_secs(10), || true).unwrap(), Outcome::CalledOff);
        drop(device);
        assert!(
            buttons.wait(Duration::from_secs(10), || false).is_err(),
            "a device that is gone is no press"
        );
    }

    #[test]
    fn console_buttons_are_found_by_their_key() {
        let dir = tempfile::tempdir().unwrap();
        for (name, keys) in [("event1", "10000000000000 0"), ("event0", "0"), ("input1", "10000000000000 0")]
        {
            let device = dir.path().join(name).join("device");
            fs::create_dir_all(device.join("capabilities")).unwrap();
            fs::create_dir_all(device.join("id")).unwrap();
            fs::write(device.join("capabilities/key"), keys).unwrap();
            fs::write(device.join("id/bustype"), "0019\n").unwrap();
        }
        assert_eq!(nodes(dir.path()), [Path::new("/dev/input/event1")]);
        assert!(nodes(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn console_what_is_no_input_device_is_not_held() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(grab(open(file.path()).unwrap()).is_err());
    }
}
