//! A network of its own, and the thread that lives in it and does what it is sent. The network ends with the last of its
//! threads and processes.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use nix::sched::{CloneFlags, unshare};

use crate::pace;

/// How long a job may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

type Job = Box<dyn FnOnce() + Send>;

/// See the module.
pub struct Namespace {
    jobs: mpsc::Sender<Job>,
    /// Of the thread, by which ip(8) names its network.
    id: i32,
}

/// Moves the calling thread, and all that it starts from now on, into a network of its own.
///
/// # Errors
/// As unshare(2).
pub fn enter() -> anyhow::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace; that takes root")
}

impl Namespace {
    /// A new one, with nothing in it but a loopback that is down.
    ///
    /// # Errors
    /// As [`enter`].
    pub fn new() -> anyhow::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (told, id) = mpsc::channel();
        thread::spawn(move || {
            let entered = enter().map(|()| nix::unistd::gettid().as_raw());
            let failed = entered.is_err();
            let _ = told.send(entered); // who asked waits for it
            if !failed {
                queue.into_iter().for_each(|job| job());
            }
        });
        let id = id.recv_timeout(pace::limit(LIMIT)).context("the thread of a namespace")??;
        Ok(Self { jobs, id })
    }

    /// By which ip(8) names it.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Runs `job` in it, and waits for what it gives.
    ///
    /// # Errors
    /// Its own, and where it takes longer than a minute.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || drop(done.send(job())));
        self.jobs.send(job).ok().context("the thread of a namespace is gone")?;
        match result.recv_timeout(pace::limit(LIMIT)) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) => {
                anyhow::bail!("a job in a namespace took longer than {LIMIT:?}")
            }
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("a job in a namespace ended early"),
        }
    }
}
