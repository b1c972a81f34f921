//! Who is let into the cluster, and who no longer. Decisions are pure; the record is changed by compare-and-swap only.
//!
//! | module | job |
//! | --- | --- |
//! | [`tokens`] | join tokens: made, listed, used, taken back |
//! | [`proof`] | that a joining node has a token, without telling it |
//! | [`invitation`] | what a node that is no member yet was given to join with |
//! | [`events`] | refusals, where they are found again |
//! | [`routes`] | all that in the API |

pub(crate) mod events;
pub(crate) mod invitation;
pub(crate) mod proof;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod values;

use tokio::sync::Notify;

/// What a running agent has of it.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Something to join with was given.
    pub(crate) invited: Notify,
}
