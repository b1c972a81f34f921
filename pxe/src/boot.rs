//! What a client that asks for an address shall boot, from what its firmware says of itself. One pure table.

use crate::dhcp::options;
use crate::dhcp::packet::Packet;

/// TFTP name of iPXE for BIOS, driven through the card's own UNDI driver.
pub const BIOS_LOADER: &str = "undionly.kpxe";
/// TFTP name of iPXE for x86-64 UEFI.
pub const UEFI_LOADER: &str = "ipxe.efi";

/// What a client says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The first architecture of option 93 that we know, else its first; 0 (BIOS) when it is absent, as old ROMs do.
    pub arch: u16,
    /// How it wants to be booted.
    pub stage: Stage,
}

/// The program that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// PXE firmware: loads by TFTP.
    Pxe,
    /// UEFI HTTP boot: loads by HTTP.
    Http,
    /// iPXE: runs scripts.
    Ipxe,
    /// An operating system (or anything else): wants an address only.
    System,
}

/// What it shall boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// Nothing: an address is all it wants.
    Nothing,
    /// This file, by TFTP.
    Tftp(&'static str),
    /// iPXE for x86-64 UEFI, by HTTP.
    HttpLoader,
    /// The boot script.
    Script,
    /// It wants to boot, and we have nothing for its architecture.
    Unsupported,
}

/// Reads the client off its packet.
#[must_use]
pub fn client(packet: &Packet<'_>) -> Client {
    let archs = || packet.option(options::ARCH).into_iter().flat_map(options::architectures);
    let arch = archs().find(|arch| is_known(*arch)).or_else(|| archs().next()).unwrap_or(0);
    let class = packet.option(options::VENDOR_CLASS).unwrap_or_default();
    let ipxe = packet.option(options::USER_CLASS).is_some_and(|v| options::has_user_class(v, b"iPXE"))
        || packet.option(options::IPXE).is_some();
    let stage = if ipxe {
        Stage::Ipxe
    } else if class.starts_with(b"HTTPClient") {
        Stage::Http
    } else if class.starts_with(b"PXEClient") {
        Stage::Pxe
    } else {
        Stage::System
    };
    Client { arch, stage }
}

/// The decision.
#[must_use]
pub fn decide(client: Client) -> Boot {
    match (client.stage, client.arch) {
        (Stage::System, _) => Boot::Nothing,
        (Stage::Ipxe, 0 | 7 | 9 | 16) => Boot::Script,
        (Stage::Pxe, 0) => Boot::Tftp(BIOS_LOADER),
        // 7 is what firmware says; 9 is what RFC 4578 as published says for the same machine (erratum 1614).
        (Stage::Pxe, 7 | 9) => Boot::Tftp(UEFI_LOADER),
        (Stage::Http, 16) => Boot::HttpLoader,
        _ => Boot::Unsupported,
    }
}

/// Whether a machine of `arch` has BIOS firmware (all others we know have UEFI).
#[must_use]
pub fn is_bios(arch: u16) -> bool {
    arch == 0
}

fn is_known(arch: u16) -> bool {
    matches!(arch, 0 | 7 | 9 | 16)
}

/// An architecture as a person would call it (IANA registry "Processor Architecture Types").
#[must_use]
pub fn arch_name(arch: u16) -> &'static str {
    match arch {
        0 => "x86 BIOS",
        6 => "32-bit x86 UEFI",
        7 | 9 => "x86-64 UEFI",
        10 => "32-bit ARM UEFI",
        11 => "64-bit ARM UEFI",
        15 => "32-bit x86 UEFI HTTP boot",
        16 => "x86-64 UEFI HTTP boot",
        18 => "32-bit ARM UEFI HTTP boot",
        19 => "64-bit ARM UEFI HTTP boot",
        25 | 27 | 29 => "RISC-V UEFI",
        41 => "Raspberry Pi",
        _ => "an architecture unknown to us",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::options::MessageType;
    use crate::dhcp::packet::Writer;

    const PXE7: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
    const HTTP16: &[u8] = b"HTTPClient:Arch:00016:UNDI:003000";

    #[test]
    fn the_table() {
        type Row = (&'static str, &'static [(u8, &'static [u8])], Boot);
        let rows: &[Row] = &[
            (
                "BIOS ROM",
                &[(93, &[0, 0]), (60, b"PXEClient:Arch:00000:UNDI:002001")],
                Boot::Tftp(BIOS_LOADER),
            ),
            ("old ROM without option 93", &[(60, b"PXEClient")], Boot::Tftp(BIOS_LOADER)),
            ("OVMF PXEv4", &[(93, &[0, 7]), (60, PXE7)], Boot::Tftp(UEFI_LOADER)),
            ("UEFI that says 9", &[(93, &[0, 9]), (60, b"PXEClient:Arch:00009")], Boot::Tftp(UEFI_LOADER)),
            (
                "list: EFI byte code unknown to us, then 7",
                &[(93, &[0, 99, 0, 7]), (60, PXE7)],
                Boot::Tftp(UEFI_LOADER),
            ),
            ("OVMF HTTPv4", &[(93, &[0, 16]), (60, HTTP16)], Boot::HttpLoader),
            ("iPXE on BIOS", &[(93, &[0, 0]), (60, b"PXEClient:Arch:00000"), (77, b"iPXE")], Boot::Script),
            (
                "iPXE on UEFI still says 7 and PXEClient",
                &[(93, &[0, 7]), (60, PXE7), (77, b"iPXE")],
                Boot::Script,
            ),
            ("iPXE, RFC 3004 user class", &[(93, &[0, 7]), (77, b"\x04iPXE")], Boot::Script),
            ("iPXE known by option 175 only", &[(93, &[0, 7]), (60, PXE7), (175, &[1])], Boot::Script),
            ("ARM64 UEFI", &[(93, &[0, 11]), (60, b"PXEClient:Arch:00011")], Boot::Unsupported),
            ("32-bit UEFI", &[(93, &[0, 6]), (60, b"PXEClient:Arch:00006")], Boot::Unsupported),
            (
                "HTTP boot of a 32-bit UEFI",
                &[(93, &[0, 15]), (60, b"HTTPClient:Arch:00015")],
                Boot::Unsupported,
            ),
            ("iPXE on ARM64", &[(93, &[0, 11]), (77, b"iPXE")], Boot::Unsupported),
            ("an operating system", &[(60, b"udhcp 1.37")], Boot::Nothing),
            ("nothing said", &[], Boot::Nothing),
            ("empty option 93", &[(93, &[]), (60, b"PXEClient")], Boot::Tftp(BIOS_LOADER)),
        ];
        for (name, given, wanted) in rows {
            let hw = "52:54:00:00:00:01".parse().unwrap();
            let mut writer = Writer::request(MessageType::Discover, 1, hw, true);
            for (code, value) in *given {
                writer.option(*code, value);
            }
            let message = writer.finish().unwrap();
            let packet = Packet::parse(message.as_bytes()).unwrap();
            assert_eq!(decide(client(&packet)), *wanted, "{name}");
        }
    }
}
