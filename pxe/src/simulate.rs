//! What a given machine would be answered, as text. Nothing is sent and nothing is remembered.

use std::fmt::Write as _;

use crate::boot::{self, Boot, Stage};
use crate::dhcp::leases::Leases;
use crate::dhcp::options::{self, MessageType};
use crate::dhcp::packet::{Packet, Writer};
use crate::dhcp::server::{self, Reply, Settings};
use crate::hw::HwAddr;

/// A machine to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// Its interface.
    pub hw: HwAddr,
    /// Option 93.
    pub arch: u16,
    /// The program that asks.
    pub stage: Stage,
}

/// Runs DISCOVER and REQUEST of `machine` against `leases` and tells all four packets.
#[must_use]
pub fn simulate(leases: &mut Leases, settings: &Settings, machine: Machine) -> String {
    let mut text = String::new();
    let discover = request(MessageType::Discover, machine, &[]);
    let Some(offer) = step(&mut text, leases, settings, discover) else { return text };
    let server = settings.server.octets();
    let wanted = [(options::REQUESTED_IP, offer.ip.octets()), (options::SERVER_ID, server)];
    let ask = request(MessageType::Request, machine, &wanted);
    step(&mut text, leases, settings, ask);
    text
}

/// A packet as such a client sends it.
fn request(kind: MessageType, machine: Machine, more: &[(u8, [u8; 4])]) -> Writer {
    let mut writer = Writer::request(kind, 0x4d41_454b, machine.hw, true);
    for (code, value) in more {
        writer.option(*code, value);
    }
    let arch = machine.arch;
    match machine.stage {
        Stage::System => return writer,
        Stage::Http => {
            writer.option(options::VENDOR_CLASS, format!("HTTPClient:Arch:{arch:05}:UNDI:003000").as_bytes());
        }
        Stage::Pxe | Stage::Ipxe => {
            writer.option(options::VENDOR_CLASS, format!("PXEClient:Arch:{arch:05}:UNDI:003000").as_bytes());
        }
    }
    writer.option(options::ARCH, &arch.to_be_bytes());
    if machine.stage == Stage::Ipxe {
        writer.option(options::USER_CLASS, b"iPXE");
    }
    writer
}

fn step(text: &mut String, leases: &mut Leases, settings: &Settings, ask: Writer) -> Option<Reply> {
    let message = ask.finish().ok()?; // a handful of options always fits
    let packet = Packet::parse(message.as_bytes()).ok()?; // our own
    show(text, "->", &packet);
    match server::handle(leases, settings, 0, &packet) {
        Ok(reply) => {
            if let Ok(answer) = Packet::parse(reply.message.as_bytes()) {
                show(text, &format!("<- to {},", reply.to), &answer);
            }
            if reply.boot == Boot::Unsupported {
                let arch = boot::arch_name(boot::client(&packet).arch);
                let _ = writeln!(text, "     (nothing to boot: it is {arch}, and only x86-64 is shipped)");
            }
            Some(reply)
        }
        Err(why) => {
            let _ = writeln!(text, "<- nothing: {why}");
            None
        }
    }
}

/// One packet; writing to a String cannot fail.
fn show(text: &mut String, head: &str, packet: &Packet<'_>) {
    let _ = writeln!(text, "{head} {:?} xid {:08x} from {}", packet.kind, packet.xid, packet.hw);
    for (name, ip) in [("yiaddr", packet.yiaddr), ("siaddr", packet.siaddr), ("ciaddr", packet.ciaddr)] {
        if !ip.is_unspecified() {
            let _ = writeln!(text, "     {name:<7} {ip}");
        }
    }
    if !packet.file().is_empty() {
        let _ = writeln!(text, "     file    {}", packet.file().escape_ascii());
    }
    for (code, value) in packet.options() {
        let _ = writeln!(text, "     {code:<7} {}", option_text(code, value));
    }
}

fn option_text(code: u8, value: &[u8]) -> String {
    let number = || value.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    match code {
        options::SUBNET_MASK
        | options::ROUTER
        | options::DNS
        | options::NTP
        | options::BROADCAST
        | options::REQUESTED_IP
        | options::SERVER_ID => {
            let ips = value.chunks(4).map(|ip| ip.iter().map(u8::to_string).collect::<Vec<_>>().join("."));
            ips.collect::<Vec<_>>().join(", ")
        }
        options::LEASE_TIME | options::RENEWAL | options::REBINDING => format!("{} s", number()),
        options::MTU | options::MESSAGE_TYPE => number().to_string(),
        options::ARCH => {
            let archs =
                options::architectures(value).map(|arch| format!("{arch} ({})", boot::arch_name(arch)));
            archs.collect::<Vec<_>>().join(", ")
        }
        options::HOST_NAME
        | options::DOMAIN
        | options::VENDOR_CLASS
        | options::TFTP_SERVER
        | options::BOOT_FILE
        | options::USER_CLASS
        | options::MESSAGE => format!("\"{}\"", value.escape_ascii()),
        _ => value.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_config;

    #[test]
    fn a_uefi_machine_is_told_its_loader_and_its_ipxe_the_script() {
        let config = parse_config(
            "interface = \"x\"\naddress = \"10.0.0.1/24\"\npool_start = \"10.0.0.100\"\npool_end = \"10.0.0.199\"\n\
             release_dir = \"/r\"\nroot_path = \"/r/root\"\nagent_socket = \"/a\"\nlease_file = \"/l\"\n",
        )
        .unwrap();
        let rows = [
            (Stage::Pxe, 7, "\"ipxe.efi\\x00\""),
            (Stage::Pxe, 0, "\"undionly.kpxe\\x00\""),
            (Stage::Http, 16, "\"http://10.0.0.1:8480/release/boot/net/ipxe.efi\\x00\""),
            (Stage::Ipxe, 7, "/boot.ipxe?mac=52:54:00:00:00:01&uuid=${uuid}&arch=7\\x00\""),
            (Stage::System, 0, "yiaddr  10.0.0.100"),
            (Stage::Pxe, 11, "nothing to boot: it is 64-bit ARM UEFI"),
        ];
        for (stage, arch, wanted) in rows {
            let machine = Machine { hw: "52:54:00:00:00:01".parse().unwrap(), arch, stage };
            let text = simulate(&mut Leases::new(config.plan.clone()), &config.settings, machine);
            assert!(text.contains(wanted), "{stage:?} {arch}: {text}");
            assert_eq!(
                text.lines().filter(|l| l.starts_with("->") || l.starts_with("<-")).count(),
                4,
                "{text}"
            );
        }
    }
}
