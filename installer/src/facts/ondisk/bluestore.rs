//! The label at the start of a BlueStore device (Ceph, `src/os/bluestore/bluestore_types.cc`,
//! `bluestore_bdev_label_t`). It also holds a secret of the OSD where Ceph was told to put it there: only what names
//! the OSD is taken.

use std::collections::BTreeMap;
use std::io;

use super::bytes::{Region, le32, text, uuid};
use crate::facts::{Detail, Osd};

const MAGIC: &[u8] = b"bluestore block device\n";
/// Bytes of the readable head: the magic, a UUID as text, a newline.
const HEAD: usize = 60;
/// The label's block.
const BLOCK: usize = 4096;
/// Most entries of its map: real ones have about fifteen.
const ENTRIES: u32 = 256;

/// The OSD that keeps data here.
///
/// # Errors
/// The device's error.
pub fn read(region: &dyn Region) -> io::Result<Option<Detail>> {
    Ok(parse(&region.read(0, BLOCK)?).map(Detail::Osd))
}

/// Parses the label's block.
#[must_use]
pub fn parse(block: &[u8]) -> Option<Osd> {
    if !block.starts_with(MAGIC) {
        return None;
    }
    // What is readable is enough to know that it is an OSD, even where the rest is of a version unknown to us.
    let mut osd = Osd { uuid: text(block, MAGIC.len(), 36), part: "block".to_owned(), ..Osd::default() };
    if let Some((description, meta)) = encoded(block) {
        osd.uuid = uuid(block, HEAD + 6);
        osd.id = meta.get("whoami").and_then(|id| id.parse().ok());
        osd.cluster = meta.get("ceph_fsid").cloned().unwrap_or_default();
        osd.part = match description.as_str() {
            "bluefs db" => "db",
            "bluefs wal" => "wal",
            _ => "block",
        }
        .to_owned();
    }
    Some(osd)
}

/// The description and the map of the encoded part: version, compatible version, length; then UUID, size, time.
fn encoded(block: &[u8]) -> Option<(String, BTreeMap<String, String>)> {
    let compatible = *block.get(HEAD + 1)?;
    let end = HEAD.checked_add(6)?.checked_add(usize::try_from(le32(block, HEAD + 2)?).ok()?)?;
    let block = block.get(..end)?;
    if compatible > 2 {
        return None;
    }
    let mut at = HEAD + 6 + 16 + 8 + 8;
    let description = string(block, &mut at)?;
    let count = le32(block, at).filter(|count| *count <= ENTRIES)?;
    at += 4;
    let mut meta = BTreeMap::new();
    for _ in 0..count {
        let key = string(block, &mut at)?;
        meta.insert(key, string(block, &mut at)?);
    }
    Some((description, meta))
}

/// A string with its length before it.
fn string(block: &[u8], at: &mut usize) -> Option<String> {
    let len = usize::try_from(le32(block, *at)?).ok()?;
    let start = at.checked_add(4)?;
    let end = start.checked_add(len)?;
    *at = end;
    Some(String::from_utf8_lossy(block.get(start..end)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first 4096 bytes of a device that `ceph-osd --mkfs` of Ceph 18.2.7 made.
    const LABEL: &[u8] = include_bytes!("../../../fixtures/bluestore-label.bin");

    #[test]
    fn a_label_that_ceph_wrote_names_osd_and_cluster() {
        let want = Osd {
            id: Some(7),
            uuid: "6f2c5c1e-7d61-4c58-a6f5-3a9d1f0d8f1b".to_owned(),
            cluster: "0c0f3e7a-8a1d-4d5e-9f6a-1b2c3d4e5f60".to_owned(),
            part: "block".to_owned(),
        };
        assert_eq!(parse(LABEL), Some(want));
    }

    #[test]
    fn any_damage_behind_the_head_leaves_an_osd_without_a_number_and_no_panic() {
        for len in 0..LABEL.len().min(700) {
            let cut = parse(&LABEL[..len]);
            assert_eq!(cut.is_some(), len >= MAGIC.len(), "{len}");
        }
        for at in HEAD..600 {
            let mut bytes = LABEL.to_vec();
            bytes[at] = 0xff;
            assert!(parse(&bytes).is_some(), "{at}");
        }
        assert_eq!(parse(&[0; BLOCK]), None);
    }
}
