//! An engine in memory, which fails or hangs when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use maekin_api::node::LocalPool;
use maekin_api::storage::{NodeStorage, PoolMode};
use maekin_api::volumes::Class;
use tokio::sync::Notify;

use crate::volumes::engine::{Engine, EngineError, Seen, SeenSnapshot, SeenVolume, Source, Step, Work};

/// What a step leads to. Pure.
///
/// # Errors
/// It cannot be done.
pub(crate) fn done(seen: &mut Seen, step: &Step) -> Result<(), EngineError> {
    let failed = |why: &str| EngineError::Failed(format!("{why}: {step:?}"));
    match step {
        Step::Create { id, size } => {
            let new = SeenVolume { size: *size, used: Some(0), ..SeenVolume::default() };
            if seen.volumes.insert(id.clone(), new).is_some() {
                return Err(failed("it is there"));
            }
        }
        Step::Clone { id, from } => {
            let size = match from {
                Source::Volume(from) => seen.volumes.get(from).map(|volume| volume.size),
                Source::Snapshot(from) => seen.snapshots.get(from).map(|snapshot| snapshot.size),
            };
            let size = size.ok_or_else(|| failed("no origin"))?;
            if seen.volumes.insert(id.clone(), SeenVolume { size, ..SeenVolume::default() }).is_some() {
                return Err(failed("it is there"));
            }
        }
        Step::Grow { id, size } => {
            let volume = seen.volumes.get_mut(id).ok_or_else(|| failed("none"))?;
            if volume.size >= *size {
                return Err(failed("it is as large"));
            }
            volume.size = *size;
        }
        Step::Snapshot { id, volume } => {
            let size = seen.volumes.get(volume).ok_or_else(|| failed("none"))?.size;
            if seen.snapshots.insert(id.clone(), SeenSnapshot { size, used: None }).is_some() {
                return Err(failed("it is there"));
            }
        }
        Step::Attach { id, .. } => {
            let volume = seen.volumes.get_mut(id).ok_or_else(|| failed("none"))?;
            volume.device = Some(format!("/dev/{id}"));
        }
        Step::Detach { id } => {
            let volume = seen.volumes.get_mut(id).ok_or_else(|| failed("none"))?;
            if volume.open {
                return Err(failed("it is open"));
            }
            volume.device = None;
        }
        Step::DeleteSnapshot { id } => {
            seen.snapshots.remove(id).ok_or_else(|| failed("none"))?;
        }
        Step::Delete { id } => {
            let volume = seen.volumes.remove(id).ok_or_else(|| failed("none"))?;
            if volume.open || volume.device.is_some() {
                seen.volumes.insert(id.clone(), volume);
                return Err(failed("it is in use"));
            }
        }
    }
    Ok(())
}

/// Where the agent is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// Before the step is done.
    Before,
    /// Behind it, before anybody is told.
    Behind,
}

/// The engine; what it has survives the agent.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    state: Mutex<State>,
    /// Somebody waits for ever in a step.
    pub(crate) stuck: Notify,
}

#[derive(Debug, Default)]
struct State {
    seen: Seen,
    did: Vec<Step>,
    fails: VecDeque<String>,
    blind: Option<String>,
    kill: Option<(usize, Kill)>,
    tended: usize,
}

impl Fake {
    /// One that has nothing.
    pub(crate) fn new() -> Arc<Self> {
        let fake = Arc::new(Self::default());
        fake.change(|seen| {
            seen.storage = NodeStorage {
                pool: LocalPool::Ready { size: 100 << 30 },
                capacity: 100 << 30,
                mode: PoolMode::Writable,
                ..NodeStorage::default()
            };
        });
        fake
    }

    /// Changes what it has, behind its own back.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.state.lock().unwrap().seen);
    }

    /// What it has.
    pub(crate) fn seen(&self) -> Seen {
        self.state.lock().unwrap().seen.clone()
    }

    /// What it did.
    pub(crate) fn did(&self) -> Vec<Step> {
        self.state.lock().unwrap().did.clone()
    }

    /// How often it looked after itself.
    pub(crate) fn tended(&self) -> usize {
        self.state.lock().unwrap().tended
    }

    /// Its next step fails.
    pub(crate) fn fail(&self, why: &str) {
        self.state.lock().unwrap().fails.push_back(why.to_owned());
    }

    /// It does not see what it has, or does again.
    pub(crate) fn blind(&self, why: Option<&str>) {
        self.state.lock().unwrap().blind = why.map(str::to_owned);
    }

    /// The step after so many more hangs for ever.
    pub(crate) fn kill(&self, after: usize, kill: Kill) {
        let mut state = self.state.lock().unwrap();
        state.kill = Some((state.did.len() + after, kill));
    }

    /// No further step hangs.
    pub(crate) fn spare(&self) {
        self.state.lock().unwrap().kill = None;
    }

    async fn step(&self, step: &Step) -> Result<(), EngineError> {
        let hang = {
            let mut state = self.state.lock().unwrap();
            if let Some(why) = state.fails.pop_front() {
                return Err(EngineError::Failed(why));
            }
            let here = state.kill.filter(|(at, _)| *at == state.did.len()).map(|(_, kill)| kill);
            if here != Some(Kill::Before) {
                done(&mut state.seen, step)?;
                state.did.push(step.clone());
            }
            here.is_some()
        };
        if hang {
            self.stuck.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

impl Engine for Fake {
    fn class(&self) -> Class {
        Class::Local
    }

    fn observe(&self) -> Work<'_, Seen> {
        let state = self.state.lock().unwrap();
        let seen =
            state.blind.clone().map_or_else(|| Ok(state.seen.clone()), |why| Err(EngineError::Failed(why)));
        Box::pin(std::future::ready(seen))
    }

    fn glance(&self) -> Work<'_, Option<NodeStorage>> {
        Box::pin(async { Ok(Some(self.seen().storage)) })
    }

    fn tend<'a>(&'a self, _seen: &'a Seen) -> Work<'a, bool> {
        self.state.lock().unwrap().tended += 1;
        Box::pin(async { Ok(false) })
    }

    fn apply<'a>(&'a self, step: &'a Step) -> Work<'a, ()> {
        Box::pin(self.step(step))
    }
}
