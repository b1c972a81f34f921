//! The table. Paths are those of `maekin-api`; columns name fields of its types, as JSON pointers, so that a field that an
//! older release does not send is a dash and no error.

use maekin_api as api;

use super::cells;
use super::{Cell, Column, Create, Delete, Field, Kind, Resource};
use Cell::{Age, At, Bytes, Count, Made, Span};

const fn col(head: &'static str, cell: Cell) -> Column {
    Column { head, cell, wide: false }
}

const fn wide(head: &'static str, cell: Cell) -> Column {
    Column { head, cell, wide: true }
}

/// What most rows have.
const ROW: Resource = Resource {
    name: "",
    aliases: &[],
    about: "",
    path: "",
    list: Some(""),
    older: None,
    item: None,
    named: &[],
    columns: &[],
    create: None,
    apply: None,
    delete: None,
    unset: false,
    events: None,
    paged: false,
};

/// Every resource.
pub(crate) const RESOURCES: &[Resource] = &[
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
            col("STATE", At("/state")),
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
        name: "cluster",
        aliases: &["cl"],
        about: "the cluster: its name, its CA, who leads",
        path: api::CLUSTER,
        list: None,
        named: &["/name", "/id"],
        columns: &[
            col("NAME", At("/name")),
            col("READY", Made(cells::ready)),
            col("LEADER", Made(cells::leader)),
            col("WINDOW", At("/install_window/open")),
            col("AGE", Age("/created_at")),
            wide("CA", At("/ca_sha256")),
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
        name: "machines",
        aliases: &["machine", "ma"],
        about: "machines that asked to boot from the network",
        path: api::MACHINES,
        events: Some("machines"),
        item: Some("/v1/machines/{}"),
        named: &["/code", "/mac", "/uuid", "/standing/hostname"],
        columns: &[
            col("CODE", At("/code")),
            col("MAC", At("/mac")),
            col("STANDING", At("/standing/standing")),
            col("SEEN", Age("/last_seen")),
            col("MODEL", Made(cells::model)),
            col("ABOUT", Made(cells::standing)),
            wide("SERIAL", At("/inventory/dmi/serial")),
            wide("DRIVES", Made(cells::drives)),
            wide("MEMORY", Bytes("/inventory/memory")),
            wide("UUID", At("/uuid")),
        ],
        ..ROW
    },
    Resource {
        name: "installs",
        aliases: &["install", "in"],
        about: "installations of machines over the network: their tickets",
        path: api::INSTALLS,
        events: Some("installs"),
        item: Some("/v1/installs/{}"),
        named: &["/ticket", "/hostname", "/mac"],
        columns: &[
            col("HOSTNAME", At("/hostname")),
            col("MAC", At("/mac")),
            col("PROGRESS", Made(cells::progress)),
            col("AGE", Age("/created_at")),
            wide("TICKET", At("/ticket")),
            wide("HEARD", Age("/updated_at")),
            wide("ROLES", At("/roles")),
            wide("BY", At("/by")),
        ],
        delete: Some(Delete {
            path: "/v1/installs/{}",
            means: "the ticket is forgotten; its machine, if it became no member, may be installed again",
        }),
        ..ROW
    },
    Resource {
        name: "power",
        aliases: &["pw"],
        about: "machines whose power can be switched",
        path: api::POWER,
        events: Some("power"),
        item: Some("/v1/machines/{}/power"),
        named: &["/mac"],
        columns: &[
            col("MAC", At("/mac")),
            col("METHOD", At("/settings/method")),
            col("ADDRESS", At("/settings/address")),
            col("DONE", Age("/last/at")),
            col("LAST", Made(cells::power_last)),
            wide("USER", At("/settings/user")),
            wide("BY", At("/last/by")),
            wide("ASKED", Age("/asked_at")),
        ],
        apply: Some("/v1/machines/{}/power"),
        delete: Some(Delete {
            path: "/v1/machines/{}/power",
            means: "how it is switched is forgotten, its password too",
        }),
        ..ROW
    },
    Resource {
        name: "approvals",
        aliases: &["approval", "ap"],
        about: "machines that are let in without asking further",
        path: api::APPROVALS,
        events: Some("approvals"),
        named: &["/mac", "/uuid", "/serial"],
        columns: &[
            col("MAC", At("/mac")),
            col("UUID", At("/uuid")),
            col("SERIAL", At("/serial")),
            col("HOSTNAME", At("/hostname")),
            col("ROLES", At("/roles")),
            wide("MIRROR", At("/disks/mirror")),
            wide("CONSENT", At("/disks/consent")),
        ],
        apply: Some(api::APPROVALS),
        ..ROW
    },
    Resource {
        name: "window",
        aliases: &["install-window", "wi"],
        about: "whether machines that boot from the network are let in as they come",
        path: api::INSTALL_WINDOW,
        events: Some("install-window"),
        list: None,
        columns: &[col("OPEN", At("/open")), col("UNTIL", Age("/until")), col("LEFT", At("/left"))],
        create: Some(Create {
            path: api::INSTALL_WINDOW,
            name: "",
            fields: &[
                Field {
                    name: "minutes",
                    kind: Kind::Number,
                    default: Some("60"),
                    help: "for how long, 1 to 1440",
                },
                Field {
                    name: "count",
                    kind: Kind::Number,
                    default: Some("16"),
                    help: "for how many machines, 1 to 1000",
                },
            ],
            told: None,
        }),
        delete: Some(Delete { path: api::INSTALL_WINDOW, means: "no more machines are let in by it" }),
        ..ROW
    },
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
    Resource {
        name: "provision",
        aliases: &["pr"],
        about: "what install masters hand out",
        path: api::PROVISION,
        events: Some("provision"),
        list: None,
        columns: &[
            col("POOL-START", At("/pool_start")),
            col("POOL-END", At("/pool_end")),
            col("ROUTER", At("/router")),
        ],
        apply: Some(api::PROVISION),
        unset: true,
        ..ROW
    },
    Resource {
        name: "join-tokens",
        aliases: &["join-token", "jt"],
        about: "tokens that let nodes join",
        path: "/v1/join-tokens",
        events: Some("join-tokens"),
        named: &["/id"],
        columns: &[
            col("ID", At("/id")),
            col("STATE", At("/state")),
            col("USED", Made(cells::uses)),
            col("EXPIRES", Age("/expires")),
            col("BY", At("/by")),
            col("NOTE", At("/note")),
        ],
        create: Some(Create {
            path: "/v1/join-tokens",
            name: "",
            fields: &[
                Field {
                    name: "minutes",
                    kind: Kind::Number,
                    default: Some("60"),
                    help: "for how long, 1 to 10080",
                },
                Field {
                    name: "uses",
                    kind: Kind::Number,
                    default: Some("1"),
                    help: "how many nodes it lets in, 1 to 500",
                },
                Field { name: "note", kind: Kind::Text, default: None, help: "what it is for" },
            ],
            told: Some(("/token", "the token is told this once; whoever has it may join")),
        }),
        delete: Some(Delete {
            path: "/v1/join-tokens/{}",
            means: "it lets nobody in any more; who joined by it stays",
        }),
        ..ROW
    },
    Resource {
        name: "pairings",
        aliases: &["pairing", "pa"],
        about: "nodes and members that compare a code, at the node that answers",
        path: "/v1/pairings",
        named: &["/code", "/name"],
        columns: &[
            col("CODE", At("/code")),
            col("SIDE", At("/side")),
            col("NAME", At("/name")),
            col("ADDRESS", At("/address")),
            col("APPROVED", At("/approved")),
            col("AGE", Age("/at")),
            wide("SHA256", At("/sha256")),
        ],
        ..ROW
    },
    Resource {
        name: "users",
        aliases: &["user", "us"],
        about: "who may use the API by password",
        path: "/v1/users",
        events: Some("users"),
        item: Some("/v1/users/{}"),
        named: &["/name"],
        columns: &[
            col("NAME", At("/name")),
            col("ROLE", At("/role")),
            col("AGE", Age("/created_at")),
            wide("CHANGED", Age("/changed_at")),
            wide("BY", At("/by")),
        ],
        create: Some(Create {
            path: "/v1/users",
            name: "name",
            fields: &[
                Field {
                    name: "role",
                    kind: Kind::Word(&["viewer", "operator", "admin"]),
                    default: Some("viewer"),
                    help: "what the user may do",
                },
                Field {
                    name: "password",
                    kind: Kind::Secret,
                    default: None,
                    help: "asked for, or read from standard input",
                },
            ],
            told: None,
        }),
        apply: Some("/v1/users/{}"),
        delete: Some(Delete { path: "/v1/users/{}", means: "the user's tokens end too" }),
        ..ROW
    },
    Resource {
        name: "tokens",
        aliases: &["token", "to"],
        about: "API tokens",
        path: "/v1/tokens",
        events: Some("tokens"),
        item: Some("/v1/tokens/{}"),
        named: &["/id", "/name"],
        columns: &[
            col("ID", At("/id")),
            col("NAME", At("/name")),
            col("USER", At("/user")),
            col("ROLE", At("/role")),
            col("EXPIRES", Age("/expires")),
            col("AGE", Age("/created_at")),
            wide("SCOPES", At("/scopes")),
        ],
        create: Some(Create {
            path: "/v1/tokens",
            name: "name",
            fields: &[
                Field {
                    name: "role",
                    kind: Kind::Word(&["viewer", "operator", "admin"]),
                    default: None,
                    help: "what it may do; else as much as its maker",
                },
                Field {
                    name: "scopes",
                    kind: Kind::List,
                    default: None,
                    help: "groups of operations that it is good for",
                },
                Field {
                    name: "days",
                    kind: Kind::Number,
                    default: None,
                    help: "for how long, 1 to 3660; else 90",
                },
            ],
            told: Some(("/token", "the token is told this once")),
        }),
        delete: Some(Delete { path: "/v1/tokens/{}", means: "it is no longer good for anything" }),
        ..ROW
    },
    Resource {
        name: "audit",
        aliases: &["au"],
        about: "what was changed, by whom, and what was refused",
        path: "/v1/audit",
        events: Some("audit"),
        paged: true,
        named: &["/id"],
        columns: &[
            col("AGO", Age("/at")),
            col("WHO", At("/who")),
            col("FROM", At("/from")),
            col("NODE", At("/node")),
            col("OUTCOME", At("/outcome")),
            col("WHAT", Made(cells::event)),
            wide("STATUS", At("/status")),
            wide("TOKEN", At("/token")),
            wide("REQUEST", At("/request_id")),
            wide("TEXT", At("/text")),
        ],
        ..ROW
    },
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
    Resource {
        name: "whoami",
        aliases: &["me"],
        about: "who asks, as the node knows it",
        path: "/v1/whoami",
        list: None,
        columns: &[
            col("NAME", At("/name")),
            col("ROLE", At("/role")),
            col("MEANS", At("/means")),
            col("NODE", At("/node")),
            wide("TOKEN", At("/token")),
            wide("SCOPES", At("/scopes")),
        ],
        ..ROW
    },
];
