//! Rows of the table: who may join, and who may do what.

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Made};
use crate::resource::{Create, Delete, Field, Kind, Resource, cells};

pub(super) const ACCESS: &[Resource] = &[
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
        events: Some("pairings"),
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
];
