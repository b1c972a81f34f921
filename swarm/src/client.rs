//! Fetching an image: the picker's word carried out by a few threads over HTTP, and what is there given to neighbours
//! until the [`Seeder`] is dropped.

mod ask;
mod http;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::bitmap::Bitmap;
use crate::picker::{Job, Limits, Next, Outcome, Picker, Tally, Task, Where};
use crate::server::Server;
use crate::store::Image;
use http::Http;

/// What a fetch is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Install masters, `http://address:port`; the first is asked first, another when it does not answer.
    pub masters: Vec<String>,
    /// Where the image lies at a source that has the whole release.
    pub path: String,
    /// Our address that neighbours are served on; `None`: nobody is served.
    pub listen: Option<IpAddr>,
    /// What is done at a time.
    pub limits: Limits,
    /// Of all choices.
    pub seed: u64,
    /// How long no chunk at all may come before it is given up.
    pub patience: Duration,
}

impl Options {
    /// Of these masters, serving neighbours on `listen`.
    #[must_use]
    pub fn new(masters: Vec<String>, listen: Option<IpAddr>, seed: u64) -> Self {
        let patience = Duration::from_secs(60);
        Self { masters, path: "/release/root".to_owned(), listen, limits: Limits::default(), seed, patience }
    }
}

/// Why an image was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The master knows nothing of chunks, or of this image; it may have it as a whole.
    #[error("{0} hands out no chunks of this image ({1})")]
    NoTracker(String, String),
    /// Nothing comes any more.
    #[error(
        "no chunk came from the install master or from neighbours for {0} s; look at the master and the cables between"
    )]
    Stalled(u64),
    /// It cannot be written.
    #[error("a chunk cannot be written")]
    Store(#[source] std::io::Error),
    /// What the master itself sends is wrong, again and again.
    #[error("the image of {0} is not the release's: its disk or memory is defective")]
    Damaged(String),
    /// The system gave no thread or socket.
    #[error("the system gives no {0}")]
    System(&'static str, #[source] std::io::Error),
}

/// Serves what was fetched, and tells the master so, until it is dropped.
pub struct Seeder {
    shared: Arc<Shared>,
    /// Where it came from.
    pub tally: Tally,
    /// Neighbours that sent something else than they were asked for.
    pub liars: Vec<SocketAddr>,
}

impl Drop for Seeder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.turn.notify_all();
        self.shared.ended.notify_all();
        drop(self.shared.server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

struct Shared {
    image: Arc<Image>,
    http: Http,
    picker: Mutex<Picker>,
    /// Workers wait for something to do.
    turn: Condvar,
    /// Who fetches waits for the end, and who stays for the seeder's.
    ended: Condvar,
    failure: Mutex<Option<FetchError>>,
    stop: AtomicBool,
    start: Instant,
    server: Mutex<Option<Server>>,
}

/// How often a finished machine tells the master that it is still there.
const STILL_HERE: Duration = Duration::from_secs(3);
/// Wrong chunks from the master after which its image is called damaged.
const MASTER_WRONG: u32 = 5;

/// Fetches all of `image`; `moved` is told the bytes that are there.
///
/// # Errors
/// [`FetchError`]. What was fetched until then is in the store.
pub fn fetch(
    image: &Arc<Image>,
    options: &Options,
    moved: &mut dyn FnMut(u64),
) -> Result<Seeder, FetchError> {
    let listener = options.listen.and_then(|ip| match TcpListener::bind((ip, 0)) {
        Ok(listener) => Some(listener),
        Err(e) => {
            tracing::warn!("nothing is passed on to neighbours: {e}");
            None
        }
    });
    let port = listener.as_ref().and_then(|l| Some(l.local_addr().ok()?.port())).unwrap_or(0);
    let mut picker = Picker::new(image.digest(), image.have(), port, options.limits, options.seed);
    let http = Http::new(options, port);
    let first = http.announce(&picker.report(0), Duration::from_secs(10));
    let neighbours = first.map_err(|e| FetchError::NoTracker(http.master(), e.to_string()))?;
    picker.primed(neighbours);
    let shared = Arc::new(Shared {
        image: image.clone(),
        http,
        picker: Mutex::new(picker),
        turn: Condvar::new(),
        ended: Condvar::new(),
        failure: Mutex::new(None),
        stop: AtomicBool::new(false),
        start: Instant::now(),
        server: Mutex::new(None),
    });
    if let Some(listener) = listener {
        let met = met(&shared);
        let server =
            Server::start(listener, image.clone(), met).map_err(|e| FetchError::System("thread", e))?;
        *shared.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
    }
    let threads = options.limits.chunks + options.limits.questions + 1;
    for _ in 0..threads {
        let shared = shared.clone();
        let work = move || shared.work();
        thread::Builder::new()
            .name("fetch".to_owned())
            .stack_size(512 << 10)
            .spawn(work)
            .map_err(|e| FetchError::System("thread", e))?;
    }
    // From here on, whichever way it ends, the threads end with it.
    let mut seeder = Seeder { shared: shared.clone(), tally: Tally::default(), liars: Vec::new() };
    shared.watch(options.patience, moved)?;
    {
        let picker = shared.picker();
        (seeder.tally, seeder.liars) = (picker.tally(), picker.liars());
    }
    let stays = shared.clone();
    let told = thread::Builder::new().name("seed".to_owned()).spawn(move || stays.stay());
    told.map_err(|e| FetchError::System("thread", e))?;
    Ok(seeder)
}

/// What the server tells of those who ask. It holds no part of us alive.
fn met(shared: &Arc<Shared>) -> crate::server::Met {
    let weak: Weak<Shared> = Arc::downgrade(shared);
    Box::new(move |address, have: Bitmap| {
        if let Some(shared) = weak.upgrade() {
            shared.picker().learn(&Where::Machine(address), have);
            shared.turn.notify_one();
        }
    })
}

impl Shared {
    fn picker(&self) -> MutexGuard<'_, Picker> {
        self.picker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fail(&self, error: FetchError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
        self.turn.notify_all();
        self.ended.notify_all();
    }

    /// Passes progress on until all is there.
    fn watch(&self, patience: Duration, moved: &mut dyn FnMut(u64)) -> Result<(), FetchError> {
        let mut picker = self.picker();
        loop {
            let have = picker.have().clone();
            let idle = self.now().saturating_sub(picker.progress());
            drop(picker);
            let chunk = u64::from(self.image.list().chunk());
            moved((have.count() as u64 * chunk).min(self.image.list().size()));
            if let Some(failure) = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(failure);
            }
            if have.is_full() {
                return Ok(());
            }
            if u128::from(idle) >= patience.as_millis() {
                return Err(FetchError::Stalled(patience.as_secs()));
            }
            picker = self.picker();
            if !picker.have().is_full() {
                let wait = self.ended.wait_timeout(picker, Duration::from_millis(200));
                picker = wait.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// A worker's life.
    fn work(&self) {
        let mut picker = self.picker();
        while !self.stopped() {
            match picker.next(self.now()) {
                Next::Done => {
                    self.ended.notify_all();
                    return self.turn.notify_all();
                }
                Next::Wait(ms) => {
                    let wait = self.turn.wait_timeout(picker, Duration::from_millis(ms.max(5)));
                    picker = wait.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Do(job) => {
                    drop(picker);
                    self.turn.notify_one(); // there may be more to do: one after the other looks, not all at once
                    let outcome = self.perform(&job);
                    picker = self.picker();
                    picker.finished(self.now(), job.id, outcome);
                }
            }
        }
    }

    fn perform(&self, job: &Job) -> Outcome {
        let limit = Duration::from_millis(job.limit);
        match &job.task {
            Task::Announce => {
                let report = self.picker().report(self.now());
                match self.http.announce(&report, limit) {
                    Ok(neighbours) => Outcome::Neighbours(neighbours),
                    Err(e) => self.master_failed(&e),
                }
            }
            Task::Master => self.ask_master(job.id, limit),
            Task::Chunk(place, index) => self.ask_neighbour(place, *index, limit),
            Task::Question(place, count) => match self.http.question(place, *count, limit) {
                Ok(have) => {
                    self.learn(place, have.as_deref());
                    Outcome::News
                }
                Err(_) => Outcome::Failed,
            },
        }
    }

    /// Tells the master from time to time that neighbours can still be served.
    fn stay(&self) {
        let mut report = self.picker().report(self.now());
        while !self.stopped() {
            report.have = self.image.have().hex();
            (report.coming, report.stuck) = (String::new(), false);
            if let Err(e) = self.http.announce(&report, STILL_HERE) {
                tracing::debug!("the install master: {e}");
                self.http.another_master();
            }
            if self.stopped() {
                return;
            }
            drop(self.ended.wait_timeout(self.picker(), STILL_HERE));
        }
    }
}

/// The address of ours that a master at `url` (`http://address:port`) is reached from.
///
/// # Errors
/// Where it is not reached by any.
pub fn address_towards(url: &str) -> std::io::Result<IpAddr> {
    let invalid = || std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("{url} is no address"));
    let authority =
        url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).ok_or_else(invalid)?;
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(authority)?; // sends nothing: it only chooses the way
    Ok(socket.local_addr()?.ip())
}
