//! Rows of the table: the cluster, its nodes, and what is wrong with them.

use maekin_api as api;

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Count, Made, Span};
use crate::resource::{Delete, Resource, cells};

pub(super) const CLUSTER: &[Resource] = &[
    Resource {
        name: "nodes",
        aliases: &["node", "no"],
        about: "the members of the cluster, and whether they are there",
        path: "/v1/nodes",
        older: Some((api::CLUSTER, "/nodes")),
        item: Some("/v1/nodes/{}"),
        named: &["/name", "/id"],
        columns: &[
            col("NAME", At("/name")),
            col("STATE", Made(cells::node_state)),
            col("SINCE", Age("/since")),
            col("ADDRESS", At("/address")),
            col("VOTER", At("/voter")),
            col("VERSION", At("/version")),
            wide("LEADER", At("/leader")),
            wide("LOAD", At("/load")),
            wide("MEMORY%", At("/memory")),
            wide("BOOT", At("/boot")),
            wide("QUORUM", At("/quorum")),
            wide("WHY", At("/why")),
            wide("MAINTENANCE", At("/maintenance/reason")),
            wide("ROLES", At("/roles")),
            wide("URL", At("/url")),
            wide("ID", At("/id")),
        ],
        delete: Some(Delete {
            path: "/v1/nodes/{}",
            means: "it is a member no longer, at once and for good; its drives are not erased",
        }),
        ..ROW
    },
    Resource {
        name: "settings",
        aliases: &["setting", "nodesettings", "node-settings", "se"],
        about: "how nodes shall be, and how far that is so",
        path: api::SETTINGS,
        events: Some("settings,settings-status"),
        item: Some("/v1/nodes/{}/settings"),
        named: &["/name", "/id"],
        columns: &[
            col("NODE", At("/name")),
            col("GENERATION", At("/generation")),
            col("READY", Made(cells::settled)),
            col("CHANGED", Age("/changed_at")),
            col("SETS", Made(cells::set)),
            col("WHY", Made(cells::unsettled)),
            wide("BY", At("/changed_by")),
            wide("OBSERVED", At("/status/observed_generation")),
            wide("ID", At("/id")),
        ],
        apply: Some("/v1/nodes/{}/settings"),
        spec: Some("/spec"),
        ..ROW
    },
    Resource {
        name: "cluster",
        aliases: &["cl"],
        about: "the cluster: its name, its CA, who leads",
        path: api::CLUSTER,
        events: Some("cluster,ca-change,nodes,alive,leader,install-window"),
        list: None,
        named: &["/name", "/id"],
        columns: &[
            col("NAME", At("/name")),
            col("READY", Made(cells::ready)),
            col("LEADER", Made(cells::leader)),
            col("WINDOW", At("/install_window/open")),
            col("AGE", Age("/created_at")),
            wide("CA", At("/ca_sha256")),
            wide("CA CHANGE", Made(cells::ca_change)),
            wide("ID", At("/id")),
        ],
        ..ROW
    },
    Resource {
        name: "self",
        aliases: &["this", "node-info"],
        about: "the node that answers, about itself",
        path: api::NODE,
        list: None,
        named: &["/name", "/id"],
        columns: &[
            col("NAME", At("/name")),
            col("MEMBERSHIP", Made(cells::membership)),
            col("VERSION", At("/version")),
            col("BOOT", At("/boot_drives/state")),
            col("ALARMS", Count("/alarms")),
            col("UPTIME", Span("/uptime_s")),
            wide("SLOT", At("/slot")),
            wide("FIRMWARE", At("/firmware")),
            wide("MASTER", At("/install_master")),
            wide("ID", At("/id")),
        ],
        ..ROW
    },
    Resource {
        name: "alarms",
        aliases: &["alarm", "al"],
        about: "what is wrong with the node that answers",
        path: api::NODE,
        list: Some("/alarms"),
        named: &["/id"],
        columns: &[
            col("ALARM", At("/id")),
            col("SEVERITY", At("/severity")),
            col("SINCE", Age("/since")),
            col("WHAT", At("/what")),
            wide("REMEDY", At("/remedy")),
        ],
        ..ROW
    },
    Resource {
        name: "discovered",
        aliases: &["found", "di"],
        about: "nodes that wait on the wires of the node that answers, and other clusters",
        path: api::DISCOVERED,
        events: Some("discovered"),
        named: &["/name", "/id"],
        columns: &[
            col("ID", At("/id")),
            col("NAME", At("/name")),
            col("STATE", At("/state")),
            col("CLUSTER", At("/cluster")),
            col("ADDRESS", At("/addresses/0")),
            col("RELEASE", At("/release")),
            col("AGE", Age("/since")),
            wide("ADDRESSES", At("/addresses")),
            wide("INTERFACE", At("/interface")),
            wide("CA", At("/ca")),
            wide("HEARD", Age("/last")),
            wide("BY", At("/by")),
        ],
        ..ROW
    },
];
