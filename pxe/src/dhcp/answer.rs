//! How an OFFER or ACK is written: addresses, times, network, and what the client shall boot.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::identity::Who;
use super::lease::Seconds;
use super::netboot::Netboot;
use super::options::{self, MessageType};
use super::packet::{Packet, Writer};
use super::server::{CLIENT_PORT, Reply, SERVER_PORT, Settings, Silence};
use super::told::Subnet;
use crate::boot::{self, Boot};

/// What every answer ends with: the client's identifier (RFC 6842) and, last, the relay's option (RFC 3046).
pub(super) fn echo(writer: &mut Writer, packet: &Packet<'_>) {
    if let Some(id) = packet.option(options::CLIENT_ID) {
        writer.option(options::CLIENT_ID, id);
    }
    for (_, value) in packet.options().filter(|(code, _)| *code == options::RELAY) {
        writer.option(options::RELAY, value);
    }
}

/// An OFFER or ACK to be written.
pub(super) struct Answer<'a> {
    pub(super) settings: &'a Settings,
    pub(super) packet: &'a Packet<'a>,
    pub(super) who: &'a Who<'a>,
    pub(super) subnet: &'a Subnet,
    pub(super) ip: Ipv4Addr,
    /// `None` for INFORM, which gets neither address nor lease times.
    pub(super) lease: Option<Seconds>,
}

impl Answer<'_> {
    /// Writes it as `kind`, for the place where the client hears it.
    pub(super) fn write(&self, kind: MessageType) -> Result<Reply, Silence> {
        let client = boot::client(self.packet);
        let boot = boot::decide(client);
        let mut writer = Writer::reply(self.packet, kind);
        if self.lease.is_some() {
            writer.set_yiaddr(self.ip);
        }
        if kind == MessageType::Ack {
            writer.set_ciaddr(self.packet.ciaddr);
        }
        self.times(&mut writer);
        self.network(&mut writer, boot);
        Netboot { settings: self.settings, packet: self.packet, client }.write(&mut writer, boot);
        echo(&mut writer, self.packet);
        Ok(Reply { kind, message: writer.finish()?, to: self.destination(), ip: self.ip, boot })
    }

    /// RFC 2131 section 4.1. A client without an address cannot be asked for its hardware address, so instead of a
    /// raw frame it gets a broadcast, which the RFC allows and every firmware accepts.
    fn destination(&self) -> SocketAddrV4 {
        let packet = self.packet;
        if !packet.giaddr.is_unspecified() {
            SocketAddrV4::new(packet.giaddr, SERVER_PORT)
        } else if !packet.ciaddr.is_unspecified() {
            SocketAddrV4::new(packet.ciaddr, CLIENT_PORT)
        } else {
            SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT)
        }
    }

    fn times(&self, writer: &mut Writer) {
        // A client believes only who it asked, even where that one died meanwhile and we answer in its place.
        let asked = self.packet.option_ip(options::SERVER_ID);
        let asked = asked.filter(|id| self.settings.siblings.contains(id));
        let server = asked.or(self.who.relay.server).unwrap_or(self.settings.server).octets();
        if let Some(lease) = self.lease {
            let seconds = |s: Seconds| u32::try_from(s).unwrap_or(u32::MAX).to_be_bytes();
            writer.option(options::LEASE_TIME, &seconds(lease));
            writer.option(options::SERVER_ID, &server);
            writer.option(options::RENEWAL, &seconds(lease / 2));
            writer.option(options::REBINDING, &seconds(lease / 8 * 7));
        } else {
            writer.option(options::SERVER_ID, &server);
        }
    }

    /// What the client's network tells. What it is told to boot by, [`Netboot`] says.
    fn network(&self, writer: &mut Writer, boot: Boot) {
        let asked = self.packet.option(options::PARAMETERS).unwrap_or_default();
        let boots = !matches!(boot, Boot::Nothing | Boot::Unsupported);
        let name = self.settings.reservations.hostname(self.who, self.ip);
        let name = name.filter(|_| asked.contains(&options::HOST_NAME));
        if let Some(name) = name {
            writer.option(options::HOST_NAME, name.as_bytes());
        }
        for told in &self.subnet.told {
            let code = told.code;
            let netboot = matches!(
                code,
                options::VENDOR
                    | options::VENDOR_CLASS
                    | options::TFTP_SERVER
                    | options::BOOT_FILE
                    | options::IPXE
            );
            let named = code == options::HOST_NAME && name.is_some();
            if (told.always || asked.contains(&code)) && !(netboot && boots) && !named {
                writer.option(code, &told.value);
            }
        }
    }
}
