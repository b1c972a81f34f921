//! A network namespace with a thread in it that does what it is sent.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use maekin_host::cmd::Cmd;
use nix::sched::{CloneFlags, unshare};

type Job = Box<dyn FnOnce() + Send>;

/// The namespace, which ends with it.
pub(crate) struct Namespace {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Namespace {
    /// A new one, in which there is nothing.
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
            for job in queue {
                job();
            }
        });
        Self { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Runs `job` in it and waits for it.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || drop(done.send(job())));
        self.jobs.as_ref().expect("until drop").send(job).expect("the namespace's thread");
        result.recv_timeout(Duration::from_secs(30)).expect("the job in the namespace")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs ip(8) where the calling thread is.
pub(crate) fn ip(args: &str) {
    Cmd::new("ip").args(args.split(' ')).run().expect("ip(8)");
}
