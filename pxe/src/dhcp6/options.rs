//! Numbers and shapes of DHCPv6 options, RFC 8415 section 21 unless said otherwise.

/// The client's DUID.
pub const CLIENT_ID: u16 = 1;
/// The server's DUID.
pub const SERVER_ID: u16 = 2;
/// Identity association for addresses.
pub const IA_NA: u16 = 3;
/// Identity association for temporary addresses; never given.
pub const IA_TA: u16 = 4;
/// An address within an identity association.
pub const IA_ADDR: u16 = 5;
/// What the client asks for.
pub const REQUESTED: u16 = 6;
/// How much the server wants to be chosen.
pub const PREFERENCE: u16 = 7;
/// The message within a relay agent's.
pub const RELAY_MESSAGE: u16 = 9;
/// How a request was fulfilled.
pub const STATUS: u16 = 13;
/// Two messages instead of four.
pub const RAPID_COMMIT: u16 = 14;
/// What program asks, such as iPXE.
pub const USER_CLASS: u16 = 15;
/// What kind of firmware asks.
pub const VENDOR_CLASS: u16 = 16;
/// The relay agent's name for the interface, echoed.
pub const INTERFACE_ID: u16 = 18;
/// Name servers, RFC 3646.
pub const DNS: u16 = 23;
/// Identity association for prefixes; never given.
pub const IA_PD: u16 = 25;
/// Where the boot file is, RFC 5970 section 3.1.
pub const BOOT_FILE_URL: u16 = 59;
/// Client system architectures, RFC 5970 section 3.3.
pub const ARCH: u16 = 61;
/// The client's hardware address, told by a relay agent, RFC 6939.
pub const LINK_LAYER: u16 = 79;

/// The enterprise number that PXE's and HTTP boot's vendor class is under: Intel's, as EDK2 has it.
pub const ENTERPRISE_PXE: u32 = 343;

/// Option 13.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Success = 0,
    /// No address can be given.
    NoAddrsAvail = 2,
    /// The server knows of no such address of the client's.
    NoBinding = 3,
    /// An address is not of this link.
    NotOnLink = 4,
    /// The client must send to the multicast address.
    UseMulticast = 5,
    /// No prefix can be given.
    NoPrefixAvail = 6,
}

/// The options in `bytes`, up to the first that is cut short.
pub fn each(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (code, value, after) = split(rest)?;
        rest = after;
        Some((code, value))
    })
}

/// Whether `bytes` are whole options and nothing else.
#[must_use]
pub fn are_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((_, _, after)) = split(rest) else { return false };
        rest = after;
    }
    true
}

fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [a, b, c, d, rest @ ..] = bytes else { return None };
    let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
    Some((u16::from_be_bytes([*a, *b]), value, after))
}

/// Numbers of 16 bits, such as the requested options.
pub fn numbers(value: &[u8]) -> impl Iterator<Item = u16> {
    value.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// The texts of a user or vendor class, each behind its length of 16 bits.
pub fn class_texts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let [a, b, after @ ..] = rest else { return None };
        let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes([*a, *b])))?;
        rest = after;
        Some(text)
    })
}
