//! Where the release comes from: the install medium, or the install master over HTTP. Whatever the source says is
//! believed only after the manifest's signature, and then each file's size and digest, have been checked.

pub mod checked;
pub mod http;
pub mod medium;
pub mod rack;
pub mod receipts;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use maekin_image::manifest::{FileEntry, MANIFEST, MANIFEST_LIMIT, Manifest, SIGNATURE};

use checked::Checked;

/// A stream of a file's bytes that another thread may read.
pub type Stream = Box<dyn Read + Send>;

/// A place that a release bundle can be read from.
pub trait Source: Send + Sync {
    /// Opens the bundle file `path`, which has `size` bytes where that is known.
    ///
    /// # Errors
    /// When it is not there or cannot be reached.
    fn open(&self, path: &str, size: Option<u64>) -> Result<Stream>;

    /// The source in words.
    fn describe(&self) -> String;

    /// The machines that install from it at the same time, where it has such.
    fn rack(&self) -> Option<&rack::Rack> {
        None
    }
}

/// A bundle in a directory: of the mounted medium, or of a build.
#[derive(Debug)]
pub struct DirSource(pub PathBuf);

impl Source for DirSource {
    fn open(&self, path: &str, _size: Option<u64>) -> Result<Stream> {
        let path = self.0.join(path);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Box::new(file))
    }

    fn describe(&self) -> String {
        self.0.display().to_string()
    }
}

/// A release whose manifest was verified.
pub struct Release {
    /// Its table of contents.
    pub manifest: Manifest,
    /// The manifest's bytes, as they were signed.
    pub json: Vec<u8>,
    /// The signature file.
    pub signature: String,
    /// Where the files are.
    pub source: Box<dyn Source>,
}

impl Release {
    /// Reads and verifies the manifest of `source` with `public_key`, a minisign public key file's content.
    ///
    /// # Errors
    /// When the manifest cannot be read or was not signed by that key.
    pub fn load(source: Box<dyn Source>, public_key: &str) -> Result<Self> {
        let read = |path: &str| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            source.open(path, None)?.take(MANIFEST_LIMIT + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > MANIFEST_LIMIT {
                bail!("{path} is longer than {MANIFEST_LIMIT} bytes");
            }
            Ok(bytes)
        };
        let context = || format!("cannot read the release from {}", source.describe());
        let json = read(MANIFEST).with_context(context)?;
        let signature = String::from_utf8_lossy(&read(SIGNATURE).with_context(context)?).into_owned();
        let manifest = Manifest::verify(&json, &signature, public_key)
            .with_context(|| format!("the release from {} is not trusted", source.describe()))?;
        Ok(Self { manifest, json, signature, source })
    }

    /// Opens a bundle file; reading it fails when its size or digest is not that of `entry`.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(&self, path: &str, entry: &FileEntry) -> Result<Checked<Stream>> {
        let stream = self.source.open(path, Some(entry.size))?;
        Ok(Checked::new(stream, path, entry.clone()))
    }

    /// Reads a small bundle file whole.
    ///
    /// # Errors
    /// As [`Release::open`], and when its size or digest is wrong.
    pub fn read(&self, path: &str, entry: &FileEntry) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path, entry)?.read_to_end(&mut bytes).with_context(|| format!("cannot read {path}"))?;
        Ok(bytes)
    }
}
