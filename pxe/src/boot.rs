//! What a client that asks for an address shall boot, from what its firmware says of itself. One pure table.

mod arch;

pub(crate) use arch::choose as choose_arch;
pub use arch::{RASPBERRY_PI, arch_name};

use crate::dhcp::options;
use crate::dhcp::packet::Packet;

/// TFTP name of iPXE for BIOS, driven through the card's own UNDI driver.
pub const BIOS_LOADER: &str = "undionly.kpxe";
/// What UEFI loads first, by TFTP and by HTTP: shim, which firmware starts with Secure Boot on or off.
pub const UEFI_LOADER: &str = "shimx64.efi";
/// What shim then loads from beside itself: Debian's signed network GRUB.
pub const UEFI_SECOND: &str = "grubx64.efi";
/// iPXE for x86-64 UEFI, which nobody signed.
pub const UEFI_IPXE: &str = "ipxe.efi";

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
    /// The loader for x86-64 UEFI, by HTTP.
    HttpLoader,
    /// The boot script.
    Script,
    /// It wants to boot, and we have nothing for its architecture.
    Unsupported,
}

/// Reads the client off its packet.
#[must_use]
pub fn client(packet: &Packet<'_>) -> Client {
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
    Client { arch: arch::of(packet), stage }
}

/// The decision.
#[must_use]
pub fn decide(client: Client) -> Boot {
    match client.stage {
        Stage::System => Boot::Nothing,
        _ if !arch::is_shipped(client.arch) => Boot::Unsupported,
        // Whatever loaded it: a script, never iPXE again, or it would load itself for ever.
        Stage::Ipxe => Boot::Script,
        Stage::Pxe if is_bios(client.arch) => Boot::Tftp(BIOS_LOADER),
        Stage::Pxe => Boot::Tftp(UEFI_LOADER),
        Stage::Http if arch::is_x86_64_uefi(client.arch) => Boot::HttpLoader,
        Stage::Http => Boot::Unsupported,
    }
}

/// Whether a machine of `arch` has BIOS firmware (all others we know have UEFI).
#[must_use]
pub fn is_bios(arch: u16) -> bool {
    arch == arch::BIOS
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
            ("HTTP boot that says 7", &[(93, &[0, 7]), (60, HTTP16)], Boot::HttpLoader),
            ("HTTP boot of a BIOS", &[(93, &[0, 20]), (60, b"HTTPClient:Arch:00020")], Boot::Unsupported),
            ("HTTP boot that says it is a BIOS", &[(93, &[0, 0]), (60, b"HTTPClient")], Boot::Unsupported),
            ("HTTP boot on ARM64", &[(93, &[0, 19]), (60, b"HTTPClient:Arch:00019")], Boot::Unsupported),
            ("RISC-V", &[(93, &[0, 27]), (60, b"PXEClient:Arch:00027")], Boot::Unsupported),
            ("UEFI whose number is in option 60 only", &[(60, PXE7)], Boot::Tftp(UEFI_LOADER)),
            (
                "a number in option 60 that is not shipped",
                &[(60, b"PXEClient:Arch:00011:UNDI:003000")],
                Boot::Unsupported,
            ),
            ("Raspberry Pi that says what it is", &[(93, &[0, 41]), (60, b"PXEClient")], Boot::Unsupported),
            (
                "Raspberry Pi 4 that says it is a BIOS",
                &[
                    (93, &[0, 0]),
                    (60, b"PXEClient:Arch:00000:UNDI:002001"),
                    (97, b"\0RPi4\x14\x31\xc0\0\xaa\xbb\xcc\xdd\x01\x02\x03\x04"),
                ],
                Boot::Unsupported,
            ),
            ("iPXE with a list of user classes", &[(93, &[0, 0]), (77, b"\x05other\x04iPXE")], Boot::Script),
            ("iPXE by HTTP boot", &[(93, &[0, 16]), (60, HTTP16), (77, b"iPXE")], Boot::Script),
            (
                "another user class is not iPXE",
                &[(93, &[0, 7]), (60, PXE7), (77, b"gPXE")],
                Boot::Tftp(UEFI_LOADER),
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

    /// raspberrypi/firmware #1928: the boot ROM says 0, as a BIOS does.
    #[test]
    fn a_raspberry_pi_is_known_by_its_card() {
        let rows = [
            ("b8:27:eb:00:00:01", RASPBERRY_PI, Boot::Unsupported),
            ("2c:cf:67:00:00:01", RASPBERRY_PI, Boot::Unsupported),
            ("52:54:00:00:00:01", 0, Boot::Tftp(BIOS_LOADER)),
        ];
        for (mac, arch, wanted) in rows {
            let mut writer = Writer::request(MessageType::Discover, 1, mac.parse().unwrap(), true);
            writer.option(options::ARCH, &[0, 0]);
            writer.option(options::VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001");
            let message = writer.finish().unwrap();
            let client = client(&Packet::parse(message.as_bytes()).unwrap());
            assert_eq!((client.arch, decide(client)), (arch, wanted), "{mac}");
        }
    }
}
