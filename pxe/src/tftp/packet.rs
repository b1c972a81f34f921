//! TFTP packets: RFC 1350, options by RFC 2347, 2348 (blksize), 2349 (timeout, tsize), 7440 (windowsize).

/// Largest block that is agreed to: fills an Ethernet frame of 1500 bytes without IP fragments.
pub const MAX_BLOCK: u16 = 1468;
/// Largest window that is agreed to, in blocks.
pub const MAX_WINDOW: u16 = 64;
/// Bytes of a DATA packet before its data.
pub const HEADER: usize = 4;
/// Block size when none is negotiated.
pub const DEFAULT_BLOCK: u16 = 512;
/// Longest file name or option text looked at.
const MAX_TEXT: usize = 255;

/// Error codes of RFC 1350 and 2347.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Not defined; see the text.
    Undefined = 0,
    /// File not found.
    NotFound = 1,
    /// Access violation.
    Access = 2,
    /// Illegal operation.
    Illegal = 4,
}

/// A read request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRequest<'a> {
    /// File name as sent.
    pub name: &'a str,
    /// The options we know, as asked for.
    pub options: Requested,
}

/// Options as asked for; one that is absurd counts as not asked for (RFC 2347).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requested {
    /// RFC 2348, 8 to 65464.
    pub blksize: Option<u16>,
    /// RFC 7440, 1 to 65535.
    pub windowsize: Option<u16>,
    /// RFC 2349, 1 to 255 s.
    pub timeout: Option<u8>,
    /// RFC 2349.
    pub tsize: bool,
}

/// What came to the port of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// A request to read.
    Read(ReadRequest<'a>),
    /// A request that is refused with this code and text.
    Refused(Code, &'static str),
    /// Not worth an answer.
    Ignored,
}

/// Reads what came to the port of requests.
#[must_use]
pub fn parse_request(bytes: &[u8]) -> Request<'_> {
    let rest = match bytes {
        [0, 1, rest @ ..] => rest,
        [0, 2, ..] => return Request::Refused(Code::Access, "this server only reads"),
        _ => return Request::Ignored,
    };
    // A missing NUL at the very end is forgiven; some ROMs pad the packet instead.
    let mut texts = rest.split(|b| *b == 0).map(|text| {
        let short = text.get(..MAX_TEXT.min(text.len())).unwrap_or_default();
        if short.len() == text.len() { std::str::from_utf8(short).ok() } else { None }
    });
    let (Some(Some(name)), Some(Some(mode))) = (texts.next(), texts.next()) else {
        return Request::Refused(Code::Illegal, "not a read request");
    };
    if name.is_empty() {
        return Request::Refused(Code::Illegal, "a file name is missing");
    }
    if !mode.eq_ignore_ascii_case("octet") {
        return Request::Refused(Code::Undefined, "only mode octet is served");
    }
    let mut options = Requested::default();
    while let (Some(Some(key)), Some(Some(value))) = (texts.next(), texts.next()) {
        let number = value.parse::<u64>().ok();
        let within = |low: u16, high: u16| {
            number.and_then(|n| u16::try_from(n).ok()).filter(|n| (low..=high).contains(n))
        };
        match key.to_ascii_lowercase().as_str() {
            "blksize" => options.blksize = within(8, 65464),
            "windowsize" => options.windowsize = within(1, u16::MAX),
            "timeout" => options.timeout = within(1, 255).and_then(|n| u8::try_from(n).ok()),
            "tsize" => options.tsize = number.is_some(),
            _ => {}
        }
    }
    Request::Read(ReadRequest { name, options })
}

/// What came from the client of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Everything up to this block has arrived.
    Ack(u16),
    /// It gives up.
    Error(u16),
    /// Anything else.
    Other,
}

/// Reads what came from the client of a transfer.
#[must_use]
pub fn parse_answer(bytes: &[u8]) -> Answer {
    match *bytes {
        [0, 4, a, b, ..] => Answer::Ack(u16::from_be_bytes([a, b])),
        [0, 5, a, b, ..] => Answer::Error(u16::from_be_bytes([a, b])),
        _ => Answer::Other,
    }
}

/// What was agreed, given what was asked for; nothing is raised or added, or EDK2 refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// Bytes of a block.
    pub block: u16,
    /// Blocks of a window.
    pub window: u16,
    /// Longest time between retransmissions the client reckons with, seconds.
    pub timeout: Option<u8>,
}

impl Requested {
    /// What we agree to, with blocks of at most `most` bytes (at least the 8 of RFC 2348).
    #[must_use]
    pub fn agree(self, most: u16) -> Agreed {
        Agreed {
            block: self.blksize.map_or(DEFAULT_BLOCK, |b| b.min(most.max(8))),
            window: self.windowsize.map_or(1, |w| w.min(MAX_WINDOW)),
            timeout: self.timeout,
        }
    }

    /// The OACK that says so, or `None` when no option was asked for.
    #[must_use]
    pub fn oack(self, size: u64, most: u16) -> Option<Vec<u8>> {
        let agreed = self.agree(most);
        let mut bytes = vec![0, 6];
        let mut option = |key: &str, value: u64| {
            bytes.extend_from_slice(key.as_bytes());
            bytes.push(0);
            bytes.extend_from_slice(value.to_string().as_bytes());
            bytes.push(0);
        };
        if self.blksize.is_some() {
            option("blksize", agreed.block.into());
        }
        if let Some(timeout) = self.timeout {
            option("timeout", timeout.into());
        }
        if self.tsize {
            option("tsize", size);
        }
        if self.windowsize.is_some() {
            option("windowsize", agreed.window.into());
        }
        (bytes.len() > 2).then_some(bytes)
    }
}

/// Writes an ERROR packet.
#[must_use]
pub fn error(code: Code, text: &str) -> Vec<u8> {
    let mut bytes = vec![0, 5, 0, code as u8];
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let read = |name, options| Request::Read(ReadRequest { name, options });
        let none = Requested::default();
        let edk2 = Requested { blksize: Some(1468), windowsize: Some(4), tsize: true, timeout: None };
        let rows: &[(&str, &[u8], Request<'_>)] = &[
            ("plain", b"\0\x01a\0octet\0", read("a", none)),
            ("mode in capitals", b"\0\x01a\0OCTET\0", read("a", none)),
            (
                "OVMF's first",
                b"\0\x01ipxe.efi\0octet\0tsize\x000\0blksize\x001468\0windowsize\x004\0",
                read("ipxe.efi", edk2),
            ),
            (
                "keys in capitals",
                b"\0\x01a\0octet\0BLKSIZE\x00512\0",
                read("a", Requested { blksize: Some(512), ..none }),
            ),
            ("padded with NULs", b"\0\x01a\0octet\0\0\0\0\0", read("a", none)),
            ("last NUL missing", b"\0\x01a\0octet", read("a", none)),
            (
                "absurd block sizes are as if unsaid",
                b"\0\x01a\0octet\0blksize\x007\0windowsize\x000\0timeout\x000\0",
                read("a", none),
            ),
            (
                "numbers that are none",
                b"\0\x01a\0octet\0blksize\0-1\0tsize\0x\0windowsize\x0099999999999999999999\0",
                read("a", none),
            ),
            ("unknown options", b"\0\x01a\0octet\0multicast\0\0utimeout\x009\0", read("a", none)),
            ("write", b"\0\x02a\0octet\0", Request::Refused(Code::Access, "this server only reads")),
            (
                "netascii",
                b"\0\x01a\0netascii\0",
                Request::Refused(Code::Undefined, "only mode octet is served"),
            ),
            ("no mode", b"\0\x01a", Request::Refused(Code::Illegal, "not a read request")),
            ("no name", b"\0\x01\0octet\0", Request::Refused(Code::Illegal, "a file name is missing")),
            ("not UTF-8", b"\0\x01\xff\xfe\0octet\0", Request::Refused(Code::Illegal, "not a read request")),
            ("a stray ACK", b"\0\x04\0\0", Request::Ignored),
            ("empty", b"", Request::Ignored),
        ];
        for (name, bytes, wanted) in rows {
            assert_eq!(parse_request(bytes), *wanted, "{name}");
        }
    }

    #[test]
    fn an_oack_never_raises_nor_adds() {
        let rows: &[(&str, Requested, &str)] = &[
            ("nothing asked", Requested::default(), ""),
            ("tsize alone", Requested { tsize: true, ..Requested::default() }, "tsize 700"),
            (
                "smaller stays",
                Requested { blksize: Some(512), windowsize: Some(2), ..Requested::default() },
                "blksize 512 windowsize 2",
            ),
            (
                "larger is lowered",
                Requested { blksize: Some(65464), windowsize: Some(65535), ..Requested::default() },
                "blksize 1468 windowsize 64",
            ),
            ("timeout is echoed", Requested { timeout: Some(3), ..Requested::default() }, "timeout 3"),
        ];
        for (name, asked, wanted) in rows {
            let text =
                asked.oack(700, MAX_BLOCK).map(|oack| String::from_utf8_lossy(&oack[2..]).replace('\0', " "));
            assert_eq!(text.unwrap_or_default().trim(), *wanted, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(0u8..=255, 0..600)) {
            let _ = parse_request(&bytes);
            let _ = parse_request(&[b"\0\x01", bytes.as_slice()].concat());
            let _ = parse_answer(&bytes);
        }
    }
}
