//! What a given machine would be answered, as text. Nothing is sent and nothing is remembered.

mod show;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};

use uuid::Uuid;

pub use show::{describe, hex};

use crate::boot::{self, Boot, Stage};
use crate::dhcp::foreign;
use crate::dhcp::leases::Leases;
use crate::dhcp::options::{self, MessageType};
use crate::dhcp::packet::{Message, Packet, Writer};
use crate::dhcp::proxy::{self, BOOT_SERVER_PORT};
use crate::dhcp::server::{self, CLIENT_PORT, Reply, SERVER_PORT, Settings, Silence};
use crate::hw::HwAddr;

/// A machine to simulate.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its interface.
    pub hw: HwAddr,
    /// Option 93.
    pub arch: u16,
    /// The program that asks.
    pub stage: Stage,
    /// Its SMBIOS UUID; firmware without one says zeros.
    pub uuid: Option<Uuid>,
    /// Option 77, as bare text.
    pub user_class: Option<String>,
    /// The relay agent that it asks through.
    pub relay: Option<Ipv4Addr>,
}

/// What else is on its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Nothing: its address comes from here.
    Alone,
    /// We are told to be ProxyDHCP; another server, with this address, gives the addresses.
    Beside(Ipv4Addr),
}

/// Tells all packets of `machine` and what is answered to each.
#[must_use]
pub fn simulate(leases: &mut Leases, settings: &Settings, machine: &Machine, scene: Scene) -> String {
    let mut talk = Talk { text: String::new(), machine, settings };
    match scene {
        Scene::Alone => talk.alone(leases),
        Scene::Beside(other) => talk.beside(leases, other),
    }
    talk.text
}

struct Talk<'a> {
    text: String,
    machine: &'a Machine,
    settings: &'a Settings,
}

impl Talk<'_> {
    fn alone(&mut self, leases: &mut Leases) {
        let discover = self.request(MessageType::Discover, None, &[]);
        let settings = self.settings;
        let Some(offer) = self.step(discover, 67, |packet| server::handle(leases, settings, 0, packet))
        else {
            return;
        };
        let wanted = [(options::REQUESTED_IP, offer.ip), (options::SERVER_ID, settings.server)];
        let ask = self.request(MessageType::Request, None, &wanted);
        self.step(ask, 67, |packet| server::handle(leases, settings, 0, packet));
    }

    fn beside(&mut self, leases: &mut Leases, other: Ipv4Addr) {
        let settings = self.settings;
        let discover = self.request(MessageType::Discover, None, &[]);
        let offer = self.step(discover, 67, |packet| proxy::beside(leases, settings, 0, packet));
        // Any address will do that the other server may have given.
        let got = Ipv4Addr::from_bits(settings.server.to_bits() ^ 0xc8);
        let wanted = [(options::REQUESTED_IP, got), (options::SERVER_ID, other)];
        let take = self.request(MessageType::Request, None, &wanted);
        if let Some(message) = &take
            && let Ok(packet) = Packet::parse(message.as_bytes())
            && let Some(seen) = foreign::sighting(&packet)
        {
            let _ = writeln!(self.text, "== this REQUEST tells that {} gives addresses here", seen.server);
        }
        self.step(take, 67, |packet| proxy::beside(leases, settings, 0, packet));
        let asks_again = offer.is_some_and(|offer| {
            let answer = Packet::parse(offer.message.as_bytes());
            let vendor = answer.ok().and_then(|answer| answer.option(options::VENDOR));
            matches!(offer.boot, Boot::Tftp(_)) && vendor.is_none()
        });
        if asks_again {
            let ask = self.request(MessageType::Request, Some(got), &[]);
            let from = SocketAddrV4::new(got, CLIENT_PORT);
            self.step(ask, BOOT_SERVER_PORT, |packet| proxy::boot_server(settings, packet, from));
        }
    }

    /// A packet as such a client sends it; a handful of options always fits.
    fn request(
        &self,
        kind: MessageType,
        ciaddr: Option<Ipv4Addr>,
        more: &[(u8, Ipv4Addr)],
    ) -> Option<Message> {
        let Machine { hw, arch, stage, uuid, user_class, relay } = self.machine;
        let mut writer = Writer::request(kind, 0x4d41_454b, *hw, true);
        if let Some(ip) = ciaddr {
            writer.set_ciaddr(ip);
        } else if let Some(relay) = relay {
            writer.set_giaddr(*relay);
        }
        for (code, ip) in more {
            writer.option(*code, &ip.octets());
        }
        let program = match stage {
            Stage::System => None,
            Stage::Http => Some("HTTPClient"),
            Stage::Pxe | Stage::Ipxe => Some("PXEClient"),
        };
        if let Some(program) = program {
            let class = format!("{program}:Arch:{arch:05}:UNDI:003000");
            writer.option(options::VENDOR_CLASS, class.as_bytes());
            writer.option(options::ARCH, &arch.to_be_bytes());
            writer.option(options::UNDI, &[1, 3, 0]);
            let guid = uuid.map_or([0; 16], |uuid| uuid.to_bytes_le());
            writer.option(options::MACHINE_ID, &[&[0], guid.as_slice()].concat());
        }
        match (user_class, stage) {
            (Some(class), _) => writer.option(options::USER_CLASS, class.as_bytes()),
            (None, Stage::Ipxe) => writer.option(options::USER_CLASS, b"iPXE"),
            _ => {}
        }
        writer.finish().ok()
    }

    fn step(
        &mut self,
        ask: Option<Message>,
        port: u16,
        answer: impl FnOnce(&Packet<'_>) -> Result<Reply, Silence>,
    ) -> Option<Reply> {
        let message = ask?;
        let packet = Packet::parse(message.as_bytes()).ok()?; // our own
        self.show(&format!("-> to port {port}"), message.as_bytes());
        match answer(&packet) {
            Ok(reply) => {
                let from = if port == BOOT_SERVER_PORT { BOOT_SERVER_PORT } else { SERVER_PORT };
                self.show(&format!("<- to {} from port {from}", reply.to), reply.message.as_bytes());
                if reply.boot == Boot::Unsupported {
                    let arch = boot::arch_name(boot::client(&packet).arch);
                    let _ = writeln!(
                        self.text,
                        "     (nothing to boot: it is {arch}, and only x86-64 is shipped)"
                    );
                }
                Some(reply)
            }
            Err(why) => {
                let _ = writeln!(self.text, "<- nothing: {why}");
                None
            }
        }
    }

    fn show(&mut self, head: &str, bytes: &[u8]) {
        let _ = write!(self.text, "{head}\n{}{}", describe(bytes), hex(bytes));
    }
}

#[cfg(test)]
mod tests;
