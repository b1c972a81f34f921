//! md superblocks of version 1 (md(4), "THE md SUPER BLOCK"; the kernel's `include/uapi/linux/raid/md_p.h` and
//! `drivers/md/md.c`, functions `super_1_*`), read from a device or from an image of one. Nothing here writes.
//!
//! Each half of a mirror keeps one. It says which array the half belongs to, which role it has there, which other
//! roles had a working half when it was last written, and, by the count of events, how far it has seen the array's
//! life. Halves that disagree are compared by these.

use std::io::{self, Read, Seek, SeekFrom};

use uuid::Uuid;

use super::Metadata;

/// Bytes that are read; the fixed part has 256, each device that the array ever had two more.
pub const SIZE: usize = 4096;
/// `MD_SB_MAGIC`.
const MAGIC: u32 = 0xa92b_4efc;
const FIXED: usize = 256;
const SECTOR: u64 = 512;
/// Roles from here on are none: journal, faulty, spare (`MD_DISK_ROLE_MAX` is one less than the least of them).
const NO_ROLE: u16 = 0xff00;
const FAULTY: u16 = 0xfffe;
/// `resync_offset` of an array that needs no resync.
const ALL: u64 = u64::MAX;

const FEATURE_BITMAP: u32 = 1;
const FEATURE_RECOVERY: u32 = 2;
const FEATURE_BAD_BLOCKS: u32 = 8;

/// Why there is no superblock.
#[derive(Debug, thiserror::Error)]
pub enum SuperblockError {
    /// The device failed.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// There is none.
    #[error("it holds no md superblock")]
    Absent,
    /// It does not fit its checksum.
    #[error("its md superblock is damaged (its checksum is {found:08x}, and should be {wanted:08x})")]
    Checksum {
        /// What it has.
        found: u32,
        /// What its bytes give.
        wanted: u32,
    },
    /// It says what cannot be.
    #[error("its md superblock makes no sense ({0})")]
    Nonsense(&'static str),
}

/// What a member is in its array, by its own superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Half number so and so.
    Active(u16),
    /// The array has given it up.
    Faulty,
    /// None yet.
    Spare,
}

/// A superblock. Sizes and offsets are in sectors of 512 bytes, as md counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// `feature_map`.
    pub features: u32,
    /// UUID of the array.
    pub set_uuid: Uuid,
    /// Its name, maybe with the name of the host before it.
    pub set_name: String,
    /// When it was created, seconds since 1970.
    pub ctime: u64,
    /// RAID level.
    pub level: i32,
    /// How much of each member is used.
    pub size: u64,
    /// How many members it has when it is whole.
    pub raid_disks: u32,
    /// Where the write-intent bitmap is, from the superblock on; `None`: there is none.
    pub bitmap_offset: Option<i32>,
    /// Where the array's data begins on this member.
    pub data_offset: u64,
    /// How much room it has.
    pub data_size: u64,
    /// Where this superblock is.
    pub super_offset: u64,
    /// This member is being brought up to date, and is so up to here; `None`: it is up to date.
    pub recovery_offset: Option<u64>,
    /// Number of this member among all that the array ever had.
    pub dev_number: u32,
    /// UUID of this member.
    pub device_uuid: Uuid,
    /// When this was written, seconds since 1970.
    pub utime: u64,
    /// How many changes the array has gone through. While an array is whole it may go down by one.
    pub events: u64,
    /// Up to where the members are known to be equal; `None`: everywhere.
    pub resync_offset: Option<u64>,
    /// Blocks of this member are known to be bad.
    pub bad_blocks: bool,
    /// The role of each member, by its number.
    pub roles: Vec<u16>,
}

impl Superblock {
    /// What this member is.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.roles.get(self.dev_number as usize) {
            Some(&role) if role < NO_ROLE => Role::Active(role),
            Some(&FAULTY) => Role::Faulty,
            _ => Role::Spare,
        }
    }

    /// Whether some member had `role` when this was written.
    #[must_use]
    pub fn sees(&self, role: u16) -> bool {
        role < NO_ROLE && self.roles.contains(&role)
    }
}

/// Where the superblock of a member of `size` bytes is, in bytes; `None` where the member is too small for one.
#[must_use]
pub fn offset(metadata: Metadata, size: u64) -> Option<u64> {
    let sectors = size / SECTOR;
    match metadata {
        // 8 KiB before the end, on a multiple of 4 KiB.
        Metadata::V1_0 => Some((sectors.checked_sub(16)? & !7) * SECTOR),
        Metadata::V1_2 => (sectors >= 16).then_some(8 * SECTOR),
    }
}

/// Reads the superblock of the member that has `size` bytes from byte `start` of `device`.
///
/// # Errors
/// [`SuperblockError`].
pub fn read<D: Read + Seek>(
    device: &mut D,
    start: u64,
    size: u64,
    metadata: Metadata,
) -> Result<Superblock, SuperblockError> {
    let at = offset(metadata, size).ok_or(SuperblockError::Absent)?;
    let from = start.checked_add(at).ok_or(SuperblockError::Absent)?;
    device.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::with_capacity(SIZE);
    device.take(SIZE as u64).read_to_end(&mut bytes)?;
    let block = parse(&bytes)?;
    if block.super_offset != at / SECTOR {
        return Err(SuperblockError::Nonsense("it says that it is elsewhere"));
    }
    Ok(block)
}

/// Parses a superblock, which begins at the first byte.
///
/// # Errors
/// [`SuperblockError`].
pub fn parse(bytes: &[u8]) -> Result<Superblock, SuperblockError> {
    let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(SuperblockError::Absent)?;
    if le32(fixed, 0) != MAGIC || le32(fixed, 4) != 1 {
        return Err(SuperblockError::Absent);
    }
    let members = le32(fixed, 220) as usize;
    let len = FIXED + 2 * members.min(SIZE);
    let whole = bytes.get(..len).filter(|_| len <= SIZE);
    let whole = whole.ok_or(SuperblockError::Nonsense("it has too many members"))?;
    let (found, wanted) = (le32(fixed, 216), checksum(whole));
    if found != wanted {
        return Err(SuperblockError::Checksum { found, wanted });
    }
    let features = le32(fixed, 8);
    let has = |feature: u32| features & feature != 0;
    // 40 bits of seconds, 24 of microseconds.
    let seconds = |at: usize| le64(fixed, at) & ((1 << 40) - 1);
    let name = fixed[32..64].split(|b| *b == 0).next().unwrap_or_default();
    Ok(Superblock {
        features,
        set_uuid: uuid(fixed, 16),
        set_name: String::from_utf8_lossy(name).into_owned(),
        ctime: seconds(64),
        level: le32(fixed, 72).cast_signed(),
        size: le64(fixed, 80),
        raid_disks: le32(fixed, 92),
        bitmap_offset: has(FEATURE_BITMAP).then(|| le32(fixed, 96).cast_signed()),
        data_offset: le64(fixed, 128),
        data_size: le64(fixed, 136),
        super_offset: le64(fixed, 144),
        recovery_offset: has(FEATURE_RECOVERY).then(|| le64(fixed, 152)),
        dev_number: le32(fixed, 160),
        device_uuid: uuid(fixed, 168),
        utime: seconds(192),
        events: le64(fixed, 200),
        resync_offset: Some(le64(fixed, 208)).filter(|at| *at != ALL),
        bad_blocks: has(FEATURE_BAD_BLOCKS),
        roles: whole[FIXED..].chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect(),
    })
}

/// The checksum of a superblock, over all its bytes but the checksum itself (`calc_sb_1_csum`).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = 0u64;
    for (index, chunk) in bytes.chunks(4).enumerate() {
        if index != 216 / 4 {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            sum += u64::from(u32::from_le_bytes(word));
        }
    }
    let folded = (sum & 0xffff_ffff) + (sum >> 32);
    u32::try_from(folded & 0xffff_ffff).unwrap_or_default() // masked to 32 bits
}

fn le32(bytes: &[u8; FIXED], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn le64(bytes: &[u8; FIXED], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

fn uuid(bytes: &[u8; FIXED], at: usize) -> Uuid {
    let mut raw = [0; 16];
    raw.copy_from_slice(&bytes[at..at + 16]);
    Uuid::from_bytes(raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;
    use uuid::uuid;

    /// Of an installed node, first half of its state array.
    const STATE: &[u8] = include_bytes!("testdata/state-0.bin");
    /// ... second half of its first system slot, 1 GiB.
    const SYSTEM: &[u8] = include_bytes!("testdata/a-1.bin");
    const GIB: u64 = 1 << 30;

    #[test]
    fn real_superblocks_are_understood() {
        let state = parse(STATE).unwrap();
        assert_eq!(state.set_uuid, uuid!("2119f8f0-65cc-5679-b7d6-a28f30288f20"));
        assert_eq!((state.set_name.as_str(), state.level, state.raid_disks), ("any:maekin-state", 1, 2));
        assert_eq!((state.bitmap_offset, state.super_offset, state.data_offset), (Some(8), 8, 0x2800));
        assert_eq!((state.role(), state.events, state.resync_offset), (Role::Active(0), 6, None));
        assert!(state.sees(0) && state.sees(1) && !state.sees(2) && !state.sees(0xffff));
        assert_eq!((state.ctime, state.utime - state.ctime, state.roles.len()), (0x6b00_123d, 144, 128));
        let system = parse(SYSTEM).unwrap();
        assert_eq!((system.role(), system.dev_number, system.bitmap_offset), (Role::Active(1), 1, None));
        assert_eq!(system.data_offset, 0, "the first byte of the member is the array's");
        assert_eq!((system.recovery_offset, system.bad_blocks), (None, false));
    }

    #[test]
    fn it_is_read_from_its_place_on_a_device_or_in_an_image() {
        let mut image = vec![0; 20 << 20];
        let at = |metadata, size| usize::try_from(offset(metadata, size).unwrap()).unwrap();
        let start = 4 << 20;
        image[start + 4096..start + 4096 + 512].copy_from_slice(STATE);
        let found = read(&mut Cursor::new(&image), start as u64, 16 << 20, Metadata::V1_2).unwrap();
        assert_eq!(found, parse(STATE).unwrap());
        assert_eq!(at(Metadata::V1_0, GIB) as u64, GIB - 8192);
        assert_eq!(at(Metadata::V1_0, GIB + 512) as u64, GIB - 8192);
        assert_eq!(offset(Metadata::V1_0, 4096), None);
        assert_eq!(offset(Metadata::V1_2, 4096), None);
        // The other kind of place, a place behind the end, and one that the superblock does not name.
        let rows =
            [(Metadata::V1_0, 0, 20 << 20), (Metadata::V1_2, 30 << 20, GIB), (Metadata::V1_2, u64::MAX, GIB)];
        for (metadata, start, size) in rows {
            let got = read(&mut Cursor::new(&image), start, size, metadata);
            assert!(matches!(got, Err(SuperblockError::Absent | SuperblockError::Io(_))), "{got:?}");
        }
        let from = at(Metadata::V1_0, 20 << 20);
        image[from..from + 512].copy_from_slice(SYSTEM);
        let got = read(&mut Cursor::new(&image), 0, 20 << 20, Metadata::V1_0);
        assert!(matches!(got, Err(SuperblockError::Nonsense(_))), "copied from a larger device: {got:?}");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for at in 0..STATE.len() * 8 {
            let mut bytes = STATE.to_vec();
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(parse(&bytes).is_err(), "bit {at}");
        }
    }

    #[test]
    #[allow(clippy::cast_possible_truncation)] // of random numbers
    fn hostile_bytes_are_refused_or_understood_but_never_a_panic() {
        // xorshift64, from a fixed seed: every run sees the same bytes.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut understood = 0;
        for round in 0..20_000 {
            let mut bytes =
                if round % 2 == 0 { STATE.to_vec() } else { vec![0; next() as usize % (2 * SIZE)] };
            for _ in 0..next() % 40 {
                let len = bytes.len().max(1) as u64;
                let (at, value) = ((next() % len) as usize, next() as u8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            // Half of them are made to pass the checksum, so that what lies behind it is reached.
            if round % 4 == 0 && bytes.len() >= FIXED {
                bytes[..8].copy_from_slice(&STATE[..8]);
                let members = u32::from_le_bytes([bytes[220], bytes[221], bytes[222], bytes[223]]) as usize;
                if let Some(whole) = bytes.get(..FIXED + 2 * members.min(SIZE)) {
                    let sum = checksum(whole);
                    bytes[216..220].copy_from_slice(&sum.to_le_bytes());
                }
            }
            if let Ok(block) = parse(&bytes) {
                understood += 1;
                let _ = (block.role(), block.sees(0), block.sees(u16::MAX));
                assert!(block.roles.len() * 2 + FIXED <= SIZE);
            }
            for cut in [0, 8, 255, 256, 511] {
                let _ = parse(&bytes[..cut.min(bytes.len())]);
            }
        }
        assert!(understood > 1000, "{understood} passed the checksum");
    }
}
