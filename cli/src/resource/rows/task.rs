//! Rows of the table: long work.

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Made};
use crate::resource::{Create, Field, Kind, Resource, cells};

pub(super) const TASK: &[Resource] = &[Resource {
    name: "tasks",
    aliases: &["task", "ta"],
    about: "long work: who does it, how far it is, what came of it",
    path: "/v1/tasks",
    events: Some("tasks"),
    item: Some("/v1/tasks/{}"),
    named: &["/id"],
    paged: true,
    columns: &[
        col("ID", At("/id")),
        col("KIND", At("/kind")),
        col("SUBJECT", At("/subject")),
        col("STATE", At("/state")),
        col("%", At("/progress")),
        col("BY", At("/owner/name")),
        col("AGE", Age("/created")),
        col("WHAT", Made(cells::task)),
        wide("ASKED", At("/by")),
        wide("REASON", At("/reason")),
        wide("ENDED", Age("/ended")),
        wide("OVER", At("/taken_over")),
    ],
    create: Some(Create {
        path: "/v1/tasks",
        name: "",
        fields: &[
            Field {
                name: "kind",
                kind: Kind::Word(&["backup", "compare-boot-drives", "drain", "power-cycle", "retire-drive"]),
                default: None,
                help: "what shall be done",
            },
            Field {
                name: "node",
                kind: Kind::Text,
                default: None,
                help: "the node that it is about (drain, compare-boot-drives)",
            },
            Field {
                name: "machine",
                kind: Kind::Text,
                default: None,
                help: "hardware address of the machine (power-cycle)",
            },
            Field {
                name: "drive",
                kind: Kind::Text,
                default: None,
                help: "id or serial number of the drive (retire-drive)",
            },
            Field {
                name: "reason",
                kind: Kind::Text,
                default: None,
                help: "why, for others (drain, retire-drive)",
            },
        ],
        told: None,
    }),
    ..ROW
}];
