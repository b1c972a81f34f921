//! Interfaces up and down, their routes and neighbours, by ip(8).

use std::net::IpAddr;

use serde::Deserialize;

use crate::cmd::{Cmd, CmdError};

/// Switches an interface on. It gets no address by that.
///
/// # Errors
/// When there is no such interface, or its driver refuses.
pub fn set_up(interface: &str) -> Result<(), CmdError> {
    Cmd::new("ip").args(["link", "set", "dev", interface, "up"]).run()
}

/// Takes a bond or a VLAN away.
///
/// # Errors
/// When there is no such interface.
pub fn delete(interface: &str) -> Result<(), CmdError> {
    Cmd::new("ip").args(["link", "delete", "dev", interface]).run()
}

/// Takes all addresses of an interface away, and forgets whom it has met.
///
/// # Errors
/// When there is no such interface.
pub fn flush(interface: &str) -> Result<(), CmdError> {
    Cmd::new("ip").args(["neighbour", "flush", "dev", interface]).run()?;
    Cmd::new("ip").args(["address", "flush", "dev", interface]).run()
}

/// Sets the MTU of an interface.
///
/// # Errors
/// When its driver cannot.
pub fn set_mtu(interface: &str, mtu: u32) -> Result<(), CmdError> {
    Cmd::new("ip").args(["link", "set", "dev", interface, "mtu"]).arg(mtu.to_string()).run()
}

#[derive(Deserialize)]
struct Route {
    gateway: Option<IpAddr>,
}

/// The default routers behind an interface, of both protocols.
///
/// # Errors
/// When ip(8) fails.
pub fn gateways(interface: &str) -> Result<Vec<IpAddr>, CmdError> {
    let mut found = Vec::new();
    for family in ["-4", "-6"] {
        let command = Cmd::new("ip").args([family, "-json", "route", "show", "default", "dev", interface]);
        found.extend(command.json::<Vec<Route>>()?.into_iter().filter_map(|route| route.gateway));
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Entry {
    lladdr: Option<String>,
}

/// The hardware address of a neighbour, where the kernel has learnt it.
///
/// # Errors
/// When ip(8) fails.
pub fn neighbour(interface: &str, address: IpAddr) -> Result<Option<String>, CmdError> {
    let address = address.to_string();
    let command = Cmd::new("ip").args(["-json", "neighbour", "show", "to", &address, "dev", interface]);
    Ok(command.json::<Vec<Entry>>()?.into_iter().find_map(|entry| entry.lladdr))
}
