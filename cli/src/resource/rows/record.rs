//! Rows of the table: the record and its copies.

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Bytes, Count, Made};
use crate::resource::{Create, Resource, cells};

pub(super) const RECORD: &[Resource] = &[
    Resource {
        name: "record",
        aliases: &["rec", "etcd"],
        about: "the cluster's record: voters, health, backups",
        path: "/v1/record",
        list: None,
        columns: &[
            col("QUORUM", At("/quorum")),
            col("VOTERS", Made(cells::voters)),
            col("REVISION", At("/revision")),
            col("BACKUPS", Count("/backups/kept")),
            col("NEWEST", Age("/backups/kept/0/at")),
            col("ALARMS", Count("/alarms")),
            wide("LEADER", At("/leader")),
            wide("QUOTA", Bytes("/quota")),
            wide("PROBLEM", At("/problem")),
        ],
        ..ROW
    },
    Resource {
        name: "backups",
        aliases: &["backup", "ba"],
        about: "copies of the record that the node that answers keeps",
        path: "/v1/record",
        list: Some("/backups/kept"),
        named: &["/file"],
        columns: &[
            col("FILE", At("/file")),
            col("AGE", Age("/at")),
            col("REVISION", At("/revision")),
            col("SIZE", Bytes("/size")),
        ],
        create: Some(Create { path: "/v1/record/backups", name: "", fields: &[], told: None }),
        ..ROW
    },
];
