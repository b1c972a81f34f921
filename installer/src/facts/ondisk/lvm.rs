//! LVM physical volumes: the group's name, its volumes, and the Ceph OSDs on them, which `ceph-volume` writes as tags.
//! Read from the metadata text on the device (LVM2, `lib/format_text/layout.h`), without LVM: activating a volume would
//! run whatever is on it, and writing to it is not for us.

use std::io;

use super::bytes::{Region, le64, text};
use crate::facts::{Detail, Osd};

const SECTOR: u64 = 512;
/// The label is in one of the first four sectors.
const LABEL_SECTORS: u64 = 4;
/// An area's header, after which its text wraps around.
const MDA_HEADER: u64 = 512;
/// Longest metadata text that is read, in bytes: groups with thousands of volumes have a few MiB.
const LONGEST: u64 = 8 << 20;
/// Most volumes that are told.
const VOLUMES: usize = 64;

/// What the physical volume says.
///
/// # Errors
/// The device's error.
pub fn read(region: &dyn Region) -> io::Result<Option<Detail>> {
    let head = region.read(0, usize::try_from(LABEL_SECTORS * SECTOR).unwrap_or_default())?;
    let Some(areas) = areas(&head) else { return Ok(None) };
    for (start, size) in areas {
        if let Some(text) = metadata(region, start, size)? {
            return Ok(Some(parse(&text)));
        }
    }
    Ok(Some(Detail::Lvm { group: String::new(), volumes: Vec::new(), osds: Vec::new() }))
}

/// The metadata areas that the label names: first byte and length.
fn areas(head: &[u8]) -> Option<Vec<(u64, u64)>> {
    let label =
        head.chunks(512).find(|s| s.starts_with(b"LABELONE") && s.get(24..32) == Some(b"LVM2 001"))?;
    let mut at = usize::try_from(u32::from_le_bytes(label.get(20..24)?.try_into().ok()?)).ok()?;
    at = at.checked_add(32 + 8)?; // the volume's UUID and size
    let list = |at: &mut usize| -> Option<Vec<(u64, u64)>> {
        let mut list = Vec::new();
        loop {
            let (start, size) = (le64(label, *at)?, le64(label, at.checked_add(8)?)?);
            *at = at.checked_add(16)?;
            if start == 0 {
                return Some(list);
            }
            list.push((start, size));
        }
    };
    list(&mut at)?; // data areas
    list(&mut at)
}

/// The text that an area's header points at.
fn metadata(region: &dyn Region, start: u64, size: u64) -> io::Result<Option<String>> {
    let header = region.read(start, 512)?;
    let found = header.get(4..20) == Some(b" LVM2 x[5A%r0N*>".as_slice());
    let (Some(offset), Some(len)) = (le64(&header, 40), le64(&header, 48)) else { return Ok(None) };
    if !found || len == 0 || len > LONGEST || offset < MDA_HEADER || offset >= size || len > size - MDA_HEADER
    {
        return Ok(None);
    }
    let whole = |len: u64| usize::try_from(len).unwrap_or_default();
    let first = len.min(size - offset);
    let mut bytes = region.read(start.saturating_add(offset), whole(first))?;
    if first < len {
        bytes.extend(region.read(start.saturating_add(MDA_HEADER), whole(len - first))?);
    }
    Ok(Some(text(&bytes, 0, bytes.len())))
}

/// What matters of the metadata text: `group { ... logical_volumes { name { tags = ["..."] ... } } }`.
#[must_use]
pub fn parse(text: &str) -> Detail {
    let mut path: Vec<&str> = Vec::new();
    let mut group = String::new();
    let (mut volumes, mut osds) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix('{') {
            path.push(name.trim());
            match path.as_slice() {
                [name] => group = (*name).to_owned(),
                [_, "logical_volumes", name] if volumes.len() < VOLUMES => volumes.push((*name).to_owned()),
                _ => {}
            }
        } else if line == "}" {
            path.pop();
        } else if let (Some(tags), [_, "logical_volumes", _]) =
            (line.strip_prefix("tags = ["), path.as_slice())
        {
            osds.extend(osd(tags));
        }
    }
    Detail::Lvm { group, volumes, osds }
}

/// The OSD that a volume's tags are about, if they are about one.
fn osd(tags: &str) -> Option<Osd> {
    let value = |key: &str| -> Option<&str> {
        let tag =
            tags.split('"').find_map(|tag| tag.strip_prefix("ceph.")?.strip_prefix(key)?.strip_prefix('='));
        tag.filter(|value| !value.is_empty())
    };
    let part = value("type")?;
    Some(Osd {
        id: value("osd_id").and_then(|id| id.parse().ok()),
        uuid: value("osd_fsid").unwrap_or_default().to_owned(),
        cluster: value("cluster_fsid").unwrap_or_default().to_owned(),
        part: part.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::ondisk::bytes::Capture;

    /// The first 16 KiB of a physical volume of 64 MiB, written by LVM 2.03.31: a group with two volumes that are tagged
    /// as `ceph-volume` tags them.
    const PV: &[u8] = include_bytes!("../../../fixtures/lvm-ceph.bin");

    fn volume() -> Capture {
        Capture { size: 64 << 20, pieces: vec![(0, PV.to_vec())] }
    }

    #[test]
    fn a_group_that_lvm_wrote_names_its_volumes_and_osds() {
        let Some(Detail::Lvm { group, volumes, osds }) = read(&volume()).unwrap() else { panic!() };
        assert_eq!(group, "ceph-0b16a1c8-a9ab-4d3c-8d32-6e0e1f5c1fa4");
        assert_eq!(volumes.len(), 2);
        let cluster = "0c0f3e7a-8a1d-4d5e-9f6a-1b2c3d4e5f60";
        let got: Vec<_> = osds.iter().map(|o| (o.id, o.part.as_str(), o.cluster.as_str())).collect();
        assert_eq!(got, [(Some(7), "block", cluster), (Some(8), "db", cluster)]);
        assert_eq!(osds[0].uuid, "6f2c5c1e-7d61-4c58-a6f5-3a9d1f0d8f1b");
    }

    #[test]
    fn text_that_wraps_around_its_area_is_read_whole() {
        let (start, size) = (4096u64, 4096u64);
        let text = format!("vg {{\nlogical_volumes {{\na {{\n}}\n}}\n}}\n{}", "#".repeat(1000));
        let (first, rest) = text.split_at(20);
        let mut header = vec![0; 512];
        header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
        header[40..48].copy_from_slice(&(size - 20).to_le_bytes());
        header[48..56].copy_from_slice(&(text.len() as u64).to_le_bytes());
        let pieces = vec![
            (start, header),
            (start + size - 20, first.as_bytes().to_vec()),
            (start + MDA_HEADER, rest.as_bytes().to_vec()),
        ];
        let drive = Capture { size: 1 << 20, pieces };
        assert_eq!(metadata(&drive, start, size).unwrap(), Some(text));
    }

    #[test]
    fn a_volume_of_no_group_and_rubbish_are_told_apart() {
        let mut bare = volume();
        bare.pieces.push((4096 + 48, vec![0; 8]));
        assert_eq!(
            read(&bare).unwrap(),
            Some(Detail::Lvm { group: String::new(), volumes: vec![], osds: vec![] })
        );
        assert_eq!(read(&Capture { size: 1 << 20, pieces: vec![] }).unwrap(), None);
        for at in 512..1100 {
            let mut damaged = volume();
            damaged.pieces.push((at, vec![0xff]));
            let _ = read(&damaged).unwrap();
        }
        for at in 4096..4200 {
            let mut damaged = volume();
            damaged.pieces.push((at, vec![0xff]));
            let _ = read(&damaged).unwrap();
        }
    }
}
