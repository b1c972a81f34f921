//! The engine of class `local`: LVM thin volumes on the data mirror, from the first start on.
//!
//! A volume is a thin LV named by its id; it is active on the node only while it is attached. Snapshots and clones share
//! what they have in common. What is deleted or trimmed goes back to the pool, and on to the drives. A full pool fails
//! writes to new places, at once and with an error, and loses nothing that was written; before that it grows into what its
//! group has left.
//!
//! | module | job |
//! | --- | --- |
//! | [`pool`] | the pool made, where it is missing |
//! | [`report`] | what LVM and the kernel tell (parsers) |
//! | [`care`] | what the pool needs (pure) |
//! | [`text`] | how many volumes LVM can write down (pure) |
//! | [`lvm`] | commands |

mod care;
mod lvm;
mod pool;
mod report;
mod text;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use maekin_api::node::LocalPool;
use maekin_api::storage::NodeStorage;
use maekin_api::volumes::Class;
use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::md;
use maekin_image::ids::Array;

use crate::app::App;
use crate::errors::chain;
use crate::volumes::engine::{Engine, EngineError, Seen, Step, Work, is_id};
use lvm::Lvm;
use report::Report;

/// Volume group.
pub(super) const GROUP: &str = "maekin";
/// Thin pool in it.
pub(super) const POOL: &str = "local";

/// What was seen when the pool was made ready.
#[derive(Debug)]
pub(crate) struct Prepared(Report);

/// Makes the pool where it is missing, and says how it is. Takes its time.
pub(crate) fn ensure() -> (LocalPool, Option<Prepared>) {
    let (pool, report) = prepare(&Lvm::default());
    (pool, report.map(Prepared))
}

fn prepare(lvm: &Lvm) -> (LocalPool, Option<Report>) {
    let device = md::device(Array::Data.name());
    if !device.exists() {
        return (LocalPool::Failed { reason: format!("{} is not there", device.display()) }, None);
    }
    match pool::ensure(lvm, &device, Path::new(lvm::BACKUP)) {
        Ok(pool::Ensured { size, report }) => (LocalPool::Ready { size }, report),
        Err(e) => (LocalPool::Failed { reason: chain(&e) }, None),
    }
}

/// The engine.
pub(crate) struct Local {
    app: Arc<App>,
    lvm: Lvm,
    /// The pool as it was seen last.
    pool: Arc<Mutex<Option<report::Pool>>>,
}

impl Local {
    /// This node's.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, lvm: Lvm::default(), pool: Arc::default() }
    }

    /// Whether the pool can be used. One that could not be is tried again.
    async fn usable(&self) -> Result<(), EngineError> {
        match self.app.local_pool() {
            LocalPool::Ready { .. } => Ok(()),
            LocalPool::Pending => {
                self.app.storage.await_pool();
                Err(EngineError::NotReady("the pool of this node is not looked at yet".to_owned()))
            }
            LocalPool::Failed { .. } => {
                let lvm = self.lvm.clone();
                let again = blocking(move || Ok(prepare(&lvm).0)).await?;
                self.app.set_local_pool(again.clone());
                match again {
                    LocalPool::Failed { reason } => Err(EngineError::NotReady(reason)),
                    _ => Ok(()),
                }
            }
        }
    }

    async fn look(&self) -> Result<Seen, EngineError> {
        self.usable().await?;
        let report = match self.app.storage.take_prepared() {
            Some(Prepared(report)) => report,
            None => self.report().await?,
        };
        let Some(pool) = &report.pool else {
            // Its volumes are not gone for that: nothing is said of them.
            return Err(EngineError::Failed(format!("the pool {GROUP}/{POOL} is not there any more")));
        };
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool.clone());
        if self.app.local_pool() != (LocalPool::Ready { size: pool.size }) {
            self.app.set_local_pool(LocalPool::Ready { size: pool.size });
        }
        Ok(report.seen())
    }

    async fn ask(&self) -> Result<Report, EngineError> {
        let lvm = self.lvm.clone();
        blocking(move || lvm.report()).await
    }

    /// What LVM says, once the kernel has the pool: somebody may have taken it away, to repair it or by accident.
    async fn report(&self) -> Result<Report, EngineError> {
        let asleep = |report: &Report| report.pool.as_ref().is_some_and(|pool| !pool.active);
        let report = self.ask().await?;
        if !asleep(&report) {
            return Ok(report);
        }
        tracing::warn!("the kernel does not have the pool for local volumes; it is activated");
        let command = self.lvm.activate();
        blocking(move || command.run()).await?;
        let report = self.ask().await?;
        match asleep(&report) {
            false => Ok(report),
            true => Err(EngineError::Failed(format!(
                "the kernel does not have the pool {GROUP}/{POOL}, though LVM was told to activate it"
            ))),
        }
    }

    fn last(&self) -> Option<report::Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn glance_at_kernel(&self) -> Result<Option<NodeStorage>, EngineError> {
        let Some(pool) = self.last() else { return Ok(None) };
        let text = blocking(|| lvm::status().text()).await?;
        let Some(status) = report::parse_status(&text) else {
            // LVM says what became of it.
            return Err(EngineError::Failed(format!("the kernel does not have the pool {GROUP}/{POOL}")));
        };
        let report::Status { used_share, metadata_share, mode } = status;
        Ok(Some(report::Pool { used_share, metadata_share, mode, ..pool }.told()))
    }

    async fn look_after(&self) -> Result<bool, EngineError> {
        let needs = self.last().map(|pool| care::plan(&pool)).unwrap_or_default();
        let mut failed = None;
        for need in &needs {
            tracing::info!(?need, "the pool for local volumes is looked after");
            let command = self.lvm.tend(need);
            if let Err(e) = blocking(move || command.run()).await {
                // What else it needs is done all the same: it may be room for what failed.
                failed.get_or_insert(e);
            }
        }
        failed.map_or(Ok(!needs.is_empty()), Err)
    }

    async fn carry_out(&self, step: &Step) -> Result<(), EngineError> {
        // They become arguments of LVM, and come from the record.
        if let Some(id) = step.ids().into_iter().find(|id| !is_id(id)) {
            let shown = crate::install::terms::shown(id);
            return Err(EngineError::Failed(format!(
                "the record names a volume by `{shown}`, which is no id"
            )));
        }
        let commands = self.lvm.commands(step);
        blocking(move || commands.iter().try_for_each(Cmd::run)).await
    }
}

/// Work with programs, away from the threads that answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CmdError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|e| EngineError::Failed(chain(&e))),
        Err(e) => Err(EngineError::Failed(format!("it ended early: {e}"))),
    }
}

impl Engine for Local {
    fn class(&self) -> Class {
        Class::Local
    }

    fn observe(&self) -> Work<'_, Seen> {
        Box::pin(self.look())
    }

    fn glance(&self) -> Work<'_, Option<NodeStorage>> {
        Box::pin(self.glance_at_kernel())
    }

    fn tend<'a>(&'a self, _seen: &'a Seen) -> Work<'a, bool> {
        Box::pin(self.look_after())
    }

    fn apply<'a>(&'a self, step: &'a Step) -> Work<'a, ()> {
        Box::pin(self.carry_out(step))
    }
}

#[cfg(test)]
mod tests;
