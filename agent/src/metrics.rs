//! What the agent counts of itself, and tells as Prometheus text (exposition format 0.0.4): requests, the record's
//! answers, the process, and what is wrong with the node.
//!
//! Few names, few labels, all of them ours: nothing that a stranger sends becomes a label.
//!
//! | module | job |
//! | --- | --- |
//! | [`histogram`] | how long things took |
//! | [`process`] | memory, processor time, open files (parsers are pure) |
//! | [`text`] | all of it as text |

mod histogram;
mod process;
mod text;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(crate) use histogram::Histogram;
pub(crate) use text::render;

/// How long the record took to answer, of all agents of this process.
pub(crate) static RECORD: Histogram = Histogram::new();
/// How often it gave no useful answer.
pub(crate) static RECORD_FAILED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Requests by operation and status, as many as there are of both.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), Served>>,
}

/// Requests of one operation and status.
#[derive(Debug, Clone, Copy, Default)]
struct Served {
    count: u64,
    time: Duration,
    longest: Duration,
}

impl Metrics {
    /// A request for `operation` was answered.
    pub(crate) fn served(&self, operation: &'static str, status: u16, time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let served = requests.entry((operation, status)).or_default();
        served.count = served.count.saturating_add(1);
        served.time = served.time.saturating_add(time);
        served.longest = served.longest.max(time);
    }

    fn requests(&self) -> Vec<((&'static str, u16), Served)> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|(key, served)| (*key, *served)).collect()
    }
}
