//! Whether a drive answers: one small read past the cache every few seconds, by a thread of its own, because a drive that
//! hangs holds on to whoever reads it. An idle mirror would notice a dead drive only when something is written to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use maekin_host::direct;
use maekin_host::wait;

/// How often a drive is read.
const EVERY: Duration = Duration::from_secs(2);
/// How long a read may take before the drive counts as one that does not answer. With [`EVERY`] below ten seconds.
const LIMIT: Duration = Duration::from_secs(6);
/// Reads that fail one after the other before a drive counts as failing; they follow each other at once.
const FAILURES: u32 = 2;
/// Bytes of a read.
const READ: usize = 4096;
/// Reads go to so many places of the drive in turn.
const PLACES: u64 = 61;

/// What was last seen of a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// Not read yet.
    #[default]
    Unknown,
    /// It answers.
    Good,
    /// It says no.
    Failing(String),
    /// It says nothing.
    Silent(Duration),
}

#[derive(Debug, Default)]
struct State {
    /// Since when a read is under way.
    reading: Option<Instant>,
    failures: u32,
    error: String,
    read: bool,
}

/// The reader of one drive; it ends when this is dropped, at the latest when the drive answers.
#[derive(Debug)]
pub(crate) struct Reader {
    device: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Reader {
    /// Starts to read `device`, which has `size` bytes.
    pub(crate) fn start(device: &Path, size: u64) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let weak = Arc::downgrade(&state);
        let path = device.to_owned();
        let spawned = thread::Builder::new().name("pulse".to_owned()).spawn(move || run(&path, size, &weak));
        if let Err(e) = spawned {
            tracing::warn!(error = %e, "no thread to read a boot drive with");
        }
        Self { device: device.to_owned(), state }
    }

    /// The device that is read.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// What was last seen.
    pub(crate) fn pulse(&self) -> Pulse {
        judge(&self.state.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    }
}

fn judge(state: &State, now: Instant) -> Pulse {
    let waiting = state.reading.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
    if waiting > LIMIT {
        Pulse::Silent(waiting)
    } else if state.failures >= FAILURES {
        Pulse::Failing(state.error.clone())
    } else if state.read {
        Pulse::Good
    } else {
        Pulse::Unknown
    }
}

fn run(device: &Path, size: u64, shared: &Weak<Mutex<State>>) {
    let mut turn = 0;
    loop {
        let Some(failing) = read(device, offset(size, turn), shared) else { return };
        turn += 1;
        let pause = if failing { Duration::from_millis(300) } else { EVERY };
        // Waits for its time to pass, or for nobody to be interested any more.
        let gone = wait::until("the next read", pause, pause.min(Duration::from_millis(500)), || {
            (shared.strong_count() == 0).then_some(())
        });
        if gone.is_ok() {
            return;
        }
    }
}

/// One read; whether the drive has just begun to fail. `None` when nobody is interested any more.
fn read(device: &Path, offset: u64, shared: &Weak<Mutex<State>>) -> Option<bool> {
    let with = |change: &dyn Fn(&mut State)| {
        let state = shared.upgrade()?;
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        Some(())
    };
    with(&|state| state.reading = Some(Instant::now()))?;
    let outcome = direct::read_block(device, offset, READ);
    let error = outcome.err().map(|e| e.to_string());
    let again = std::cell::Cell::new(false);
    with(&|state| {
        state.reading = None;
        state.read = true;
        state.failures = if error.is_some() { state.failures.saturating_add(1) } else { 0 };
        state.error = error.clone().unwrap_or_default();
        again.set((1..FAILURES).contains(&state.failures));
    })?;
    Some(again.get())
}

/// Where the read number `turn` goes: all over the drive, on whole sectors, so that no cache holds all of them.
fn offset(size: u64, turn: u64) -> u64 {
    let sectors = size / READ as u64;
    (sectors / PLACES) * ((turn * 23) % PLACES) * READ as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_is_good_only_while_it_answers() {
        let now = Instant::now();
        let ago = |s| now.checked_sub(Duration::from_secs(s));
        let state = |reading, failures, read| State { reading, failures, error: "no".into(), read };
        let rows = [
            ("not read yet", state(None, 0, false), Pulse::Unknown),
            ("first read under way", state(ago(1), 0, false), Pulse::Unknown),
            ("read", state(None, 0, true), Pulse::Good),
            ("one error is tried again", state(None, 1, true), Pulse::Good),
            ("two errors", state(None, 2, true), Pulse::Failing("no".into())),
            ("slow", state(ago(5), 0, true), Pulse::Good),
            ("silent", state(ago(8), 0, true), Pulse::Silent(Duration::from_secs(8))),
        ];
        for (name, state, want) in rows {
            assert_eq!(judge(&state, now), want, "{name}");
        }
        assert!(EVERY + LIMIT < Duration::from_secs(10), "an alarm is due after ten seconds");
    }

    #[test]
    fn reads_go_all_over_the_drive_and_never_past_it() {
        let size = 10_u64 << 30;
        let mut seen: Vec<u64> = (0..PLACES).map(|turn| offset(size, turn)).collect();
        assert!(seen.iter().all(|at| at + READ as u64 <= size && at.is_multiple_of(READ as u64)));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len() as u64, PLACES);
        assert_eq!(offset(0, 5), 0);
    }

    #[test]
    fn a_device_that_is_not_there_fails_by_name() {
        let reader = Reader::start(Path::new("/nonexistent/vda"), 1 << 30);
        let pulse =
            wait::until("two failed reads", Duration::from_secs(20), Duration::from_millis(10), || {
                Some(reader.pulse()).filter(|p| matches!(p, Pulse::Failing(_)))
            });
        assert!(matches!(pulse, Ok(Pulse::Failing(e)) if e.contains("No such file")));
        assert_eq!(reader.device(), Path::new("/nonexistent/vda"));
    }
}
