//! The chunk list of the root image: the SHA-256 of each piece, so that a piece can be taken from anybody and be held
//! against what was signed. The list is a file of the bundle; its own digest is in the signed manifest.
//!
//! ```text
//! maekin-chunks 1
//! size 292368384
//! chunk 524288
//! 64 hex digits, one line for each chunk
//! ```

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::manifest::hex;

/// File name of the root image's list in a bundle.
pub const ROOT_CHUNKS: &str = "root.chunks";
/// Bytes of a chunk of the root image: large enough that asking for one costs little, small enough that a machine has
/// something to pass on soon.
pub const CHUNK: u32 = 512 << 10;
/// Most chunks of an image: what a bitmap in a request's head has room for.
pub const MOST: usize = 16 << 10;
/// Largest list that is read, in bytes.
pub const LIST_LIMIT: u64 = 2 << 20;

const FIRST: &str = "maekin-chunks 1";

/// The pieces of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList {
    size: u64,
    chunk: u32,
    digests: Vec<[u8; 32]>,
}

/// Why a list was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the chunk list {problem}; the release is damaged, build it again")]
pub struct BadList {
    line: usize,
    problem: &'static str,
}

impl ChunkList {
    /// Reads an image of any length and makes its list.
    ///
    /// # Errors
    /// Those of reading, and where `chunk` is no power of two from 4 KiB to 16 MiB, or makes too many pieces.
    pub fn of(mut from: impl Read, chunk: u32) -> io::Result<Self> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
        if !is_chunk(chunk) {
            return Err(invalid("a chunk has 4 KiB to 16 MiB, a power of two"));
        }
        let mut list = Self { size: 0, chunk, digests: Vec::new() };
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let n = from.by_ref().take(u64::from(chunk)).read_to_end(&mut piece)?;
            if n == 0 {
                return Ok(list);
            }
            list.size += n as u64;
            list.digests.push(Sha256::digest(&piece).into());
            if list.digests.len() > MOST {
                return Err(invalid("the image has too many chunks; make them larger"));
            }
        }
    }

    /// The list as text.
    #[must_use]
    pub fn text(&self) -> String {
        let head = format!("{FIRST}\nsize {}\nchunk {}\n", self.size, self.chunk);
        self.digests.iter().fold(head, |text, digest| text + &hex(digest) + "\n")
    }

    /// Parses a list.
    ///
    /// # Errors
    /// [`BadList`], with the line.
    pub fn parse(text: &str) -> Result<Self, BadList> {
        let bad = |line, problem| Err(BadList { line, problem });
        let mut lines = text.lines();
        if lines.next() != Some(FIRST) {
            return bad(1, "is not of format 1");
        }
        let number = |line: Option<&str>, key: &str| -> Option<u64> {
            let digits = line?.strip_prefix(key)?.strip_prefix(' ')?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        let Some(size) = number(lines.next(), "size") else { return bad(2, "does not tell the size") };
        let chunk = number(lines.next(), "chunk").and_then(|n| u32::try_from(n).ok());
        let Some(chunk) = chunk.filter(|n| is_chunk(*n)) else {
            return bad(3, "does not tell a chunk's size that can be used");
        };
        let count = size.div_ceil(u64::from(chunk));
        if count > MOST as u64 {
            return bad(2, "tells a size of too many chunks");
        }
        let mut digests = Vec::new();
        for (i, line) in lines.enumerate() {
            let Some(digest) = unhex(line) else { return bad(i + 4, "is no digest") };
            if digests.len() as u64 == count {
                return bad(i + 4, "is one digest too many");
            }
            digests.push(digest);
        }
        if (digests.len() as u64) < count {
            return bad(digests.len() + 4, "is missing");
        }
        Ok(Self { size, chunk, digests })
    }

    /// How many chunks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.digests.len()
    }

    /// Bytes of the image.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of each chunk but the last.
    #[must_use]
    pub fn chunk(&self) -> u32 {
        self.chunk
    }

    /// First byte and length of chunk `index`; `None` beyond the last.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<(u64, usize)> {
        if index >= self.digests.len() {
            return None;
        }
        let from = index as u64 * u64::from(self.chunk);
        let len = (self.size - from).min(u64::from(self.chunk));
        Some((from, usize::try_from(len).ok()?))
    }

    /// Whether `bytes` are chunk `index`, all of it and nothing else.
    #[must_use]
    pub fn holds(&self, index: usize, bytes: &[u8]) -> bool {
        let right = |(_, len)| bytes.len() == len && Sha256::digest(bytes)[..] == self.digests[index];
        self.place(index).is_some_and(right)
    }
}

fn is_chunk(bytes: u32) -> bool {
    bytes.is_power_of_two() && (4 << 10..=16 << 20).contains(&bytes)
}

fn unhex(line: &str) -> Option<[u8; 32]> {
    let lower = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    if line.len() != 64 || !line.as_bytes().iter().all(lower) {
        return None;
    }
    let mut digest = [0; 32];
    for (i, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&line[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: u32 = 4096;

    fn image(len: usize) -> Vec<u8> {
        (0..len).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect()
    }

    #[test]
    fn rack_a_list_is_the_same_after_text_and_back() {
        for (name, len, count) in
            [("empty", 0, 0), ("one byte", 1, 1), ("whole chunks", 8192, 2), ("a tail", 8193, 3)]
        {
            let list = ChunkList::of(&image(len)[..], K).unwrap();
            assert_eq!((list.count(), list.size()), (count, len as u64), "{name}");
            assert_eq!(ChunkList::parse(&list.text()).as_ref(), Ok(&list), "{name}");
        }
    }

    #[test]
    fn rack_a_chunk_is_known_by_place_length_and_content() {
        let image = image(8193);
        let list = ChunkList::of(&image[..], K).unwrap();
        assert_eq!(list.place(2), Some((8192, 1)));
        assert_eq!(list.place(3), None);
        let mut changed = image[..4096].to_vec();
        changed[77] ^= 1;
        let rows: [(&str, usize, &[u8], bool); 7] = [
            ("first", 0, &image[..4096], true),
            ("last", 2, &image[8192..], true),
            ("another one's place", 1, &image[..4096], false),
            ("one bit", 0, &changed, false),
            ("cut", 0, &image[..4095], false),
            ("longer", 2, &image[8191..], false),
            ("beyond", 3, &[], false),
        ];
        for (name, index, bytes, want) in rows {
            assert_eq!(list.holds(index, bytes), want, "{name}");
        }
    }

    #[test]
    fn rack_a_damaged_list_is_refused_by_line() {
        let good = ChunkList::of(&image(8193)[..], K).unwrap().text();
        let digest = good.lines().next_back().unwrap().to_owned();
        let rows = [
            ("empty", String::new(), 1),
            ("another format", good.replace("chunks 1", "chunks 2"), 1),
            ("no size", good.replace("size 8193", "size -1"), 2),
            ("a size beyond all bounds", good.replace("8193", "18446744073709551615"), 2),
            ("a chunk that is no power of two", good.replace("chunk 4096", "chunk 4097"), 3),
            ("a chunk of nothing", good.replace("chunk 4096", "chunk 0"), 3),
            ("a digest too many", format!("{good}{digest}\n"), 7),
            ("a digest too few", good.replace(&format!("{digest}\n"), ""), 6),
            ("capitals", good.replace(&digest, &digest.to_uppercase()), 6),
            ("no digest", good.replace(&digest, &"é".repeat(32)), 6),
        ];
        for (name, text, line) in rows {
            assert_eq!(ChunkList::parse(&text).map_err(|e| e.line), Err(line), "{name}");
        }
    }
}
