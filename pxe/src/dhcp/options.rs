//! Numbers and shapes of the DHCP options we speak, RFC 2132 unless said otherwise.

/// Padding.
pub const PAD: u8 = 0;
/// Subnet mask.
pub const SUBNET_MASK: u8 = 1;
/// Routers.
pub const ROUTER: u8 = 3;
/// Name servers.
pub const DNS: u8 = 6;
/// The client's host name.
pub const HOST_NAME: u8 = 12;
/// Domain name.
pub const DOMAIN: u8 = 15;
/// Interface MTU.
pub const MTU: u8 = 26;
/// Broadcast address.
pub const BROADCAST: u8 = 28;
/// NTP servers.
pub const NTP: u8 = 42;
/// Vendor-specific information.
pub const VENDOR: u8 = 43;
/// Requested IP address.
pub const REQUESTED_IP: u8 = 50;
/// Lease time, seconds.
pub const LEASE_TIME: u8 = 51;
/// Option overload.
pub const OVERLOAD: u8 = 52;
/// Message type.
pub const MESSAGE_TYPE: u8 = 53;
/// Server identifier.
pub const SERVER_ID: u8 = 54;
/// Parameter request list.
pub const PARAMETERS: u8 = 55;
/// Error text.
pub const MESSAGE: u8 = 56;
/// Longest message the client takes. OVMF says 65280: never believed.
pub const MAX_SIZE: u8 = 57;
/// Renewal time T1, seconds.
pub const RENEWAL: u8 = 58;
/// Rebinding time T2, seconds.
pub const REBINDING: u8 = 59;
/// Vendor class identifier.
pub const VENDOR_CLASS: u8 = 60;
/// Client identifier. Echoed (RFC 6842), never a lease's key.
pub const CLIENT_ID: u8 = 61;
/// TFTP server name.
pub const TFTP_SERVER: u8 = 66;
/// Boot file name.
pub const BOOT_FILE: u8 = 67;
/// User class, RFC 3004.
pub const USER_CLASS: u8 = 77;
/// Relay agent information, RFC 3046.
pub const RELAY: u8 = 82;
/// Client system architectures, RFC 4578 section 2.1.
pub const ARCH: u8 = 93;
/// Client network interface, RFC 4578 section 2.2.
pub const UNDI: u8 = 94;
/// Client machine identifier, RFC 4578 section 2.3.
pub const MACHINE_ID: u8 = 97;
/// Domain search list, RFC 3397.
pub const SEARCH: u8 = 119;
/// Classless static routes, RFC 3442.
pub const ROUTES: u8 = 121;
/// iPXE's encapsulated options.
pub const IPXE: u8 = 175;
/// End of options.
pub const END: u8 = 255;

/// Sub-option of [`VENDOR`]: PXE discovery control (PXE 2.1 table 2-1).
pub const PXE_DISCOVERY: u8 = 6;
/// Bit 3 of [`PXE_DISCOVERY`]: use the boot file at hand, no menu, no discovery, no port 4011.
pub const PXE_SKIP_DISCOVERY: u8 = 8;
/// Sub-option of [`VENDOR`]: boot server type and layer chosen (PXE 2.1 table 2-1).
pub const PXE_BOOT_ITEM: u8 = 71;
/// Sub-option of [`IPXE`]: do not wait for ProxyDHCP offers; saves three seconds a boot.
pub const IPXE_NO_PXEDHCP: u8 = 176;

/// Option 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// Client looks for servers.
    Discover,
    /// Server offers an address.
    Offer,
    /// Client asks for an offered address, or to keep its own.
    Request,
    /// Client found the address in use.
    Decline,
    /// Server grants.
    Ack,
    /// Server refuses.
    Nak,
    /// Client gives its address back.
    Release,
    /// Client has an address and asks for the rest.
    Inform,
}

impl MessageType {
    const ALL: [Self; 8] = [
        Self::Discover,
        Self::Offer,
        Self::Request,
        Self::Decline,
        Self::Ack,
        Self::Nak,
        Self::Release,
        Self::Inform,
    ];

    /// By its number; `None` for numbers of later RFCs, which we do not speak.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Its number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8 + 1
    }
}

/// The architectures of option 93, in the client's order of preference (a list by RFC 4578, usually one).
pub fn architectures(value: &[u8]) -> impl Iterator<Item = u16> + '_ {
    value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Whether option 77 names `class`: as length-prefixed list (RFC 3004), or bare, as iPXE sends it.
#[must_use]
pub fn has_user_class(value: &[u8], class: &[u8]) -> bool {
    if value == class {
        return true;
    }
    let mut rest = value;
    while let [len, tail @ ..] = rest {
        let Some((item, after)) = tail.split_at_checked(usize::from(*len)) else { return false };
        if item == class {
            return true;
        }
        rest = after;
    }
    false
}

/// What board makers forget to replace.
const DULL_UUIDS: [uuid::Uuid; 3] = [
    uuid::uuid!("03000200-0400-0500-0006-000700080009"),
    uuid::uuid!("00020003-0004-0005-0006-000700080009"),
    uuid::uuid!("12345678-1234-5678-90ab-cddeefaabbcc"),
];

/// The SMBIOS UUID of option 97 as text in RFC 9562 order, whatever firmware makes of it; `None` when it is not
/// type 0 with 16 bytes, or one that names nobody: one byte repeated (all zeros is every QEMU without `-uuid`), or
/// one that boards are sold with by the thousand. Such a UUID is never an identity.
#[must_use]
pub fn machine_uuid(value: &[u8]) -> Option<String> {
    machine_guid(value).map(|guid| uuid::Uuid::from_bytes_le(guid).to_string())
}

/// Like [`machine_uuid`], the bytes as they are.
#[must_use]
pub fn machine_guid(value: &[u8]) -> Option<[u8; 16]> {
    let [0, guid @ ..] = value else { return None };
    let guid: [u8; 16] = guid.try_into().ok()?;
    let blank = guid.iter().all(|b| *b == guid[0]);
    (!blank && !DULL_UUIDS.contains(&uuid::Uuid::from_bytes_le(guid))).then_some(guid)
}

/// Whether an option with this number may be set by a person: not those that the protocol itself lives by.
#[must_use]
pub fn may_be_set(code: u8) -> bool {
    !matches!(
        code,
        PAD | SUBNET_MASK
            | BROADCAST
            | REQUESTED_IP..=PARAMETERS
            | MAX_SIZE..=REBINDING
            | CLIENT_ID
            | RELAY
            | ARCH
            | UNDI
            | MACHINE_ID
            | END
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_classes() {
        let rows: &[(&str, &[u8], bool)] = &[
            ("bare, as iPXE sends it", b"iPXE", true),
            ("RFC 3004 list of one", b"\x04iPXE", true),
            ("RFC 3004 list, second", b"\x02ab\x04iPXE", true),
            ("another", b"\x03foo", false),
            ("cut short", b"\x09iPXE", false),
            ("empty", b"", false),
            ("zero-length items", b"\0\0\0\x04iPXE", true),
        ];
        for (name, value, wanted) in rows {
            assert_eq!(has_user_class(value, b"iPXE"), *wanted, "{name}");
        }
    }

    #[test]
    fn machine_ids() {
        let mut good = vec![0];
        good.extend(0x10..0x20);
        let rows: &[(&str, &[u8], Option<&str>)] = &[
            ("SMBIOS order", &good, Some("13121110-1514-1716-1819-1a1b1c1d1e1f")),
            ("all zero: QEMU without -uuid", &[0; 17], None),
            ("all ones", &[[0].as_slice(), &[0xff; 16]].concat(), None),
            ("one byte repeated", &[[0].as_slice(), &[0x11; 16]].concat(), None),
            ("never set by the board's maker", &[0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9], None),
            ("type 1", &[1; 17], None),
            ("short", &[0; 5], None),
            ("empty", &[], None),
        ];
        for (name, value, wanted) in rows {
            assert_eq!(machine_uuid(value).as_deref(), *wanted, "{name}");
        }
    }

    #[test]
    fn architectures_are_a_list_and_an_odd_byte_is_ignored() {
        assert_eq!(architectures(&[0, 7, 0, 16, 9]).collect::<Vec<_>>(), [7, 16]);
    }

    #[test]
    fn message_types_keep_their_numbers() {
        for code in 1..=8 {
            assert_eq!(MessageType::from_code(code).unwrap().code(), code);
        }
        assert_eq!((MessageType::from_code(0), MessageType::from_code(9)), (None, None));
    }
}
