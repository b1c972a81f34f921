//! Rows of the table: machines that are to be installed over the network, and who lets them in.

use maekin_api as api;

use super::{ROW, col, wide};
use crate::resource::Cell::{Age, At, Bytes, Made};
use crate::resource::{Create, Delete, Field, Kind, Resource, cells};

pub(super) const INSTALL: &[Resource] = &[
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
            wide("REMEDY", At("/remedy")),
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
];
