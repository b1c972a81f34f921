//! Letting machines in: which machine may install itself, what it is told, and whose join secret is good.
//!
//! Decisions are pure functions of what the record says; [`store`] reads, asks them, and writes the outcome with a
//! compare-and-swap, so that two masters never hand out the same place.
//!
//! | module | job |
//! | --- | --- |
//! | [`decide`] | what shall this machine boot, what is it told |
//! | [`terms`], [`list`] | on what terms; who is let in without asking further |
//! | [`ticket`] | a ticket's life |
//! | [`admit`] | may this secret's bearer join |
//! | [`identity`] | which member a machine is, and who takes whose place |
//! | [`again`] | a person's wish that a member be installed anew |
//! | [`answer`] | the installer's answer file |
//! | [`store`], [`cache`] | the same against the record: boot decisions, reports |
//! | [`inventory`] | the machines that asked, and what they told |
//! | [`approve`] | a person's yes or no |
//! | [`window`] | the install window |
//! | [`invites`] | join secrets |

pub(crate) mod admit;
pub(crate) mod again;
pub(crate) mod answer;
pub(crate) mod approve;
pub(crate) mod cache;
pub(crate) mod decide;
pub(crate) mod identity;
pub(crate) mod inventory;
pub(crate) mod invites;
pub(crate) mod list;
pub(crate) mod store;
pub(crate) mod terms;
pub(crate) mod ticket;
pub(crate) mod window;

/// How often a compare-and-swap is tried again after another was faster.
pub(crate) const TRIES: usize = 16;

/// How long a machine has from being let in to joining, seconds.
pub(crate) const TICKET_VALIDITY: u64 = 24 * 3600;

use crate::pki::PkiError;
use crate::record::RecordError;

/// A request about installations was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// The record could not be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A key or certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Others were faster every time.
    #[error("the record changed under every one of {TRIES} tries; try again")]
    Contended,
    /// There is no such thing.
    #[error("there is no {what} {name}; `GET /v1/installs` lists those that there are")]
    NotFound {
        /// A kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is no such member.
    #[error("there is no member {0}; `GET /v1/cluster` lists those that there are")]
    NoMember(String),
    /// There is no such machine.
    #[error("no machine {0} has asked to boot; `GET /v1/machines` lists those that have")]
    NoMachine(String),
    /// The machine is not the one it should be, or what it told is no good.
    #[error("{0}")]
    Unfit(String),
    /// Machines tell more of themselves than the record can bear.
    #[error("too much is told at once; ask again in a while")]
    Flooded,
    /// It is over.
    #[error(
        "installation {0} is over: its machine boots from its disk, or it was taken back or expired; to install it anew, \
         say so with `maekin-agent reinstall` or `approve`"
    )]
    Over(String),
    /// What only it has would be gone.
    #[error(
        "{name} has {volumes} of which nothing is left when it is installed anew; copy what is needed and delete them \
         (`maekin get volumes`), or say so all the same: `maekin reinstall {name} --force`, \
         `POST /v1/nodes/{name}/reinstall?force=true`"
    )]
    Volumes {
        /// Its name.
        name: String,
        /// The volumes.
        volumes: crate::trust::removal::Named,
    },
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The bearer of a join secret is not let in.
    #[error("{0}")]
    Refused(admit::Refusal),
}
