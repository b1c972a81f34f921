//! What the install masters hand out, the same whichever member leads.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET` [`crate::PROVISION`], and body of `PUT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    /// First address handed out by DHCP.
    pub pool_start: Ipv4Addr,
    /// Last one.
    pub pool_end: Ipv4Addr,
    /// Default router told to machines; none is told where absent.
    #[serde(default)]
    pub router: Option<Ipv4Addr>,
}
