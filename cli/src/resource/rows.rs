//! The table. Paths are those of `maekin-api`; columns name fields of its types, as JSON pointers, so that a field that an
//! older release does not send is a dash and no error.
//!
//! | module | rows |
//! | --- | --- |
//! | [`cluster`] | the cluster, its nodes, and what is wrong with them |
//! | [`install`] | machines that are to be installed over the network, and who lets them in |
//! | [`boot`] | boot drives of a node |
//! | [`access`] | who may join, and who may do what |
//! | [`record`] | the record and its copies |
//! | [`storage`] | storage and volumes |
//! | [`task`] | long work |
//! | [`drives`] | drives, and the policy about them |

mod access;
mod boot;
mod cluster;
mod drives;
mod install;
mod record;
mod storage;
mod task;

use super::{Cell, Column, Resource};

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
    spec: None,
    delete: None,
    unset: false,
    events: None,
    paged: false,
};

/// The rows, by what they are about.
const GROUPS: [&[Resource]; 8] = [
    cluster::CLUSTER,
    install::INSTALL,
    boot::BOOT,
    drives::DRIVES,
    access::ACCESS,
    record::RECORD,
    storage::STORAGE,
    task::TASK,
];

/// Every resource.
pub(crate) fn rows() -> impl Iterator<Item = &'static Resource> {
    GROUPS.into_iter().flatten()
}
