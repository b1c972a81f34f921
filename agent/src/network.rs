//! The network of this node as desired state: a change of it is tried, and goes back by itself unless it is confirmed.
//!
//! | module | job |
//! | --- | --- |
//! | [`mod@plan`] | what changes, in words, and what stands against it (pure) |
//! | [`trial`] | the trial as a state machine (pure) |
//! | [`apply`] | networkd's units, the firewall and the interfaces as a network wants them |
//! | [`keeper`] | carries a trial out, and keeps it across restarts |
//! | [`mod@share`] | tells the record how it goes, hears there what people say to it |
//! | [`follow`] | a member whose address has changed |
//! | [`applier`] | the part of the node's settings |
//! | [`values`] | what lies in the record |

mod applier;
mod apply;
mod follow;
mod keeper;
mod plan;
pub(crate) mod routes;
mod share;
mod trial;
pub(crate) mod values;

pub(crate) use applier::{NetworkApplier, undecided};
pub(crate) use follow::moved;
pub(crate) use keeper::{Keeper, applied, run, under_way};
pub(crate) use share::keep as share;

#[cfg(test)]
mod tests;
