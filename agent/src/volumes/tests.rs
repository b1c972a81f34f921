//! Volumes from the record to an engine, and back, against a real record.
//!
//! | module | job |
//! | --- | --- |
//! | [`fake`] | an engine in memory |
//! | `api` | over HTTPS: versions, who may, what is refused |
//! | `node` | the node follows, whatever becomes of its agent |

mod api;
pub(crate) mod fake;
mod node;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maekin_api::node::LocalPool;
use maekin_api::volumes::{HealthState, NewVolume, Volume};
use maekin_rootfs::node::ClusterIntent;
use tokio::task::JoinSet;

use super::edit::Asked;
use super::engine::Engine;
use super::view::{self, World};
use super::{VolumeError, reconcile, store};
use crate::app::{App, Member};
use crate::record;
use crate::testing::{agent, become_member};
use fake::Fake;

/// How long anything is waited for.
const LIMIT: Duration = Duration::from_secs(30);
const G: u64 = 1 << 30;

/// A member with an engine in memory.
struct Rig {
    app: Arc<App>,
    member: Arc<Member>,
    fake: Arc<Fake>,
    /// Its sign of life.
    life: JoinSet<()>,
    /// What makes its volumes follow.
    hands: JoinSet<()>,
}

impl Rig {
    /// One that gives signs of life, and whose volumes follow.
    async fn new(dir: &Path) -> Self {
        let app = agent(dir, 1, ClusterIntent::Create { name: "rack".into() });
        let member = become_member(&app).await;
        app.set_local_pool(LocalPool::Ready { size: 100 << 30 });
        let (life, hands) = (JoinSet::new(), JoinSet::new());
        let mut rig = Self { app, member, fake: Fake::new(), life, hands };
        rig.live();
        rig.start();
        rig.until_told().await;
        rig
    }

    /// It gives signs of life from now on.
    fn live(&mut self) {
        let (app, record) = (Arc::clone(&self.app), self.member.record.clone());
        self.life.spawn(async move {
            let node = app.node_id.clone();
            record::alive::keep(record, node, |sent| app.reached(sent)).await;
        });
    }

    /// Its volumes follow from now on, by somebody who knows nothing but what the record and the engine say.
    fn start(&mut self) {
        let engine: Arc<dyn Engine> = self.fake.clone();
        self.hands.spawn(reconcile::run(Arc::clone(&self.app), Arc::clone(&self.member), vec![engine]));
    }

    /// As if the agent were killed.
    async fn kill(&mut self) {
        self.hands.shutdown().await;
    }

    /// Waits until the node has said how much room it has, and that it lives.
    async fn until_told(&self) {
        let look = async {
            loop {
                let storage = store::storage(&self.member.record).await.unwrap();
                let overview = self.member.record.overview(&self.app.node_id).await.unwrap();
                if storage.contains_key(&self.app.node_id) && overview.alive.contains(&self.app.node_id) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let Ok(()) = tokio::time::timeout(LIMIT, look).await else { panic!("waited for the node's storage") };
    }

    fn asked() -> Asked {
        Asked { by: "eva".into(), at: 100 }
    }

    async fn create(&self, name: &str) {
        let new = NewVolume { name: name.into(), size: G, ..NewVolume::default() };
        store::create(&self.member.record, &self.app.node_id, &new, &Self::asked()).await.unwrap();
    }

    /// The volume as it is told; `None`: there is none.
    async fn volume(&self, name: &str) -> Option<Volume> {
        let record = &self.member.record;
        let found = match store::get(record, name).await {
            Ok(found) => found.value,
            Err(VolumeError::NoVolume(_)) => return None,
            Err(e) => panic!("{e}"),
        };
        let parts = store::parts(record, Some(name)).await.unwrap();
        let overview = record.overview(&self.app.node_id).await.unwrap();
        let world = World {
            names: overview.nodes.iter().map(|n| (n.value.id.clone(), n.value.name.clone())).collect(),
            alive: overview.alive.clone(),
            storage: store::storage(record).await.unwrap(),
        };
        Some(view::volume(&found, parts.get(name).unwrap_or(&Default::default()), &world))
    }

    /// Waits until the volume is as `is` says; `None` is one that is gone.
    async fn until(&self, name: &str, what: &str, is: impl Fn(Option<&Volume>) -> bool) -> Option<Volume> {
        let look = async {
            loop {
                let volume = self.volume(name).await;
                if is(volume.as_ref()) {
                    return volume;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        match tokio::time::timeout(LIMIT, look).await {
            Ok(volume) => volume,
            Err(_) => panic!("waited for {name} to be {what}: {:#?}", self.volume(name).await),
        }
    }

    /// Waits until everything that was asked of the volume is so.
    async fn until_ready(&self, name: &str) -> Volume {
        self.until(name, "ready", |volume| volume.is_some_and(ready)).await.unwrap()
    }
}

/// Whether everything that was asked of a volume is so.
fn ready(volume: &Volume) -> bool {
    let first = volume.conditions.first();
    let holds =
        first.is_some_and(|c| c.kind == "Ready" && c.status == maekin_api::settings::ConditionStatus::True);
    holds && volume.observed_generation == volume.generation && volume.health.state == HealthState::Whole
}
