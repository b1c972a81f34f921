//! Which machine has which address: what the install master that leads writes into the cluster's record by way of its
//! agent, before it says so to the machine. Served on the agent's unix socket only.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET`: [`Addresses`], to the install master of the leader. `POST`: [`AddressChange`] in, [`Hold`] out; 409 when this
/// node does not lead, or leads anew since `epoch`.
pub const ADDRESSES: &str = "/internal/addresses";
/// Most addresses in one [`AddressChange`].
pub const MOST: usize = 1000;

/// An address that a machine has, or had last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// The address.
    pub ip: Ipv4Addr,
    /// The machine's hardware address.
    pub mac: String,
    /// For ever: the machine was told to install itself, and keeps it as its own.
    pub kept: bool,
}

/// Everything that the leader has to know when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Addresses {
    /// Names the time of this leader; what it writes holds only in it.
    pub epoch: i64,
    /// What the leaders before it gave.
    pub held: Vec<Held>,
}

/// What changed. With nothing in it: whether we lead still.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AddressChange {
    /// Of [`Addresses`].
    pub epoch: i64,
    /// Written as one, in place of what these addresses had.
    pub held: Vec<Held>,
    /// Addresses that nobody has any more.
    pub freed: Vec<Ipv4Addr>,
}

/// The leader leads still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// For so long from when it asked, milliseconds; unless it asks again, nothing may be answered after that.
    pub for_ms: u64,
}
