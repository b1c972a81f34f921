//! A reader that lets through exactly the bytes that were promised: at the end of the stream it fails unless size and
//! digest are right, and it never passes on more than the size.

use std::io::{self, Read};

use maekin_image::manifest::{FileEntry, hex};
use sha2::{Digest, Sha256};

/// See the module.
pub struct Checked<R> {
    inner: R,
    name: String,
    entry: FileEntry,
    seen: u64,
    digest: Option<Sha256>,
}

impl<R: Read> Checked<R> {
    /// Checks `inner`, called `name`, against `entry`.
    pub fn new(inner: R, name: &str, entry: FileEntry) -> Self {
        Self { inner, name: name.to_owned(), entry, seen: 0, digest: Some(Sha256::new()) }
    }

    fn wrong(&self, what: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} {what}", self.name))
    }

    fn finish(&mut self) -> io::Result<usize> {
        if self.seen < self.entry.size {
            let what = format!("ends after {} of {} bytes", self.seen, self.entry.size);
            return Err(self.wrong(&what));
        }
        let Some(digest) = self.digest.take() else { return Ok(0) };
        if hex(&digest.finalize()) == self.entry.sha256 {
            return Ok(0);
        }
        Err(self.wrong("does not have the digest that the manifest promises: it is damaged or was changed"))
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buffer)?;
        if n == 0 {
            return self.finish();
        }
        self.seen += n as u64;
        if self.seen > self.entry.size {
            return Err(self.wrong(&format!("is longer than the {} bytes promised", self.entry.size)));
        }
        if let Some(digest) = &mut self.digest {
            digest.update(&buffer[..n]);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_image::manifest::sha256_hex;

    fn entry(bytes: &[u8]) -> FileEntry {
        FileEntry { size: bytes.len() as u64, sha256: sha256_hex(bytes) }
    }

    #[test]
    fn only_what_was_promised_comes_through() {
        type Row = (&'static str, &'static [u8], &'static [u8], Option<&'static str>);
        let rows: &[Row] = &[
            ("the same", b"hello", b"hello", None),
            ("empty", b"", b"", None),
            ("changed", b"hellO", b"hello", Some("digest")),
            ("cut off", b"hell", b"hello", Some("ends after 4 of 5")),
            ("longer", b"hello!", b"hello", Some("longer than the 5")),
        ];
        for (name, bytes, promised, want) in rows {
            let mut out = Vec::new();
            let got = Checked::new(*bytes, "root", entry(promised)).read_to_end(&mut out);
            match want {
                None => assert_eq!(out, *promised, "{name}"),
                Some(text) => assert!(got.unwrap_err().to_string().contains(text), "{name}"),
            }
        }
    }

    #[test]
    fn reading_on_after_the_end_stays_at_the_end() {
        let mut reader = Checked::new(&b"x"[..], "f", entry(b"x"));
        let mut out = Vec::new();
        reader.read_to_end(&mut out).unwrap();
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    }
}
