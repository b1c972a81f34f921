//! Hardware addresses: what a machine is known by on the wire.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A client's hardware address, 1 to 16 bytes. Six for Ethernet; EDK2 built with `SendGUID` puts the 16 bytes of
/// its SMBIOS UUID there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HwAddr {
    len: u8,
    bytes: [u8; 16],
}

/// Text that is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a hardware address; one looks like 52:54:00:12:34:56")]
pub struct BadHwAddr(String);

impl HwAddr {
    /// From 1 to 16 bytes; `None` for any other number.
    #[must_use]
    pub fn new(from: &[u8]) -> Option<Self> {
        let len = u8::try_from(from.len()).ok().filter(|len| (1..=16).contains(len))?;
        let mut bytes = [0; 16];
        bytes[..from.len()].copy_from_slice(from);
        Some(Self { len, bytes })
    }

    /// Of an Ethernet card.
    #[must_use]
    pub fn ethernet([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self { len: 6, bytes: [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// As pxelinux and `BOOTIF=` write it: `01-aa-bb-cc-dd-ee-ff`, where 01 says Ethernet.
    #[must_use]
    pub fn bootif(&self) -> String {
        format!("01-{}", self.to_string().replace(':', "-"))
    }
}

impl fmt::Display for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl FromStr for HwAddr {
    type Err = BadHwAddr;

    fn from_str(text: &str) -> Result<Self, BadHwAddr> {
        let byte = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split([':', '-']).map(byte).collect();
        bytes.and_then(|bytes| Self::new(&bytes)).ok_or_else(|| BadHwAddr(text.chars().take(64).collect()))
    }
}

impl Serialize for HwAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HwAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_an_address_or_is_refused() {
        let rows: &[(&str, Option<&str>)] = &[
            ("52:54:00:AB:cd:ef", Some("52:54:00:ab:cd:ef")),
            ("52-54-00-ab-cd-ef", Some("52:54:00:ab:cd:ef")),
            ("", None),
            ("52:54:00:ab:cd:e", None),
            ("52:54:00:ab:cd:+f", None),
            ("525400abcdef", None),
            (&"aa:".repeat(17), None),
        ];
        for (text, wanted) in rows {
            assert_eq!(text.parse::<HwAddr>().ok().map(|a| a.to_string()).as_deref(), *wanted, "{text}");
        }
    }

    #[test]
    fn bootif_is_written_as_pxelinux_does() {
        let mac: HwAddr = "52:54:00:12:34:56".parse().unwrap();
        assert_eq!(mac.bootif(), "01-52-54-00-12-34-56");
    }
}
