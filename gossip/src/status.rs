//! What a node says of itself, in as few bytes as it takes.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | bits 0 and 1: boot drives; bits 2 and 3: quorum; the others 0 |
//! | 2 | load, hundredths |
//! | 1 | memory in use, percent; 255: not known |
//! | 1 + n | release, at most [`MAX_VERSION`] bytes of printable ASCII |

use bytes::{Buf, BufMut};

/// Longest version, bytes.
pub const MAX_VERSION: usize = 24;

/// Whether each boot drive alone would start the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BootHealth {
    /// Not looked at, or nothing to look at.
    #[default]
    Unknown,
    /// Both would.
    Whole,
    /// One fault more, and it does not start.
    Degraded,
}

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Tasks that run or wait to, hundredths, averaged over a minute.
    pub load: u16,
    /// Memory in use, percent; absent where it is not known.
    pub memory: Option<u8>,
    /// Its boot drives.
    pub boot: BootHealth,
    /// Whether it reaches a quorum of the record; absent before it has tried.
    pub quorum: Option<bool>,
    /// The release it runs.
    pub version: String,
}

/// These bytes are no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what a node says of itself is cut short or not of a form that this release knows")]
pub struct NoStatus;

impl Status {
    /// Whether others should hear of the step from `old` to this at once. Load and memory change all the time and travel
    /// only with the node's own packets.
    #[must_use]
    pub fn is_news_after(&self, old: &Self) -> bool {
        (self.boot, self.quorum, &self.version) != (old.boot, old.quorum, &old.version)
    }

    /// Writes it. A version that is too long or not printable ASCII is written as an empty one.
    pub fn encode(&self, buf: &mut Vec<u8>) {
        let boot = match self.boot {
            BootHealth::Unknown => 0,
            BootHealth::Whole => 1,
            BootHealth::Degraded => 2,
        };
        let quorum = match self.quorum {
            None => 0,
            Some(true) => 1,
            Some(false) => 2,
        };
        let version = if valid(self.version.as_bytes()) { self.version.as_bytes() } else { b"" };
        buf.put_u8(boot | quorum << 2);
        buf.put_u16(self.load);
        buf.put_u8(self.memory.map_or(255, |percent| percent.min(100)));
        buf.put_u8(u8::try_from(version.len()).unwrap_or(0)); // at most MAX_VERSION
        buf.put_slice(version);
    }

    /// Reads one from the front of `bytes`, and moves them on.
    ///
    /// # Errors
    /// [`NoStatus`].
    pub fn parse(bytes: &mut &[u8]) -> Result<Self, NoStatus> {
        let flags = bytes.try_get_u8().map_err(|_| NoStatus)?;
        let boot = match flags & 3 {
            0 => BootHealth::Unknown,
            1 => BootHealth::Whole,
            2 => BootHealth::Degraded,
            _ => return Err(NoStatus),
        };
        let quorum = match flags >> 2 {
            0 => None,
            1 => Some(true),
            2 => Some(false),
            _ => return Err(NoStatus),
        };
        let load = bytes.try_get_u16().map_err(|_| NoStatus)?;
        let memory = match bytes.try_get_u8().map_err(|_| NoStatus)? {
            255 => None,
            percent @ 0..=100 => Some(percent),
            _ => return Err(NoStatus),
        };
        let length = usize::from(bytes.try_get_u8().map_err(|_| NoStatus)?);
        let (version, rest) = bytes.split_at_checked(length).ok_or(NoStatus)?;
        if !valid(version) {
            return Err(NoStatus);
        }
        *bytes = rest;
        let version = String::from_utf8(version.to_vec()).map_err(|_| NoStatus)?;
        Ok(Self { load, memory, boot, quorum, version })
    }
}

fn valid(version: &[u8]) -> bool {
    version.len() <= MAX_VERSION && version.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boot() -> impl Strategy<Value = BootHealth> {
        prop_oneof![Just(BootHealth::Unknown), Just(BootHealth::Whole), Just(BootHealth::Degraded)]
    }

    proptest! {
        #[test]
        fn gossip_a_status_is_read_as_it_was_written(
            load: u16,
            memory in proptest::option::of(0..=100u8),
            boot in boot(),
            quorum: Option<bool>,
            version in "[!-~]{0,24}",
        ) {
            let status = Status { load, memory, boot, quorum, version };
            let mut bytes = Vec::new();
            status.encode(&mut bytes);
            bytes.push(7);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Status::parse(&mut rest), Ok(status));
            prop_assert_eq!(rest, [7]);
        }

        #[test]
        fn gossip_any_bytes_are_a_status_or_refused(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            if let Ok(status) = Status::parse(&mut rest) {
                let mut again = Vec::new();
                status.encode(&mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }

    #[test]
    fn gossip_a_version_that_cannot_travel_is_left_out() {
        for version in ["x".repeat(25), "a b".to_owned(), "\u{e4}".to_owned()] {
            let mut bytes = Vec::new();
            Status { version, ..Status::default() }.encode(&mut bytes);
            assert_eq!(Status::parse(&mut bytes.as_slice()).unwrap().version, "");
        }
    }
}
