//! The clients.

use maekin_pxe::dhcp::options::MessageType;

/// How the server that is asked stands, and where it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// Port 67 of a server that gives addresses.
    Server,
    /// Port 67 beside another server that does.
    Proxy,
    /// The same, where the configuration has UEFI take its file from the offer.
    ProxyDirect,
    /// Port 4011, from this address.
    BootServer(&'static str),
}

/// A client.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    pub(crate) port: Port,
    pub(crate) kind: MessageType,
    pub(crate) mac: &'static str,
    pub(crate) broadcast: bool,
    pub(crate) options: &'static [(u8, &'static [u8])],
    /// What is peculiar about the rest of the packet.
    pub(crate) change: fn(&mut Vec<u8>),
}

const MAC: &str = "52:54:00:12:34:56";
const PXE7: &[u8] = b"PXEClient:Arch:00007:UNDI:003000";
const PXE0: &[u8] = b"PXEClient:Arch:00000:UNDI:002001";
const HTTP16: &[u8] = b"HTTPClient:Arch:00016:UNDI:003000";
/// What OVMF asks for.
const OVMF_ASKS: &[u8] = &[
    1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97,
    128, 129, 130, 131, 132, 133, 134, 135,
];
/// What iPXE asks for.
const IPXE_ASKS: &[u8] =
    &[1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, 128, 129, 130, 131, 132, 133, 134, 135, 175, 203];
const ZERO_UUID: &[u8] = &[0; 17];
const UUID: &[u8] =
    &[0, 0x44, 0x45, 0x4c, 0x4c, 0x31, 0, 0x10, 0x35, 0x80, 0x53, 0xb4, 0xc0, 0x4f, 0x33, 0x37, 0x32];
const DULL_UUID: &[u8] = &[0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9];
const CLIENT_ID: &[u8] = &[1, 0x52, 0x54, 0, 0x12, 0x34, 0x56];
const IPXE_FEATURES: &[u8] =
    &[0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e, 0x18, 1, 1, 0x22, 1, 1, 0x19, 1, 1, 0x21, 1, 1];
const UNDI3: &[u8] = &[1, 3, 0];
const UNDI2: &[u8] = &[1, 2, 1];

const NONE: fn(&mut Vec<u8>) = |_| ();
const HAS_ADDRESS: fn(&mut Vec<u8>) = |b| b[12..16].copy_from_slice(&[10, 77, 0, 210]);
const RELAYED: fn(&mut Vec<u8>) = |b| {
    b[3] = 1;
    b[24..28].copy_from_slice(&[10, 77, 0, 250]);
};

/// OVMF's PXE over IPv4, but for the name.
const OVMF: Case = Case {
    name: "",
    why: "",
    port: Port::Server,
    kind: MessageType::Discover,
    mac: MAC,
    broadcast: true,
    options: &[(57, &[5, 0xc0]), (55, OVMF_ASKS), (97, ZERO_UUID), (94, UNDI3), (93, &[0, 7]), (60, PXE7)],
    change: NONE,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "ovmf-pxev4-discover",
        why: "Seen. No option 61, broadcast flag, a UUID of zeros: the hardware address alone says who it is.",
        ..OVMF
    },
    Case {
        name: "ovmf-pxev4-request-57-lie",
        why: "Seen. Option 57 of the REQUEST is 65280: an answer's length never follows it.",
        kind: MessageType::Request,
        options: &[
            (50, &[10, 77, 0, 100]),
            (54, &[10, 77, 0, 1]),
            (57, &[0xff, 0]),
            (55, OVMF_ASKS),
            (97, ZERO_UUID),
            (94, UNDI3),
            (93, &[0, 7]),
            (60, PXE7),
        ],
        ..OVMF
    },
    Case {
        name: "ovmf-httpv4-discover",
        why: "Seen. Takes only an offer whose option 60 says HTTPClient, with a URL (xcat-core #7743, nix-netboot-serve #2, \n\
              harvester #4618).",
        options: &[
            (57, &[5, 0xc0]),
            (55, OVMF_ASKS),
            (97, ZERO_UUID),
            (94, UNDI3),
            (93, &[0, 16]),
            (60, HTTP16),
        ],
        ..OVMF
    },
    Case {
        name: "http-boot-says-7",
        why: "UEFI HTTP boot that gives the architecture of PXE.",
        options: &[(97, UUID), (94, UNDI3), (93, &[0, 7]), (60, b"HTTPClient:Arch:00007:UNDI:003000")],
        ..OVMF
    },
    Case {
        name: "ipxe-bios-rom-discover",
        why: "Seen. Option 61 appears, which the firmware before did not send: no second address (warewulf #802, matchbox #245).\n\
              Option 77 is bare text (baremetal-operator #446). 175.176 spares it three seconds.",
        options: &[
            (93, &[0, 0]),
            (94, UNDI2),
            (60, PXE0),
            (77, b"iPXE"),
            (55, IPXE_ASKS),
            (175, IPXE_FEATURES),
            (61, CLIENT_ID),
            (97, UUID),
            (57, &[5, 0xc0]),
        ],
        broadcast: false,
        ..OVMF
    },
    Case {
        name: "ipxe-efi-discover",
        why: "Seen. Says 7 and PXEClient like the firmware that loaded it; to load itself again would never end.",
        options: &[
            (93, &[0, 7]),
            (94, UNDI3),
            (60, PXE7),
            (77, b"iPXE"),
            (55, IPXE_ASKS),
            (175, IPXE_FEATURES),
            (61, CLIENT_ID),
            (97, UUID),
        ],
        broadcast: false,
        ..OVMF
    },
    Case {
        name: "ipxe-user-class-rfc3004",
        why: "Option 77 as RFC 3004 has it, a list with lengths, as an iPXE may be configured to send it.",
        options: &[(93, &[0, 7]), (60, PXE7), (77, b"\x06tenant\x04iPXE")],
        ..OVMF
    },
    Case {
        name: "ipxe-by-option-175-alone",
        why: "An iPXE built with a user class of its maker's.",
        options: &[(93, &[0, 0]), (60, PXE0), (77, b"OEM"), (175, IPXE_FEATURES)],
        ..OVMF
    },
    Case {
        name: "bios-rom-discover",
        why: "A card's boot ROM: menu and prompt are suppressed by option 43, tag 6 (PXE 2.1 table 2-1, bit 3).",
        options: &[(55, OVMF_ASKS), (57, &[4, 0xec]), (97, UUID), (93, &[0, 0]), (94, UNDI2), (60, PXE0)],
        ..OVMF
    },
    Case {
        name: "old-rom-without-93",
        why: "From before RFC 4578: no architecture anywhere, which then was always x86 BIOS.",
        options: &[(60, b"PXEClient")],
        ..OVMF
    },
    Case {
        name: "arch-in-vendor-class-only",
        why: "No option 93, but the number in option 60.",
        options: &[(60, PXE7)],
        ..OVMF
    },
    Case {
        name: "uefi-says-9",
        why: "RFC 4578 as published has 9 for x86-64 UEFI, its erratum 7 (opnsense #2223, Dnsmasq-PXE #3).",
        options: &[(97, UUID), (94, UNDI3), (93, &[0, 9]), (60, b"PXEClient:Arch:00009:UNDI:003000")],
        ..OVMF
    },
    Case {
        name: "arch-list",
        why: "Option 93 is a list (RFC 4578 section 2.1): the first that there is something for.",
        options: &[(97, UUID), (94, UNDI3), (93, &[0, 99, 0, 6, 0, 7]), (60, PXE7)],
        ..OVMF
    },
    Case {
        name: "dull-uuid",
        why: "A UUID that boards are sold with by the thousand: echoed, never an identity (talos #8804, FOG #198).",
        options: &[(97, DULL_UUID), (94, UNDI3), (93, &[0, 7]), (60, PXE7)],
        ..OVMF
    },
    Case {
        name: "sendguid-hlen-16",
        why: "EDK2 built with SendGUID puts the UUID into chaddr: 16 bytes, all of which come back.",
        change: |b| {
            b[2] = 16;
            b[28..44].copy_from_slice(&[
                0x4c, 0x4c, 0x45, 0x44, 0, 0x31, 0x35, 0x10, 0x80, 0x53, 0xb4, 0xc0, 0x4f, 0x33, 0x37, 0x32,
            ]);
        },
        ..OVMF
    },
    Case {
        name: "ia32-uefi",
        why: "32-bit UEFI on a 64-bit machine: an address, and nothing to boot.",
        options: &[(93, &[0, 6]), (60, b"PXEClient:Arch:00006:UNDI:003000")],
        ..OVMF
    },
    Case {
        name: "arm64-uefi",
        why: "Not shipped: an address, and nothing to boot.",
        options: &[(93, &[0, 11]), (60, b"PXEClient:Arch:00011:UNDI:003000"), (97, UUID), (94, UNDI3)],
        ..OVMF
    },
    Case {
        name: "arm64-http",
        why: "Not shipped: an address, and nothing to boot.",
        options: &[(93, &[0, 19]), (60, b"HTTPClient:Arch:00019:UNDI:003000")],
        ..OVMF
    },
    Case {
        name: "raspberry-pi-4-says-bios",
        why: "Says 0, as a BIOS does, and must not be given a BIOS loader (raspberrypi/firmware #1928, rpi-eeprom #182).\n\
              It looks for `Raspberry Pi Boot` in option 43 (#1265), which it is not given: nothing for it is shipped.",
        mac: "dc:a6:32:01:02:03",
        options: &[
            (93, &[0, 0]),
            (94, UNDI2),
            (60, PXE0),
            (97, b"\0RPi4\x14\x31\xc0\0\x03\x02\x01\x32\xaa\xbb\xcc\xdd"),
        ],
        ..OVMF
    },
    Case {
        name: "raspberry-pi-says-41",
        why: "The number that it has in the registry.",
        mac: "2c:cf:67:01:02:03",
        options: &[(93, &[0, 41]), (60, b"PXEClient:Arch:00041:UNDI:002001")],
        ..OVMF
    },
    Case {
        name: "relayed-with-option-82",
        why: "To the relay's port 67, option 82 last and unchanged, never below 300 bytes (opnsense #7744).",
        options: &[(93, &[0, 7]), (60, PXE7), (82, &[1, 4, 0x65, 0x74, 0x68, 0x31, 2, 2, 0x73, 0x31])],
        change: RELAYED,
        ..OVMF
    },
    Case {
        name: "relayed-system-short",
        why: "The shortest answer there is: padded to the 300 bytes below which relays drop (RFC 1542 section 2.1).",
        options: &[],
        change: RELAYED,
        ..OVMF
    },
    Case {
        name: "option-overload",
        why: "Options in `file` and `sname`, as option 52 says (RFC 2132 section 9.3).",
        options: &[(52, &[3])],
        change: |b| {
            b[108..114].copy_from_slice(&[93, 2, 0, 7, 255, 0]);
            b[44..56].copy_from_slice(b"\x3c\x09PXEClient\xff");
        },
        ..OVMF
    },
    Case {
        name: "operating-system",
        why: "An address, and not a word about booting.",
        options: &[(55, &[1, 3, 6, 12, 15, 28, 42]), (60, b"udhcp 1.37.0"), (61, CLIENT_ID)],
        broadcast: false,
        ..OVMF
    },
    Case {
        name: "inform-of-pxe-firmware",
        why: "It has an address and asks for the rest: no address, no lease time.",
        kind: MessageType::Inform,
        change: HAS_ADDRESS,
        ..OVMF
    },
    // ProxyDHCP.
    Case {
        name: "proxy-ovmf-discover",
        why: "Option 60 without 43 sends UEFI to port 4011 of siaddr; where makers' UEFI ignores an offer with option 43,\n\
              it follows this one (danderson/netboot #43).",
        port: Port::Proxy,
        ..OVMF
    },
    Case {
        name: "proxy-ovmf-port-4011",
        why: "EDK2's second question: unicast, with the address that the other server gave, without option 54.",
        port: Port::BootServer("10.77.0.210:68"),
        kind: MessageType::Request,
        broadcast: false,
        change: HAS_ADDRESS,
        ..OVMF
    },
    Case {
        name: "proxy-ovmf-discover-direct",
        why: "With `uefi = \"direct\"`: stock EDK2 takes the file from the offer and never asks port 4011.",
        port: Port::ProxyDirect,
        ..OVMF
    },
    Case {
        name: "proxy-bios-discover",
        why: "A BIOS ROM takes the file from the offer; without tag 6 it would look for a boot server (PXE-E55, booter #4).",
        port: Port::Proxy,
        options: &[(55, OVMF_ASKS), (97, UUID), (93, &[0, 0]), (94, UNDI2), (60, PXE0)],
        ..OVMF
    },
    Case {
        name: "proxy-ipxe-discover",
        why: "iPXE takes a ProxyDHCP offer by option 60, and its file by the next server beside it, or it would ask port 4011.",
        port: Port::Proxy,
        options: &[
            (93, &[0, 7]),
            (94, UNDI3),
            (60, PXE7),
            (77, b"iPXE"),
            (55, IPXE_ASKS),
            (175, IPXE_FEATURES),
            (61, CLIENT_ID),
            (97, UUID),
        ],
        broadcast: false,
        ..OVMF
    },
    Case {
        name: "proxy-ipxe-port-4011",
        why: "Should it ask all the same, it is told its script again, and not to load itself.",
        port: Port::BootServer("10.77.0.210:68"),
        kind: MessageType::Request,
        options: &[(93, &[0, 7]), (60, PXE7), (77, b"iPXE"), (54, &[10, 77, 0, 1]), (61, CLIENT_ID)],
        broadcast: false,
        change: HAS_ADDRESS,
        ..OVMF
    },
    Case {
        name: "proxy-http-discover",
        why: "HTTP boot with the other server's address and our URL.",
        port: Port::Proxy,
        options: &[(97, ZERO_UUID), (94, UNDI3), (93, &[0, 16]), (60, HTTP16)],
        ..OVMF
    },
    Case {
        name: "proxy-old-rom-without-93",
        why: "As with an address from here: a BIOS.",
        port: Port::Proxy,
        options: &[(60, b"PXEClient")],
        ..OVMF
    },
    Case {
        name: "proxy-relayed",
        why: "A relay agent that sends to us too (ip helper-address).",
        port: Port::Proxy,
        change: RELAYED,
        ..OVMF
    },
    Case {
        name: "proxy-sendguid-hlen-16",
        why: "As with an address from here.",
        port: Port::Proxy,
        change: |b| {
            b[2] = 16;
            b[28..44].copy_from_slice(&[
                0x4c, 0x4c, 0x45, 0x44, 0, 0x31, 0x35, 0x10, 0x80, 0x53, 0xb4, 0xc0, 0x4f, 0x33, 0x37, 0x32,
            ]);
        },
        ..OVMF
    },
    Case {
        name: "proxy-operating-system",
        why: "Nothing: its DHCP server is the other one.",
        port: Port::Proxy,
        options: &[(60, b"udhcp 1.37.0")],
        ..OVMF
    },
    Case {
        name: "proxy-arm64-uefi",
        why: "Nothing is shipped for it: silence, so that another boot server may answer it.",
        port: Port::Proxy,
        options: &[(93, &[0, 11]), (60, b"PXEClient:Arch:00011:UNDI:003000")],
        ..OVMF
    },
    Case {
        name: "proxy-request-of-the-other-server",
        why: "The firmware takes the other server's address: not our business, and no NAK.",
        port: Port::Proxy,
        kind: MessageType::Request,
        options: &[(50, &[10, 77, 0, 210]), (54, &[10, 77, 0, 200]), (93, &[0, 7]), (60, PXE7)],
        ..OVMF
    },
    Case {
        name: "proxy-inform-port-4011",
        why: "INFORM instead of REQUEST, as some boot managers have it.",
        port: Port::BootServer("10.77.0.210:68"),
        kind: MessageType::Inform,
        broadcast: false,
        change: HAS_ADDRESS,
        ..OVMF
    },
    Case {
        name: "proxy-menu-item-port-4011",
        why: "The item of a boot menu (tag 71) comes back, or the ROM takes the answer for another server's.",
        port: Port::BootServer("10.77.0.210:4011"),
        kind: MessageType::Request,
        options: &[(43, &[71, 4, 0x80, 0, 0, 0, 255]), (93, &[0, 0]), (94, UNDI2), (60, PXE0), (97, UUID)],
        broadcast: false,
        change: HAS_ADDRESS,
        ..OVMF
    },
    Case {
        name: "proxy-port-4011-without-address",
        why: "A broadcast from nowhere is answered by broadcast: there is nobody to ask for a hardware address.",
        port: Port::BootServer("0.0.0.0:68"),
        kind: MessageType::Request,
        ..OVMF
    },
    Case {
        name: "proxy-port-4011-from-elsewhere",
        why: "Whoever claims an address elsewhere does not have us send there.",
        port: Port::BootServer("10.77.0.210:68"),
        kind: MessageType::Request,
        change: |b| b[12..16].copy_from_slice(&[8, 8, 8, 8]),
        ..OVMF
    },
];
