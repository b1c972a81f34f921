//! How an OFFER or ACK is written: addresses, times, network, and what the client shall boot.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::lease::Seconds;
use super::options::{self, MessageType};
use super::packet::{Packet, Writer};
use super::server::{CLIENT_PORT, Reply, SERVER_PORT, Settings, Silence};
use crate::boot::{self, Boot, Client};
use crate::script::Target;

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
        self.network(&mut writer);
        self.netboot(&mut writer, client, boot);
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
        if let Some(lease) = self.lease {
            let seconds = |s: Seconds| u32::try_from(s).unwrap_or(u32::MAX).to_be_bytes();
            writer.option(options::LEASE_TIME, &seconds(lease));
            writer.option(options::SERVER_ID, &self.settings.server.octets());
            writer.option(options::RENEWAL, &seconds(lease / 2));
            writer.option(options::REBINDING, &seconds(lease / 8 * 7));
        } else {
            writer.option(options::SERVER_ID, &self.settings.server.octets());
        }
    }

    fn network(&self, writer: &mut Writer) {
        let settings = self.settings;
        let asked = self.packet.option(options::PARAMETERS).unwrap_or_default();
        let mask = settings.mask();
        writer.option(options::SUBNET_MASK, &mask.to_be_bytes());
        writer.option_ips(options::ROUTER, settings.router.as_slice());
        writer.option_ips(options::DNS, &settings.dns);
        if asked.contains(&options::HOST_NAME)
            && let Some(name) = settings.names.get(&self.packet.hw)
        {
            writer.option(options::HOST_NAME, name.as_bytes());
        }
        if asked.contains(&options::DOMAIN)
            && let Some(domain) = &settings.domain
        {
            writer.option(options::DOMAIN, domain.as_bytes());
        }
        if asked.contains(&options::MTU)
            && let Some(mtu) = settings.mtu
        {
            writer.option(options::MTU, &mtu.to_be_bytes());
        }
        writer.option(options::BROADCAST, &(settings.server.to_bits() | !mask).to_be_bytes());
        if asked.contains(&options::NTP) {
            writer.option_ips(options::NTP, &settings.ntp);
        }
    }

    fn netboot(&self, writer: &mut Writer, client: Client, boot: Boot) {
        let http = self.settings.http();
        match boot {
            Boot::Nothing | Boot::Unsupported => return,
            Boot::Script => {
                let url = Target { http: &http, hw: self.packet.hw, arch: client.arch }.script_url();
                writer.option(options::IPXE, &[options::IPXE_NO_PXEDHCP, 1, 1]);
                boot_file(writer, &url);
            }
            Boot::HttpLoader => {
                writer.option(options::VENDOR_CLASS, b"HTTPClient");
                boot_file(writer, &format!("{http}/release/boot/net/{}", boot::UEFI_LOADER));
            }
            Boot::Tftp(file) => {
                writer.option(options::VENDOR_CLASS, b"PXEClient");
                // Without it, EDK2 takes option 60 for a boot server to ask on port 4011, and ROMs show a menu.
                let discovery = [options::PXE_DISCOVERY, 1, options::PXE_SKIP_DISCOVERY, options::END];
                writer.option(options::VENDOR, &discovery);
                writer.set_siaddr(self.settings.server);
                writer.option(options::TFTP_SERVER, self.settings.server.to_string().as_bytes());
                boot_file(writer, file);
            }
        }
        if let Some(id) = self.packet.option(options::MACHINE_ID) {
            writer.option(options::MACHINE_ID, id);
        }
    }
}

/// The boot file in both places; in option 67 with a NUL at its end, for ROMs that read it as a C string.
fn boot_file(writer: &mut Writer, name: &str) {
    writer.set_file(name.as_bytes());
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    writer.option(options::BOOT_FILE, &value);
}
