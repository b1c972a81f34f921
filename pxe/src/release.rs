//! The release that is served: which names there are, where their bytes lie, and how many of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use maekin_host::file::{self, FileError};
use maekin_image::manifest::{
    MANIFEST, MANIFEST_LIMIT, Manifest, ManifestError, ROOT, SIGNATURE, sha256_hex,
};

use crate::boot;
use crate::iso::{self, Extent, IsoError};
use crate::tftp::catalog::Catalog;

/// Where the bundle keeps what firmware loads from the network.
const NET: &str = "boot/net/";
/// Files that have another name on the wire: what shim asks for is built into it.
const RENAMED: [(&str, &str); 2] =
    [(boot::UEFI_LOADER, "boot/efi/shimx64.efi"), (boot::UEFI_SECOND, "boot/net/grubnetx64.efi")];
/// Directory of the bundle in an ISO image.
const RELEASE_DIR: &str = maekin_image::medium::RELEASE_DIR;
const LEADS_OUT: &str = "has a name that leads out of the release";
/// Largest boot loader served by TFTP, in bytes.
const LOADER_LIMIT: u64 = 64 << 20;
/// Largest signature or key file, in bytes.
const SIGNATURE_LIMIT: u64 = 1 << 16;

/// Why a release cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file of it cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// An image is none.
    #[error(transparent)]
    Iso(#[from] IsoError),
    /// Its manifest is not genuine.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file is not what the manifest says.
    #[error("{} {problem}; the release is damaged or incomplete, fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// A file that may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The file that its bytes are in.
    pub path: PathBuf,
    /// Where they begin in it: 0 but for those of an ISO image.
    pub offset: u64,
    /// How many of them.
    pub size: u64,
    /// Its digest, hex: its entity tag.
    pub sha256: String,
}

/// Where the files of a release are.
#[derive(Debug)]
enum Place {
    /// In a directory, but for the root image.
    Dir { dir: PathBuf, root: PathBuf },
    /// In an ISO image.
    Iso { image: PathBuf, extents: BTreeMap<String, Extent> },
}

impl Place {
    /// Where the file `name` is and how long it may be; `None` when there is none in the image.
    fn find(&self, name: &str) -> Option<(PathBuf, u64)> {
        match self {
            Self::Dir { root, .. } if name == ROOT => Some((root.clone(), 0)),
            Self::Dir { dir, .. } => Some((dir.join(name), 0)),
            Self::Iso { image, extents } => Some((image.clone(), extents.get(name)?.offset)),
        }
    }

    /// All of a file that is small.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ReleaseError> {
        match self {
            Self::Dir { dir, .. } => Ok(file::read_bytes(&dir.join(name), limit)?),
            Self::Iso { image, extents } => {
                let missing = || self.damaged(name, "is not in the image");
                let extent = extents.get(name).filter(|e| e.len <= limit).ok_or_else(missing)?;
                Ok(iso::read(image, *extent)?)
            }
        }
    }

    fn damaged(&self, name: &str, problem: &str) -> ReleaseError {
        let within = match self {
            Self::Dir { dir, .. } => dir,
            Self::Iso { image, .. } => image,
        };
        ReleaseError::Damaged { path: within.join(name), problem: problem.to_owned() }
    }
}

/// A release.
#[derive(Debug)]
pub struct Release {
    /// Its table of contents.
    pub manifest: Manifest,
    place: Place,
    meta: [(&'static str, Served); 2],
}

impl Release {
    /// Opens the bundle in `dir`, with the root image at the beginning of `root`, and checks that every file is
    /// there in its length. With `key`, a minisign public key file, the manifest must be signed by it.
    ///
    /// # Errors
    /// [`ReleaseError`] naming the file.
    pub fn open(dir: &Path, root: &Path, key: Option<&Path>) -> Result<Self, ReleaseError> {
        let place = Place::Dir { dir: dir.to_owned(), root: root.to_owned() };
        let release = Self::open_at(place, key)?;
        for name in release.manifest.files.keys() {
            let served = release.find(name).ok_or_else(|| release.place.damaged(name, LEADS_OUT))?;
            check_length(&served, name == ROOT)?;
        }
        Ok(release)
    }

    /// The same of the bundle in an ISO image, whose files are served out of the image.
    ///
    /// # Errors
    /// [`ReleaseError`] naming the image or the file.
    pub fn open_iso(image: &Path, key: Option<&Path>) -> Result<Self, ReleaseError> {
        let extents = iso::extents(image, RELEASE_DIR)?;
        let place = Place::Iso { image: image.to_owned(), extents };
        let release = Self::open_at(place, key)?;
        let Place::Iso { extents, .. } = &release.place else { return Ok(release) };
        for (name, entry) in &release.manifest.files {
            let damaged = |problem: &str| release.place.damaged(name, problem);
            release.find(name).ok_or_else(|| damaged("is not in the image"))?;
            if extents.get(name).is_none_or(|extent| extent.len != entry.size) {
                return Err(damaged("has another length than in the manifest"));
            }
        }
        Ok(release)
    }

    fn open_at(place: Place, key: Option<&Path>) -> Result<Self, ReleaseError> {
        let json = place.read(MANIFEST, MANIFEST_LIMIT)?;
        let signature = place.read(SIGNATURE, SIGNATURE_LIMIT)?;
        let signature = String::from_utf8(signature).map_err(|_| place.damaged(SIGNATURE, "is not text"))?;
        let manifest = match key {
            Some(key) => Manifest::verify(&json, &signature, &file::read_text(key, SIGNATURE_LIMIT)?)?,
            None => serde_json::from_slice(&json).map_err(ManifestError::Json)?,
        };
        let served = |name: &str, bytes: &[u8]| {
            let (path, offset) =
                place.find(name).ok_or_else(|| place.damaged(name, "is not in the image"))?;
            Ok::<_, ReleaseError>(Served {
                path,
                offset,
                size: bytes.len() as u64,
                sha256: sha256_hex(bytes),
            })
        };
        let meta =
            [(MANIFEST, served(MANIFEST, &json)?), (SIGNATURE, served(SIGNATURE, signature.as_bytes())?)];
        Ok(Self { manifest, place, meta })
    }

    /// What is served under `name`; `None` for everything that the manifest does not list.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Served> {
        if let Some((_, served)) = self.meta.iter().find(|(meta, _)| *meta == name) {
            return Some(served.clone());
        }
        let entry = self.manifest.file(name)?;
        // Unsigned manifests are served too, so a name is not trusted just because it is listed.
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return None;
        }
        let (path, offset) = self.place.find(name)?;
        Some(Served { path, offset, size: entry.size, sha256: entry.sha256.clone() })
    }

    /// What UEFI HTTP boot, and shim after it, is served under `name`.
    #[must_use]
    pub fn loader(&self, name: &str) -> Option<Served> {
        let renamed = RENAMED.iter().find(|(wire, _)| *wire == name).map(|(_, file)| (*file).to_owned());
        self.find(&renamed.unwrap_or_else(|| format!("{NET}{name}")))
    }

    /// The boot loaders, read and compared with their digests, under their TFTP names.
    ///
    /// # Errors
    /// [`ReleaseError`] naming the file.
    pub fn loaders(&self) -> Result<Catalog, ReleaseError> {
        let mut catalog = Catalog::default();
        for (name, entry) in &self.manifest.files {
            let renamed = RENAMED.iter().find(|(_, file)| file == name).map(|(wire, _)| *wire);
            let short = renamed.or_else(|| name.strip_prefix(NET));
            let Some(short) = short.filter(|_| entry.size <= LOADER_LIMIT) else { continue };
            let bytes = self.place.read(name, LOADER_LIMIT)?;
            if sha256_hex(&bytes) != entry.sha256 {
                return Err(self.place.damaged(name, "has another digest than in the manifest"));
            }
            catalog.insert(short, Arc::from(bytes));
        }
        Ok(catalog)
    }
}

/// A file has exactly the length listed; the root image's device may be longer.
fn check_length(served: &Served, at_least: bool) -> Result<(), ReleaseError> {
    let cannot = |source: io::Error| FileError { action: "cannot open", path: served.path.clone(), source };
    let length = if at_least {
        // Metadata of a block device says nothing of its size.
        File::open(&served.path).and_then(|mut file| file.seek(SeekFrom::End(0))).map_err(cannot)?
    } else {
        fs::metadata(&served.path).map_err(cannot)?.len()
    };
    if length == served.size || (at_least && length > served.size) {
        return Ok(());
    }
    let problem = format!("has {length} bytes instead of {}", served.size);
    Err(ReleaseError::Damaged { path: served.path.clone(), problem })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use maekin_image::chunks::ChunkList;
    use maekin_image::manifest::{FileEntry, KeyKind, RootImage};

    /// Writes a small bundle into `dir` and its root image, with a tail behind it, beside it.
    pub(crate) fn write_bundle(dir: &Path) -> PathBuf {
        let files = [
            ("vmlinuz", "the kernel".repeat(100)),
            ("initrd", "the initrd".repeat(5000)),
            ("root", "the root image".to_owned()),
            ("root.chunks", ChunkList::of(&b"the root image"[..], 4096).unwrap().text()),
            ("boot/net/ipxe.efi", "uefi loader".to_owned()),
            ("boot/efi/shimx64.efi", "shim".to_owned()),
            ("boot/net/grubnetx64.efi", "network grub".to_owned()),
            ("boot/net/undionly.kpxe", "bios loader".repeat(500)),
        ];
        let entry = |text: &str| FileEntry { size: text.len() as u64, sha256: sha256_hex(text.as_bytes()) };
        let manifest = Manifest {
            format: 1,
            version: "0.1.0".to_owned(),
            epoch: 0,
            kernel: "6.12".to_owned(),
            key: KeyKind::ThrowAway,
            root: RootImage { hash_offset: 0, root_hash: String::new() },
            files: files.iter().map(|(name, text)| ((*name).to_owned(), entry(text))).collect(),
        };
        fs::create_dir_all(dir.join("boot/net")).unwrap();
        fs::create_dir_all(dir.join("boot/efi")).unwrap();
        for (name, text) in files.iter().filter(|(name, _)| *name != "root") {
            fs::write(dir.join(name), text).unwrap();
        }
        fs::write(dir.join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
        fs::write(dir.join(SIGNATURE), "untrusted comment: none\n").unwrap();
        fs::write(dir.join("private"), "not served").unwrap();
        let root = dir.join("root-device");
        fs::write(&root, "the root image, and what lies behind it").unwrap();
        root
    }

    #[test]
    fn only_what_the_manifest_lists_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = write_bundle(dir.path());
        let release = Release::open(dir.path(), &root, None).unwrap();
        assert_eq!(release.find("vmlinuz").unwrap().size, 1000);
        assert_eq!(release.find("manifest.json").unwrap().path, dir.path().join("manifest.json"));
        let served = release.find("root").unwrap();
        assert_eq!((served.path, served.size), (root, 14));
        for name in
            ["private", "root-device", "", "/vmlinuz", "../x", "boot", "boot/net", "boot/net/../../private"]
        {
            assert_eq!(release.find(name), None, "{name}");
        }
    }

    #[test]
    fn a_listed_name_that_leads_out_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = write_bundle(dir.path());
        let json = fs::read_to_string(dir.path().join(MANIFEST)).unwrap();
        fs::write(dir.path().join(MANIFEST), json.replace("\"vmlinuz\"", "\"../vmlinuz\"")).unwrap();
        let err = Release::open(dir.path(), &root, None).unwrap_err().to_string();
        assert!(err.contains("leads out"), "{err}");
    }

    #[test]
    fn a_damaged_release_is_refused_by_file() {
        let damage: &[(&str, &str, &str)] = &[
            ("cut", "vmlinuz", "has 3 bytes instead of 1000"),
            ("root too short", "root-device", "has 3 bytes instead of 14"),
        ];
        for (name, path, wanted) in damage {
            let dir = tempfile::tempdir().unwrap();
            let root = write_bundle(dir.path());
            fs::write(dir.path().join(path), "xyz").unwrap();
            let err = Release::open(dir.path(), &root, None).unwrap_err().to_string();
            assert!(err.contains(wanted) && err.contains(path), "{name}: {err}");
        }
        let dir = tempfile::tempdir().unwrap();
        let root = write_bundle(dir.path());
        fs::write(dir.path().join("boot/net/ipxe.efi"), "xefi loader").unwrap();
        let err = Release::open(dir.path(), &root, None).unwrap().loaders().unwrap_err().to_string();
        assert!(err.contains("ipxe.efi") && err.contains("digest"), "{err}");
    }

    #[test]
    fn loaders_have_their_short_names() {
        let dir = tempfile::tempdir().unwrap();
        let root = write_bundle(dir.path());
        let catalog = Release::open(dir.path(), &root, None).unwrap().loaders().unwrap();
        assert_eq!(
            catalog.list().collect::<Vec<_>>(),
            [("grubx64.efi", 12), ("ipxe.efi", 11), ("shimx64.efi", 4), ("undionly.kpxe", 5500)]
        );
    }

    #[test]
    fn with_a_key_an_unsigned_manifest_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = write_bundle(dir.path());
        let key = dir.path().join("key.pub");
        fs::write(&key, "untrusted comment: k\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\n")
            .unwrap();
        assert!(matches!(Release::open(dir.path(), &root, Some(&key)), Err(ReleaseError::Manifest(_))));
    }
}
