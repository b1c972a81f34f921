//! Rows of the table: boot drives of a node.

use maekin_api as api;

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Bytes, Made};
use crate::resource::{Resource, cells};

pub(super) const BOOT: &[Resource] = &[
    Resource {
        name: "boot-drives",
        aliases: &["boot-drive", "bd", "boot"],
        about: "the boot drives of the node that answers",
        path: api::NODE_BOOT,
        list: Some("/drives"),
        named: &["/number", "/serial", "/device"],
        columns: &[
            col("DRIVE", At("/number")),
            col("DEVICE", Made(cells::device)),
            col("SERIAL", At("/serial")),
            col("SIZE", Bytes("/size")),
            col("MIRRORS", Made(cells::halves)),
            col("ESP", At("/esp/state")),
            col("PROVED", Age("/proved/at")),
            wide("MODEL", At("/model")),
            wide("TABLES", At("/tables/state")),
            wide("ENTRY", At("/entry")),
            wide("PATH", At("/path")),
        ],
        ..ROW
    },
    Resource {
        name: "boot-settings",
        aliases: &["bs"],
        about: "what the node that answers does about its boot drives by itself",
        path: api::NODE_BOOT_SETTINGS,
        list: None,
        columns: &[col("HEAL", At("/heal")), col("BOOT-TRIAL", At("/boot_trial"))],
        apply: Some(api::NODE_BOOT_SETTINGS),
        ..ROW
    },
];
