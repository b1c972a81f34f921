//! Rows of the table: the drives of the rack.

use maekin_api as api;

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Bytes, Made};
use crate::resource::{Resource, cells};

pub(super) const DRIVES: &[Resource] = &[
    Resource {
        name: "drives",
        aliases: &["drive", "dr"],
        about: "the drives of the rack: how they are, what is on them, who uses them",
        path: api::DRIVES,
        events: Some("drives"),
        item: Some("/v1/drives/{}"),
        named: &["/id", "/serial"],
        columns: &[
            col("ID", At("/id")),
            col("NODE", At("/node")),
            col("DEVICE", Made(cells::drive_device)),
            col("SIZE", Bytes("/size")),
            col("STATE", At("/state")),
            col("USE", Made(cells::drive_use)),
            col("HEALTH", Made(cells::drive_health)),
            col("SINCE", Age("/since")),
            col("WHY", At("/why")),
            wide("CONTENT", Made(cells::drive_content)),
            wide("MODEL", At("/model")),
            wide("SERIAL", At("/serial")),
            wide("BAY", Made(cells::drive_bay)),
            wide("TEMP", At("/health/temperature")),
            wide("WEAR", At("/health/wear")),
            wide("HOURS", At("/health/hours")),
            wide("KIND", At("/transport")),
            wide("SPINS", At("/rotational")),
            wide("CONSENT", At("/content/token")),
        ],
        ..ROW
    },
    Resource {
        name: "storage-policy",
        aliases: &["drive-policy", "sp"],
        about: "what nodes do by themselves about drives that nobody uses: auto-blank, ask or never",
        path: api::STORAGE_POLICY,
        list: None,
        events: Some("storage-policy"),
        columns: &[col("DRIVES", At("/drives")), col("NODES", Made(cells::policy_nodes))],
        apply: Some(api::STORAGE_POLICY),
        ..ROW
    },
];
