//! Clients that read, write and swap values through the API for as long as a test lasts, and the book of what they were
//! told. Each value is a number in the power settings of a machine that there is not: its hardware address is the key, and
//! the address that its magic packet is sent to says the number. A version tag makes a write a swap.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::linear::{Act, Op, linearizable};
use crate::pace;
use crate::seeded::Seeded;
use anyhow::{Context, bail};
use maekin_api::power::{Method, PowerInfo, PowerSettings, SetPower};

/// Operations on one key before the clients go on to the next: the checker's time grows with their number.
const PER_KEY: u64 = 40;
/// What a client pauses between two operations, and after one that was not answered.
const PAUSE: Duration = Duration::from_millis(100);
const AFTER_NONE: Duration = Duration::from_millis(200);
/// How long the values may take to be read at the end.
const LIMIT: Duration = Duration::from_secs(60);

/// What all clients share.
#[derive(Default)]
struct Book {
    /// What they pause between two operations, and after one that was not answered.
    pauses: [Duration; 2],
    /// Sets the keys of these clients apart from those of others in the same rack.
    series: u16,
    /// Counts operations.
    count: AtomicU64,
    /// Moments, in order.
    clock: AtomicU64,
    answered: AtomicU64,
    acknowledged: AtomicU64,
    over: Mutex<bool>,
    told: Condvar,
    ops: Mutex<Vec<(u64, Op)>>,
    /// Answers that nobody may give.
    wrong: Mutex<Vec<String>>,
}

/// What an operation came to.
enum Came<T> {
    /// This was answered.
    Answer(T),
    /// Nothing that says whether it was done.
    Nothing,
}

/// Clients at work.
pub struct Writers {
    book: Arc<Book>,
    threads: Vec<JoinHandle<()>>,
}

/// What was found at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Operations that were answered.
    pub answered: u64,
    /// Writes among them that were said to be done.
    pub acknowledged: u64,
    /// Writes of which nobody knows.
    pub lost: usize,
    /// Keys.
    pub keys: usize,
}

impl Book {
    fn path(&self, key: u64) -> String {
        path(self.series, key)
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&self, key: u64, act: Act, start: u64, answered: bool) {
        let end = answered.then(|| self.tick());
        if answered {
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        if answered || !matches!(act, Act::Read(_)) {
            lock(&self.ops).push((key, Op { act, start, end }));
        }
    }

    /// Waits; true when it is over.
    fn pause(&self, time: Duration) -> bool {
        let over = lock(&self.over);
        let waited = self.told.wait_timeout_while(over, time, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Reads a value; with its tag.
    fn read(&self, api: &Api, key: u64) -> Came<(Option<u64>, Option<String>)> {
        let start = self.tick();
        let Ok(answer) = api.ask("GET", &self.path(key), None, "") else { return Came::Nothing };
        let seen = match answer.status {
            200 => match serde_json::from_str::<PowerInfo>(&answer.body) {
                Ok(info) => Some(number(&info.settings)),
                Err(e) => return self.wrong(&format!("GET {}: {e}: {}", self.path(key), answer.body)),
            },
            404 => None,
            429 | 500.. => return Came::Nothing,
            status => return self.wrong(&format!("GET {}: {status}: {}", self.path(key), answer.body)),
        };
        self.note(key, Act::Read(seen), start, true);
        Came::Answer((seen, answer.etag))
    }

    /// Writes a value, or where `swap` says what was read, only over that.
    fn write(&self, api: &Api, key: u64, new: u64, swap: Option<(Option<u64>, &str)>) -> Came<()> {
        let start = self.tick();
        let answer = api.ask("PUT", &self.path(key), swap.map(|(_, tag)| tag), &body(new));
        let act = |hit| match swap {
            Some((old, _)) => Act::Swap { old, new, hit },
            None => Act::Write(new),
        };
        match answer.as_ref().map(|answer| answer.status) {
            Ok(200) => {
                self.acknowledged.fetch_add(1, Ordering::SeqCst);
                self.note(key, act(true), start, true);
                Came::Answer(())
            }
            Ok(412) if swap.is_some() => {
                self.note(key, act(false), start, true);
                Came::Answer(())
            }
            Ok(429 | 500..) | Err(_) => {
                self.note(key, act(false), start, false);
                Came::Nothing
            }
            Ok(status) => self.wrong(&format!("PUT {}: {status}: {answer:?}", self.path(key))),
        }
    }

    fn wrong<T>(&self, what: &str) -> Came<T> {
        let mut wrong = lock(&self.wrong);
        if wrong.len() < 20 {
            wrong.push(what.to_owned());
        }
        Came::Nothing
    }

    /// One operation, or a read and a swap; whether it was answered.
    fn one(&self, api: &Api, seeded: &mut Seeded) -> bool {
        let n = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let (key, kind) = (n / PER_KEY, seeded.below(3));
        if kind == 0 {
            return matches!(self.write(api, key, n, None), Came::Answer(()));
        }
        match self.read(api, key) {
            Came::Nothing => false,
            Came::Answer((seen, Some(tag))) if kind == 1 => {
                matches!(self.write(api, key, n, Some((seen, &tag))), Came::Answer(()))
            }
            Came::Answer(_) => true,
        }
    }

    fn client(&self, apis: &[Api], mut at: usize, mut seeded: Seeded) {
        while let Some(api) = apis.get(at % apis.len().max(1)) {
            let answered = self.one(api, &mut seeded);
            if !answered {
                at += 1; // as a person would, it asks another node
            }
            let [between, after_none] = self.pauses;
            if self.pause(if answered { between } else { after_none }) {
                return;
            }
        }
    }
}

impl Writers {
    /// Starts so many clients, each at one of the nodes, and at the next one when that does not answer. In one rack, each
    /// time with another seed: it names the keys, too.
    #[must_use]
    pub fn start(clients: usize, apis: &[Api], seed: u64) -> Self {
        Self::paced(clients, apis, seed, [PAUSE, AFTER_NONE])
    }

    /// The same for nodes that are slow: clients pause so long between two operations, and after one that was not answered.
    #[must_use]
    pub fn paced(clients: usize, apis: &[Api], seed: u64, pauses: [Duration; 2]) -> Self {
        let series = u16::try_from(seed & 0xffff).unwrap_or(0); // it is below that
        let book = Arc::new(Book { series, pauses, ..Book::default() });
        let client = |n: usize| {
            let (book, apis) = (Arc::clone(&book), apis.to_vec());
            let seeded = Seeded::new(seed ^ ((n as u64 + 1) << 32));
            thread::spawn(move || book.client(&apis, n, seeded))
        };
        Self { threads: (0..clients).map(client).collect(), book }
    }

    /// Writes that were said to be done so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.book.acknowledged.load(Ordering::SeqCst)
    }

    /// Waits until so many more were; how long that took.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub fn progress(&self, more: u64, limit: Duration) -> anyhow::Result<Duration> {
        let (begun, goal) = (Instant::now(), self.acknowledged() + more);
        let there = || (self.acknowledged() >= goal).then_some(());
        pace::until("writes to be acknowledged", limit, Duration::from_millis(20), there)?;
        Ok(begun.elapsed())
    }

    /// Ends the clients, reads every value once more from `api`, and checks all that was seen.
    ///
    /// # Errors
    /// What cannot have happened, or should not have been answered.
    pub fn finish(self, api: &Api) -> anyhow::Result<Verdict> {
        *lock(&self.book.over) = true;
        self.book.told.notify_all();
        for thread in self.threads {
            if thread.join().is_err() {
                bail!("a client ended early");
            }
        }
        let book = self.book;
        for key in 0..=book.count.load(Ordering::SeqCst) / PER_KEY {
            let read = || matches!(book.read(api, key), Came::Answer(_)).then_some(());
            pace::until("a value to be read", LIMIT, AFTER_NONE, read).with_context(|| book.path(key))?;
        }
        let wrong = lock(&book.wrong);
        if !wrong.is_empty() {
            bail!("answers that nobody may give: {}", wrong.join("\n"));
        }
        let ops = lock(&book.ops);
        let keys: BTreeSet<u64> = ops.iter().map(|(key, _)| *key).collect();
        for key in &keys {
            let of: Vec<Op> = ops.iter().filter(|(k, _)| k == key).map(|(_, op)| *op).collect();
            if !linearizable(&of) {
                bail!("no order explains what was seen of {}: {of:#?}", book.path(*key));
            }
        }
        Ok(Verdict {
            answered: book.answered.load(Ordering::SeqCst),
            acknowledged: book.acknowledged.load(Ordering::SeqCst),
            lost: ops.iter().filter(|(_, op)| op.end.is_none()).count(),
            keys: keys.len(),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the value of a key is.
fn path(series: u16, key: u64) -> String {
    let ([a, b], [.., c, d]) = (series.to_be_bytes(), key.to_be_bytes());
    maekin_api::MACHINE_POWER.replace("{machine}", &format!("02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
}

/// What is sent to have it be this number; below 2^24.
fn body(n: u64) -> String {
    let [.., b, c, d] = n.to_be_bytes();
    let broadcast = Some(Ipv4Addr::new(10, b, c, d));
    let settings = PowerSettings { broadcast, ..PowerSettings::new(Method::WakeOnLan) };
    // Plain fields always serialize.
    serde_json::to_string(&SetPower { settings, password: String::new().into() }).unwrap_or_default()
}

fn number(settings: &PowerSettings) -> u64 {
    let [_, b, c, d] = settings.broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED).octets();
    u64::from(u32::from_be_bytes([0, b, c, d]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembly_a_number_is_read_as_it_was_written() {
        for n in [0, 1, 255, 256, 70_000, (1 << 24) - 1] {
            let set: SetPower = serde_json::from_str(&body(n)).unwrap();
            assert_eq!(number(&set.settings), n);
        }
        assert_eq!(path(1, 300), "/v1/machines/02:00:00:01:01:2c/power");
    }
}
