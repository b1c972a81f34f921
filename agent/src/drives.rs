//! The drives of this node: an inventory of all of them, and what becomes of those that nobody uses.
//!
//! A thread looks ([`look`]), from when the node is a member: when the kernel tells of a drive, and once an hour. What it sees, what the cluster's policy
//! says and what people consented to make a decision for each drive ([`plan`]), and the inventory of the node
//! ([`inventory`]), which goes into the record when it changed ([`share`]). Nothing in this room writes to a drive, and it
//! gives none to storage that has anything on it, but by consent to exactly that content.
//!
//! | module | job |
//! | --- | --- |
//! | [`attached`] | whether other machines may reach a drive, too |
//! | [`identity`] | what a drive is known by (pure) |
//! | [`observe`] | what drives there are, and who holds them |
//! | [`look`] | when it is looked, and at what |
//! | [`health`] | from a drive's own word to a verdict (pure) |
//! | [`plan`] | what becomes of a drive (pure) |
//! | [`inventory`] | all drives over time: since when, gone, alarms, what is worth telling (pure) |
//! | [`others`] | what other nodes tell of drives |
//! | [`ends`] | when what people wanted of a drive counts no longer |
//! | [`users`] | who uses drives, and can do without one |
//! | [`wish`] | what people want of a drive (pure) |
//! | [`values`] | what lies in the record |
//! | [`store`] | reading and writing that |
//! | [`share`] | this node's part of it, kept up to date |
//! | [`routes`] | all that in the API |

pub(crate) mod attached;
mod ends;
pub(crate) mod health;
pub(crate) mod identity;
pub(crate) mod inventory;
mod look;
pub(crate) mod observe;
mod others;
pub(crate) mod plan;
pub(crate) mod routes;
pub(crate) mod share;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub(crate) mod users;
pub(crate) mod values;
pub(crate) mod wish;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use maekin_api::alarm::Alarm;
use maekin_api::drives::Drive;
use maekin_host::events::Waker;
use tokio::sync::Notify;

use self::observe::Seen;
use crate::app::App;
use crate::record::RecordError;

/// A drive cannot be shown, taken, retired or lit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No such drive.
    #[error("no drive has the id or serial number {0}; `GET /v1/drives` lists them")]
    NoDrive(String),
    /// Several of that serial number.
    #[error("{name} is the serial number of several drives; name one by its id: {}", ids.join(", "))]
    Ambiguous {
        /// As it was asked for.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// No such node.
    #[error("nodes: no member has the name {0}; `GET /v1/nodes` lists them")]
    NoNode(String),
    /// What was asked for cannot be done with this drive, as it is.
    #[error("{id} ({state}): {why}")]
    Unfit {
        /// Which drive.
        id: String,
        /// How it is.
        state: maekin_api::drives::State,
        /// Why not, and what to do.
        why: String,
    },
    /// It takes consent.
    #[error("{id} is taken by consent only, since this would be lost: {what}; if it may: consent {token}")]
    ConsentNeeded {
        /// Which drive.
        id: String,
        /// What is on it.
        what: String,
        /// What stands for that.
        token: String,
    },
    /// What is on the drive is not what was consented to.
    #[error(
        "{id} does not hold what was consented to; now it holds: {what}; if that may be lost: consent {token}"
    )]
    ConsentOutdated {
        /// Which drive.
        id: String,
        /// What is on it.
        what: String,
        /// What stands for that.
        token: String,
    },
    /// It is one of two boot drives, and the other one goes.
    #[error(
        "{id} and {other} are the boot drives of {node}, which needs one of them, and {other} is being retired, or was; pull that one and wait until the boot mirror is whole again, or keep it: `maekin drive take {other}`"
    )]
    OtherRetires {
        /// Which drive.
        id: String,
        /// The other one.
        other: String,
        /// Host name of their node.
        node: String,
    },
    /// Others were faster every time.
    #[error("the record changed under every one of {0} tries; try again")]
    Contended(usize),
    /// There are too many.
    #[error(
        "people want something of {0} drives already, and the record has room for no more; see docs/drives.md"
    )]
    Full(usize),
}

/// What the thread that looks, the part that tells the record and the API share.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    shared: Mutex<Shared>,
    /// Something else was seen.
    news: Notify,
}

/// See [`Keeper`].
#[derive(Debug, Default)]
struct Shared {
    /// What was seen last; `None`: nothing was looked at yet.
    seen: Option<Vec<Seen>>,
    /// Drives that went away, or that somebody had for himself, since it was asked last, by id: at which news.
    interrupted: BTreeMap<String, u64>,
    /// How often something was seen.
    looks: u64,
    /// What became of that.
    drives: Vec<Drive>,
    /// Something did.
    told: bool,
    alarms: Vec<Alarm>,
    /// When each alarm that is on began.
    since: BTreeMap<String, u64>,
    /// How many looks were wanted so far, of those how many were begun, and how many have ended.
    asked: u64,
    begun: u64,
    answered: u64,
    /// Whom to wake for that; `None`: the thread has not begun.
    waker: Option<Waker>,
    /// The thread was started.
    started: bool,
}

impl Shared {
    /// Notes what a consent does not outlive. Nobody may hear of each look: this is not lost by it.
    fn interrupt(&mut self, seen: &[Seen]) {
        self.looks += 1;
        let before = self.seen.iter().flatten();
        let gone = before.filter(|before| seen.iter().all(|seen| seen.id != before.id));
        let held = seen.iter().filter(|seen| !seen.held.is_empty());
        let ids: Vec<String> = gone.chain(held).map(|drive| drive.id.clone()).collect();
        self.interrupted.extend(ids.into_iter().map(|id| (id, self.looks)));
    }
}

impl Keeper {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen last.
    pub(crate) fn seen(&self) -> Option<Vec<Seen>> {
        self.lock().seen.clone()
    }

    /// The same, and which of the looks that were wanted it is of.
    fn seen_at(&self) -> Option<(Vec<Seen>, u64)> {
        let shared = self.lock();
        shared.seen.clone().map(|seen| (seen, shared.answered))
    }

    /// Drives that went away, or that somebody had for himself, whatever is so of them now.
    fn interrupted(&self) -> BTreeMap<String, u64> {
        self.lock().interrupted.clone()
    }

    /// What follows from that was done.
    fn followed(&self, interrupted: &BTreeMap<String, u64>) {
        self.lock().interrupted.retain(|id, look| interrupted.get(id) != Some(look));
    }

    /// Takes in what was seen. Who wanted the look hears of it also where nothing is new.
    pub(crate) fn saw(&self, seen: Vec<Seen>) {
        let mut shared = self.lock();
        let begun = shared.begun;
        let wanted = std::mem::replace(&mut shared.answered, begun) != begun;
        let other = shared.seen.as_ref() != Some(&seen);
        shared.interrupt(&seen);
        if other {
            shared.seen = Some(seen);
        }
        drop(shared);
        if wanted || other {
            self.news.notify_one();
        }
    }

    /// This node's drives, as it knows them at this moment.
    pub(crate) fn drives(&self) -> Vec<Drive> {
        self.lock().drives.clone()
    }

    /// One of them.
    pub(crate) fn find(&self, id: &str) -> Option<Drive> {
        self.lock().drives.iter().find(|drive| drive.id == id).cloned()
    }

    /// The same, once the drives were looked at; `None`: not yet.
    pub(crate) fn found(&self, id: &str) -> Option<Option<Drive>> {
        let shared = self.lock();
        let looked = shared.told;
        looked.then(|| shared.drives.iter().find(|drive| drive.id == id).cloned())
    }

    /// What is wrong with them.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        self.lock().alarms.clone()
    }

    /// Has them looked at now; the number of that look, which begins later than this.
    pub(crate) fn look(&self) -> u64 {
        let mut shared = self.lock();
        if shared.asked == shared.begun {
            shared.asked += 1;
            if let Some(waker) = &shared.waker {
                waker.wake();
            }
        }
        shared.asked
    }

    /// Whether somebody wanted that since it was asked last: the look begins.
    fn wanted(&self) -> bool {
        let mut shared = self.lock();
        let asked = shared.asked;
        std::mem::replace(&mut shared.begun, asked) != asked
    }

    /// As if it were looked, where somebody wants that, and nothing were new.
    #[cfg(test)]
    fn look_again(&self) {
        let mut shared = self.lock();
        if shared.seen.is_some() && shared.answered != shared.asked {
            let asked = shared.asked;
            (shared.begun, shared.answered) = (asked, asked);
            drop(shared);
            self.news.notify_one();
        }
    }

    /// Nothing came of a look that was begun: what was wanted is wanted still.
    fn missed(&self) {
        let mut shared = self.lock();
        shared.begun = shared.answered;
    }
}

/// Starts to look, once, where that was not done yet.
fn start(app: &Arc<App>) {
    if std::mem::replace(&mut app.drives.lock().started, true) {
        return;
    }
    let app = Arc::clone(app);
    if let Err(e) = thread::Builder::new().name("drives".to_owned()).spawn(move || look::run(&app)) {
        tracing::error!(error = %e, "the drives are not looked at: no thread");
    }
}
