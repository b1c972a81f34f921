//! Rows of the table: storage and volumes.

use maekin_api as api;

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Bytes, Count, Made};
use crate::resource::{Create, Delete, Field, Kind, Resource, cells};

pub(super) const STORAGE: &[Resource] = &[
    Resource {
        name: "volumes",
        aliases: &["volume", "vol"],
        about: "volumes, whatever engine keeps them",
        path: api::VOLUMES,
        events: Some("volumes,volume-status"),
        item: Some("/v1/volumes/{}"),
        named: &["/name", "/id"],
        paged: true,
        columns: &[
            col("NAME", At("/name")),
            col("CLASS", At("/class")),
            col("SIZE", Bytes("/size")),
            col("USED", Bytes("/used")),
            col("ON", Made(cells::places)),
            col("ATTACHED", Made(cells::attached)),
            col("HEALTH", At("/health/state")),
            col("AGE", Age("/created")),
            wide("SNAPSHOTS", Count("/snapshots")),
            wide("READY", Made(cells::volume_ready)),
            wide("LIMITS", Made(cells::limits)),
            wide("TEXT", At("/health/text")),
            wide("ID", At("/id")),
        ],
        create: Some(Create {
            path: api::VOLUMES,
            name: "name",
            fields: &[
                Field { name: "size", kind: Kind::Size, default: None, help: "how large, e.g. 20G" },
                Field {
                    name: "class",
                    kind: Kind::Word(&["local", "mirror", "pool"]),
                    default: Some("local"),
                    help: "where and how often it is kept",
                },
                Field {
                    name: "node",
                    kind: Kind::Text,
                    default: None,
                    help: "the node that shall have it; else the one with most room",
                },
            ],
            told: None,
        }),
        delete: Some(Delete {
            path: "/v1/volumes/{}",
            means: "what is on it is gone for good; one that has snapshots stays (`maekin volume delete --snapshots`)",
        }),
        ..ROW
    },
    Resource {
        name: "storage",
        aliases: &["st"],
        about: "storage of the cluster, by class",
        path: api::STORAGE,
        events: Some("storage"),
        list: Some("/classes"),
        named: &["/class"],
        columns: &[
            col("CLASS", At("/class")),
            col("AVAILABLE", At("/available")),
            col("CAPACITY", Bytes("/capacity")),
            col("USED", Bytes("/used")),
            col("PROMISED", Bytes("/promised")),
            col("VOLUMES", At("/volumes")),
            col("WORST", At("/worst")),
            col("WHY", At("/why")),
        ],
        ..ROW
    },
];
