//! ZFS labels (ZFS On-Disk Specification, chapter 1): the pool's name and host from the name-value list, the last use
//! from the newest of the uberblocks. The list is in XDR (RFC 4506).

use std::io;

use super::bytes::{Region, be32, be64, le64};
use crate::facts::Detail;

const LIST: u64 = 16 << 10;
const LIST_LEN: usize = 112 << 10;
const UBERBLOCKS: u64 = 128 << 10;
const UBERBLOCKS_LEN: usize = 128 << 10;
const MAGIC: u64 = 0x00ba_b10c;
/// `DATA_TYPE_STRING`.
const STRING: u32 = 9;

/// What the label says.
///
/// # Errors
/// The device's error.
pub fn read(region: &dyn Region) -> io::Result<Option<Detail>> {
    let list = region.read(LIST, LIST_LEN)?;
    let (pool, host) = (string(&list, "name"), string(&list, "hostname"));
    let Some(pool) = pool else { return Ok(None) };
    let used = newest(&region.read(UBERBLOCKS, UBERBLOCKS_LEN)?);
    Ok(Some(Detail::Zfs { pool, host: host.unwrap_or_default(), used }))
}

/// The string called `name` in the outermost list.
fn string(list: &[u8], name: &str) -> Option<String> {
    // Encoding 1 is XDR; the version and the flags of the list follow.
    if *list.first()? != 1 {
        return None;
    }
    let mut at = 4 + 8;
    loop {
        let size = usize::try_from(be32(list, at)?).ok().filter(|size| *size > 0)?;
        let pair = list.get(at..at.checked_add(size)?)?;
        let (key, next) = text(pair, 8)?;
        if key == name && be32(pair, next)? == STRING {
            return text(pair, next + 8).map(|(value, _)| value);
        }
        at += size;
    }
}

/// A string with its length before it, padded to four bytes; and where it ends.
fn text(bytes: &[u8], at: usize) -> Option<(String, usize)> {
    let len = usize::try_from(be32(bytes, at)?).ok()?;
    let end = at.checked_add(4)?.checked_add(len)?;
    let raw = bytes.get(at + 4..end)?;
    Some((String::from_utf8_lossy(raw).into_owned(), end.checked_next_multiple_of(4)?))
}

/// The time of the newest uberblock, seconds since 1970.
fn newest(ring: &[u8]) -> Option<u64> {
    let blocks = ring.chunks(1024).filter_map(|block| {
        let word: fn(&[u8], usize) -> Option<u64> = match (le64(block, 0)?, be64(block, 0)?) {
            (MAGIC, _) => le64,
            (_, MAGIC) => be64,
            _ => return None,
        };
        Some((word(block, 16)?, word(block, 32)?))
    });
    blocks.max().map(|(_, time)| time).filter(|time| *time > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ondisk::bytes::Capture;

    fn xdr_text(text: &str) -> Vec<u8> {
        let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        let mut body = xdr_text(name);
        body.extend(kind.to_be_bytes());
        body.extend(1u32.to_be_bytes());
        body.extend(value);
        let size = u32::try_from(body.len() + 8).unwrap();
        [size.to_be_bytes().to_vec(), size.to_be_bytes().to_vec(), body].concat()
    }

    fn label() -> Capture {
        let list = [
            vec![1, 1, 0, 0],
            0u32.to_be_bytes().to_vec(),
            1u32.to_be_bytes().to_vec(),
            pair("version", 8, &5000u64.to_be_bytes()),
            pair("name", STRING, &xdr_text("tank")),
            pair("hostname", STRING, &xdr_text("nas-1")),
            vec![0; 8],
        ]
        .concat();
        let uberblock = |txg: u64, time: u64| {
            let words = [MAGIC, 5000, txg, 0, time];
            words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>()
        };
        let ring = UBERBLOCKS;
        let pieces = vec![
            (LIST, list),
            (ring, uberblock(9, 900)),
            (ring + 4096, uberblock(10, 1000)),
            (ring + 8192, uberblock(3, 5000)),
        ];
        Capture { size: 1 << 20, pieces }
    }

    #[test]
    fn the_pool_its_host_and_its_last_use_are_read() {
        let want = Detail::Zfs { pool: "tank".into(), host: "nas-1".into(), used: Some(1000) };
        assert_eq!(read(&label()).unwrap(), Some(want));
    }

    #[test]
    fn rubbish_is_no_pool_and_ends() {
        assert_eq!(read(&Capture { size: 1 << 20, pieces: vec![] }).unwrap(), None);
        for at in LIST..LIST + 160 {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = label();
                damaged.pieces.push((at, vec![value]));
                let _ = read(&damaged).unwrap();
            }
        }
    }
}
