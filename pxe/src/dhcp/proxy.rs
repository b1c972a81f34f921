//! ProxyDHCP (PXE 2.1 section 2.2): beside a DHCP server that others run, boot firmware is told what to load, and nobody
//! is given an address. Pure, as [`super::server`].
//!
//! A client that broadcasts DISCOVER on port 67 hears two offers: the other server's address, and ours with none. What
//! it then does depends on option 43 of ours:
//!
//! | [`ProxyStyle`] | options of the offer | what firmware does |
//! | --- | --- | --- |
//! | `direct` | 60, 43 with discovery control 8, boot file | loads the file at once; all BIOS ROMs and stock EDK2 do |
//! | `binl` | 60, no 43, boot file | asks port 4011 of ours for the file, in EDK2 as well as where UEFI of some makers ignores the offers of the other kind |
//!
//! UEFI is answered the second way unless the configuration says otherwise, BIOS always the first. iPXE and UEFI HTTP
//! boot take their URL from the offer itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

use super::lease::{Seconds, State};
use super::leases::Leases;
use super::netboot::Netboot;
use super::options::{self, MessageType};
use super::packet::{BOOTREQUEST, Packet, Writer};
use super::server::{self, CLIENT_PORT, Reply, SERVER_PORT, Settings, Silence};
use crate::boot::{self, Boot};

/// Port of PXE boot servers, PXE 2.1 section 2.2.3.
pub const BOOT_SERVER_PORT: u16 = 4011;

/// How UEFI firmware is told its boot file when its address comes from somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyStyle {
    /// It asks on port 4011.
    #[default]
    Binl,
    /// It takes the file of the offer.
    Direct,
}

/// What x86-64 UEFI loads by TFTP when its address comes from somebody else. (By HTTP always shim: GRUB then takes the
/// server out of the address that it was loaded from.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyLoader {
    /// iPXE, which nobody signed: Secure Boot must be off.
    #[default]
    Ipxe,
    /// shim and Debian's signed GRUB, which knows nothing of ProxyDHCP and looks for its menu at the other server's
    /// `next-server` (savannah #55636): that must name us.
    Shim,
}

/// Answers what was heard on port 67.
///
/// # Errors
/// [`Silence`]: the reason why there is no answer.
pub fn handle(settings: &Settings, packet: &Packet<'_>) -> Result<Reply, Silence> {
    if packet.op != BOOTREQUEST {
        return Err(Silence::NotARequest);
    }
    if !packet.giaddr.is_unspecified() && !settings.serves(packet.giaddr) {
        return Err(Silence::Relay);
    }
    if packet.kind != MessageType::Discover {
        return Err(Silence::ProxyOnly);
    }
    let to = match packet.giaddr.is_unspecified() {
        true => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
        false => SocketAddrV4::new(packet.giaddr, SERVER_PORT),
    };
    answer(settings, packet, MessageType::Offer, to)
}

/// Answers what was heard on port 67 by a server that gave addresses before: whoever holds one keeps it.
///
/// # Errors
/// [`Silence`]: the reason why there is no answer.
pub fn beside(
    leases: &mut Leases,
    settings: &Settings,
    now: Seconds,
    packet: &Packet<'_>,
) -> Result<Reply, Silence> {
    let holds = leases.lease(packet.hw).is_some_and(|lease| lease.state != State::Past);
    let named = packet.option_ip(options::SERVER_ID);
    match packet.kind {
        // Told so that an offer of ours is free again.
        MessageType::Request if named.is_some_and(|id| id != settings.server) => {}
        MessageType::Request if holds => {}
        MessageType::Release | MessageType::Decline => {}
        _ => return handle(settings, packet),
    }
    match server::handle(leases, settings, now, packet) {
        // What we know nothing of is the other server's.
        Ok(reply) if reply.kind == MessageType::Nak => Err(Silence::ProxyOnly),
        result => result,
    }
}

/// Answers what was heard on port 4011, from the address and port that sent it.
///
/// # Errors
/// [`Silence`]: the reason why there is no answer.
pub fn boot_server(settings: &Settings, packet: &Packet<'_>, from: SocketAddrV4) -> Result<Reply, Silence> {
    if packet.op != BOOTREQUEST || !matches!(packet.kind, MessageType::Request | MessageType::Inform) {
        return Err(Silence::NotARequest);
    }
    if !packet.giaddr.is_unspecified() {
        return Err(Silence::Relay);
    }
    let address = [packet.ciaddr, *from.ip()].into_iter().find(|ip| !ip.is_unspecified());
    // Whoever claims an address elsewhere would have us send there for him.
    if address.is_some_and(|ip| !settings.serves(ip)) {
        return Err(Silence::Relay);
    }
    // Neither is its hardware address asked for nor guessed: without an address it hears a broadcast.
    let port = if from.port() == 0 { CLIENT_PORT } else { from.port() };
    let to = SocketAddrV4::new(address.unwrap_or(Ipv4Addr::BROADCAST), port);
    answer(settings, packet, MessageType::Ack, to)
}

fn answer(
    settings: &Settings,
    packet: &Packet<'_>,
    kind: MessageType,
    to: SocketAddrV4,
) -> Result<Reply, Silence> {
    let client = boot::client(packet);
    let boot = boot::decide(client);
    match boot {
        Boot::Nothing => return Err(Silence::ProxyOnly),
        Boot::Unsupported => return Err(Silence::Unsupported),
        _ => {}
    }
    let mut writer = Writer::reply(packet, kind);
    if kind == MessageType::Ack {
        writer.set_ciaddr(packet.ciaddr);
    }
    writer.option(options::SERVER_ID, &settings.server.octets());
    Netboot { settings, packet, client }.write_proxy(&mut writer, boot, kind);
    super::answer::echo(&mut writer, packet);
    Ok(Reply { kind, message: writer.finish()?, to, ip: packet.ciaddr, boot })
}

#[cfg(test)]
mod tests;
