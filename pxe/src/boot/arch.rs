//! Architectures of option 93: what each number means, and the lies that are known.

use crate::dhcp::options;
use crate::dhcp::packet::Packet;

/// x86 with a BIOS.
pub(super) const BIOS: u16 = 0;
/// Raspberry Pi ("arm rpiboot" in the IANA registry).
pub const RASPBERRY_PI: u16 = 41;

/// Prefixes of the hardware addresses of Raspberry Pi boards.
const PI_PREFIXES: [[u8; 3]; 7] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0x28, 0xcd, 0xc1],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
    [0x88, 0xa2, 0x9e],
];

/// The architecture that `packet` speaks of: of option 93's list the first that there is something to boot for, else
/// its first; without option 93 what the vendor class says; else BIOS, as ROMs from before RFC 4578 are.
pub(super) fn of(packet: &Packet<'_>) -> u16 {
    let listed = || packet.option(options::ARCH).into_iter().flat_map(options::architectures);
    let class = packet.option(options::VENDOR_CLASS).unwrap_or_default();
    let said = choose(listed).or_else(|| in_class(class));
    match said.unwrap_or(BIOS) {
        BIOS if is_raspberry(packet) => RASPBERRY_PI,
        arch => arch,
    }
}

/// Of the architectures that a client lists the first that there is something to boot for, else its first.
pub(crate) fn choose<I: Iterator<Item = u16>>(listed: impl Fn() -> I) -> Option<u16> {
    listed().find(|arch| is_shipped(*arch)).or_else(|| listed().next())
}

/// The number in `PXEClient:Arch:xxxxx:UNDI:yyyzzz` (PXE 2.1 table 2-1).
fn in_class(class: &[u8]) -> Option<u16> {
    let (_, rest) = std::str::from_utf8(class).ok()?.split_once(":Arch:")?;
    rest.get(..5)?.parse().ok()
}

/// Its boot ROM says 0 in option 93 (raspberrypi/firmware #1928). Known by the maker of its network card, or by the
/// `RPi4` that it puts where the machine's UUID belongs.
fn is_raspberry(packet: &Packet<'_>) -> bool {
    let by_card = PI_PREFIXES.iter().any(|prefix| packet.hw.as_bytes().starts_with(prefix));
    let by_id = packet.option(options::MACHINE_ID).is_some_and(|id| id.get(1..5) == Some(b"RPi4"));
    let boots = packet.option(options::VENDOR_CLASS).is_some_and(|class| class.starts_with(b"PXEClient"));
    let ipxe = packet.option(options::IPXE).is_some();
    (by_card || by_id) && boots && !ipxe
}

/// x86-64 UEFI in its numbers: 7 is what firmware says, 9 is what RFC 4578 as published says for the same machine
/// (erratum 1614), 16 is that of HTTP boot.
pub(super) fn is_x86_64_uefi(arch: u16) -> bool {
    matches!(arch, 7 | 9 | 16)
}

/// Whether there is something to boot for it.
pub(super) fn is_shipped(arch: u16) -> bool {
    arch == BIOS || is_x86_64_uefi(arch)
}

/// An architecture as a person would call it (IANA registry "Processor Architecture Types").
#[must_use]
pub fn arch_name(arch: u16) -> &'static str {
    match arch {
        BIOS => "x86 BIOS",
        1 => "NEC PC-98",
        2 => "Itanium",
        3 => "DEC Alpha",
        4 => "Arc x86",
        5 => "Intel Lean Client",
        6 => "32-bit x86 UEFI",
        7 | 9 => "x86-64 UEFI",
        8 => "Intel XScale UEFI",
        10 => "32-bit ARM UEFI",
        11 => "64-bit ARM UEFI",
        12 => "PowerPC Open Firmware",
        13 => "PowerPC ePAPR",
        14 => "POWER OPAL",
        15 => "32-bit x86 UEFI HTTP boot",
        16 => "x86-64 UEFI HTTP boot",
        17 => "EFI byte code HTTP boot",
        18 => "32-bit ARM UEFI HTTP boot",
        19 => "64-bit ARM UEFI HTTP boot",
        20 => "x86 BIOS HTTP boot",
        21 | 23 => "32-bit ARM U-Boot",
        22 | 24 => "64-bit ARM U-Boot",
        25 | 26 => "32-bit RISC-V UEFI",
        27 | 28 => "64-bit RISC-V UEFI",
        29 | 30 => "128-bit RISC-V UEFI",
        31 | 32 => "s390",
        33 | 34 => "MIPS UEFI",
        35 | 36 => "Sunway UEFI",
        37 | 38 => "32-bit LoongArch UEFI",
        39 | 40 => "64-bit LoongArch UEFI",
        RASPBERRY_PI => "Raspberry Pi",
        _ => "an architecture unknown to us",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shipped_is_said_to_be() {
        let shipped: Vec<u16> = (0..=u16::MAX).filter(|arch| is_shipped(*arch)).collect();
        assert_eq!(shipped, [0, 7, 9, 16]);
        for arch in (0..=41).filter(|arch| !is_shipped(*arch)) {
            assert!(!arch_name(arch).contains("unknown"), "{arch} has a name in its warning");
        }
        assert!(arch_name(42).contains("unknown"));
    }

    #[test]
    fn the_number_in_a_vendor_class() {
        let rows: &[(&str, &[u8], Option<u16>)] = &[
            ("firmware", b"PXEClient:Arch:00007:UNDI:003000", Some(7)),
            ("HTTP boot", b"HTTPClient:Arch:00016:UNDI:003000", Some(16)),
            ("bare", b"PXEClient", None),
            ("cut short", b"PXEClient:Arch:000", None),
            ("too large", b"PXEClient:Arch:99999:UNDI", None),
            ("not text", b"PXEClient:Arch:\xff\xff\xff\xff\xff", None),
            ("several bytes a character", "PXEClient:Arch:000é".as_bytes(), None),
            ("empty", b"", None),
        ];
        for (name, class, wanted) in rows {
            assert_eq!(in_class(class), *wanted, "{name}");
        }
    }
}
