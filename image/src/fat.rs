//! Reading a FAT32 file system as firmware does, from anything that reads and seeks (Microsoft FAT specification, 2005).
//! Nothing on it is believed: whatever is damaged is an error or absent, never a panic, an endless chain or a large
//! allocation.

use std::io::{self, Read, Seek, SeekFrom};

const DIRECTORY: u8 = 0x10;
const VOLUME: u8 = 0x08;
const LONG: u8 = 0x0f;
const RECORD: usize = 32;
/// From this value on, a table's entry says that no cluster follows.
const END: u32 = 0x0fff_fff8;
/// Most entries of a directory that are looked at.
const MANY: usize = 4096;

/// A FAT32 file system.
#[derive(Debug)]
pub struct Fat<D> {
    device: D,
    start: u64,
    cluster: u64,
    table: u64,
    data: u64,
    clusters: u32,
    root: u32,
}

/// A file or directory as its directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    directory: bool,
    first: u32,
    size: u32,
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the FAT file system is damaged: {what}"))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

impl<D: Read + Seek> Fat<D> {
    /// The file system that begins at byte `start` of `device`.
    ///
    /// # Errors
    /// The device's, and `InvalidData` where there is none.
    pub fn open(mut device: D, start: u64) -> io::Result<Self> {
        let mut boot = [0; 512];
        device.seek(SeekFrom::Start(start))?;
        device.read_exact(&mut boot)?;
        let sector = u64::from(half(&boot, 11));
        let per_cluster = u64::from(boot[13]);
        let (reserved, tables) = (u64::from(half(&boot, 14)), u64::from(boot[16]));
        let (sectors, table_sectors) = (u64::from(word(&boot, 32)), u64::from(word(&boot, 36)));
        let sane = boot[510..] == [0x55, 0xaa]
            && [512, 1024, 2048, 4096].contains(&sector)
            && per_cluster.is_power_of_two()
            && (1..=2).contains(&tables)
            && half(&boot, 17) == 0
            && table_sectors > 0;
        let before = reserved + tables * table_sectors;
        if !sane || before >= sectors {
            return Err(damaged("it has no FAT32 boot sector"));
        }
        let clusters = u32::try_from((sectors - before) / per_cluster).map_err(|_| damaged("its size"))?;
        Ok(Self {
            device,
            start,
            cluster: per_cluster * sector,
            table: start + reserved * sector,
            data: start + before * sector,
            clusters,
            root: word(&boot, 44),
        })
    }

    /// Where on the device the file system begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The content of the file `path` (with `/`), of at most `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    /// The device's, and `InvalidData` where the file or a directory on the way is damaged or larger.
    pub fn read(&mut self, path: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut at = Found { directory: true, first: self.root, size: 0 };
        for name in path.split('/') {
            if !at.directory {
                return Ok(None);
            }
            match self.find(at.first, name)? {
                Some(found) => at = found,
                None => return Ok(None),
            }
        }
        if at.directory || u64::from(at.size) > limit {
            return Err(damaged(&format!("{path} is a directory, or too large")));
        }
        let mut content = self.chain(at.first, u64::from(at.size))?;
        content.truncate(at.size as usize);
        Ok(Some(content))
    }

    /// The bytes of the clusters from `first`, until `size` are there.
    fn chain(&mut self, first: u32, size: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = first;
        while (bytes.len() as u64) < size {
            if !self.is_cluster(at) {
                return Err(damaged("a chain is cut"));
            }
            bytes.append(&mut self.content(at)?);
            at = self.next(at)?;
        }
        Ok(bytes)
    }

    /// The records of the directory from cluster `first` on, up to the one that says that no more follow. As firmware, this
    /// asks for a next cluster only where the records of the one before do not end.
    fn records(&mut self, first: u32) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut at = first;
        while bytes.len() < MANY * RECORD && at < END {
            if !self.is_cluster(at) {
                return Err(damaged("a chain is cut"));
            }
            let content = self.content(at)?;
            if let Some(end) = content.chunks_exact(RECORD).position(|record| record[0] == 0) {
                bytes.extend_from_slice(&content[..end * RECORD]);
                break;
            }
            bytes.extend(content);
            at = self.next(at)?;
        }
        Ok(bytes)
    }

    fn is_cluster(&self, at: u32) -> bool {
        at.checked_sub(2).is_some_and(|at| at < self.clusters)
    }

    fn content(&mut self, at: u32) -> io::Result<Vec<u8>> {
        self.device.seek(SeekFrom::Start(self.data + u64::from(at - 2) * self.cluster))?;
        let mut bytes = Vec::new();
        self.device.by_ref().take(self.cluster).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == self.cluster { Ok(bytes) } else { Err(damaged("it ends early")) }
    }

    fn next(&mut self, at: u32) -> io::Result<u32> {
        let mut next = [0; 4];
        self.device.seek(SeekFrom::Start(self.table + u64::from(at) * 4))?;
        self.device.read_exact(&mut next)?;
        Ok(u32::from_le_bytes(next) & 0x0fff_ffff)
    }

    fn find(&mut self, directory: u32, name: &str) -> io::Result<Option<Found>> {
        let bytes = self.records(directory)?;
        let mut long: Vec<u16> = Vec::new();
        for record in bytes.chunks_exact(RECORD) {
            match (record[0], record[11]) {
                (0xe5, _) => long.clear(),
                (order, LONG) => {
                    if order & 0x40 != 0 {
                        long.clear();
                    }
                    let part = [&record[1..11], &record[14..26], &record[28..32]].concat();
                    let mut units: Vec<u16> = part.chunks_exact(2).map(|b| half(b, 0)).collect();
                    units.append(&mut long);
                    long = units;
                }
                (_, kind) if kind & VOLUME != 0 => long.clear(),
                (_, kind) => {
                    let long_name: String = char::decode_utf16(long.drain(..).take_while(|u| *u != 0))
                        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                        .collect();
                    if long_name.eq_ignore_ascii_case(name) || short_name(record).eq_ignore_ascii_case(name) {
                        let first = u32::from(half(record, 20)) << 16 | u32::from(half(record, 26));
                        let directory = kind & DIRECTORY != 0;
                        return Ok(Some(Found { directory, first, size: word(record, 28) }));
                    }
                }
            }
        }
        Ok(None)
    }
}

fn short_name(record: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (stem, extension) = (text(&record[..8]), text(&record[8..11]));
    if extension.is_empty() { stem } else { format!("{stem}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// Sectors and clusters of 512 bytes; one reserved sector, one table of one sector, root at cluster 2.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 64 * 512];
        image[11..13].copy_from_slice(&512u16.to_le_bytes());
        image[13] = 1;
        image[14] = 1;
        image[16] = 1;
        image[32..36].copy_from_slice(&64u32.to_le_bytes());
        image[36..40].copy_from_slice(&1u32.to_le_bytes());
        image[44..48].copy_from_slice(&2u32.to_le_bytes());
        image[510..512].copy_from_slice(&[0x55, 0xaa]);
        for (cluster, next) in [(2, 0x0fff_ffffu32), (3, 0x0fff_ffff), (4, 5), (5, 0x0fff_ffff)] {
            image[512 + 4 * cluster..516 + 4 * cluster].copy_from_slice(&next.to_le_bytes());
        }
        let mut record = |cluster: usize, i: usize, name: &[u8; 11], kind: u8, first: u16, size: u32| {
            let at = 1024 + (cluster - 2) * 512 + i * RECORD;
            image[at..at + 11].copy_from_slice(name);
            image[at + 11] = kind;
            image[at + 26..at + 28].copy_from_slice(&first.to_le_bytes());
            image[at + 28..at + 32].copy_from_slice(&size.to_le_bytes());
        };
        record(2, 0, b"MAEKIN_ESP ", VOLUME, 0, 0);
        record(2, 1, b"EFI        ", DIRECTORY, 3, 0);
        record(3, 1, b"GRUBXX~1EFI", 0, 4, 600);
        let at = 1024 + 512;
        image[at] = 0x41;
        image[at + 11] = LONG;
        for (unit, place) in "grub.x\0".encode_utf16().zip([1, 3, 5, 7, 9, 14, 16]) {
            image[at + place..at + place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        image[1024 + 1024..1024 + 2048].fill(7);
        image
    }

    fn read(image: Vec<u8>, path: &str) -> io::Result<Option<Vec<u8>>> {
        Fat::open(Cursor::new(image), 0)?.read(path, 4096)
    }

    #[test]
    fn files_are_found_by_both_names_whatever_their_case() {
        for path in ["EFI/grub.x", "efi/GRUB.X", "EFI/grubxx~1.efi"] {
            assert_eq!(read(image(), path).unwrap(), Some(vec![7; 600]), "{path}");
        }
        for path in ["EFI/other", "nothing/grub.x", "EFI/grub.x/more"] {
            assert_eq!(read(image(), path).unwrap(), None, "{path}");
        }
        assert!(read(image(), "EFI").is_err());
    }

    #[test]
    fn damage_is_an_error_and_ends() {
        let change = |at: usize, bytes: &[u8]| {
            let mut image = image();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            image
        };
        let rows = [
            ("no signature", change(510, &[0])),
            ("chain to nowhere", change(512 + 16, &[0, 0, 0, 0])),
            ("chain past the end", change(512 + 16, &[200, 0, 0, 0])),
            ("clusters of no sector", change(13, &[0])),
            ("a table past the end", change(36, &[0xff, 0xff, 0xff, 0xff])),
        ];
        for (name, image) in rows {
            assert!(read(image, "EFI/grub.x").is_err(), "{name}");
        }
        // A directory that leads to itself ends all the same.
        let full = |next: u8| {
            let mut image = change(512 + 8, &[next, 0, 0, 0]);
            for record in image[1024 + 2 * RECORD..1024 + 512].chunks_exact_mut(RECORD) {
                record[0] = 0xe5;
            }
            image
        };
        assert_eq!(read(full(2), "no").unwrap(), None);
        assert!(read(full(0), "no").is_err(), "a directory that goes on nowhere");
    }

    /// A power cut leaves a directory without its place in the table, or without its content.
    #[test]
    fn a_directory_that_ends_in_its_first_cluster_needs_no_further_one() {
        let free = |mut image: Vec<u8>| {
            image[512 + 12..512 + 16].fill(0);
            image
        };
        assert_eq!(read(free(image()), "EFI/grub.x").unwrap(), Some(vec![7; 600]));
        assert_eq!(read(free(image()), "EFI/other").unwrap(), None);
        let mut blank = free(image());
        blank[1024 + 512..1024 + 1024].fill(0);
        assert_eq!(read(blank, "EFI/grub.x").unwrap(), None);
    }
}
