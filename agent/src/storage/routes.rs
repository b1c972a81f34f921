//! `GET /v1/storage`: from the record, so that every member gives the same answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maekin_api::storage::{NodeStorage, Storage};

use super::classes;
use crate::app::App;
use crate::http::error::ApiError;
use crate::volumes::routes::{all, world};
use crate::volumes::view::World;

pub(crate) async fn get(State(app): State<Arc<App>>) -> Result<Json<Storage>, ApiError> {
    let record = app.member()?.record.clone();
    let (world, _) = world(&record, &app.node_id).await?;
    let volumes = all(&record, &world).await?;
    Ok(Json(classes::storage(&members(&world), &volumes)))
}

/// What the members say of their storage, by the names that they have now. One that was replaced or removed may have left
/// something behind: that is nobody's. Pure.
fn members(world: &World) -> Vec<NodeStorage> {
    let own = |node: &NodeStorage| {
        // Its name now: it may have been given another one since it said so.
        world.names.get(&node.id).map(|name| NodeStorage { name: name.clone(), ..node.clone() })
    };
    let mut nodes: Vec<NodeStorage> = world.storage.values().filter_map(own).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_storage_is_that_of_members_alone() {
        let told = |id: &str| {
            (id.to_owned(), NodeStorage { id: id.into(), name: "old".into(), ..NodeStorage::default() })
        };
        let world = World {
            names: [("a".to_owned(), "node-2".to_owned()), ("b".to_owned(), "node-1".to_owned())].into(),
            storage: ["a", "b", "ghost"].map(told).into(),
            ..World::default()
        };
        let names: Vec<_> = members(&world).into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["node-1", "node-2"]);
    }
}
