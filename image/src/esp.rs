//! What lies on the EFI system partition of an installed disk: which bundle file goes where, and GRUB's menu.
//!
//! Both drives carry the same files. Firmware finds `EFI/BOOT/BOOTX64.EFI` without any boot entry; it is the one file
//! that makes an ESP bootable, so it is written last ([`FALLBACK_LOADER`]). GRUB uses only files of the disk it was
//! started from, so one drive alone is enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::grubenv::GrubEnv;
use crate::manifest::{FileEntry, INITRD, MANIFEST, Manifest, ROOT, SIGNATURE, VMLINUZ, sha256_hex};

/// The loader that firmware starts without a boot entry (UEFI specification section 3.5.1.1).
pub const FALLBACK_LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// The same file while it is being written. In the same directory, and as short, so that it gets its name by a change
/// of one sector.
pub const UNNAMED_LOADER: &str = "EFI/BOOT/BOOTX64.NEW";
/// The loader that boot entries name.
pub const ENTRY_LOADER: &str = r"\EFI\debian\shimx64.efi";
/// What Debian's signed GRUB reads first.
pub const GRUB_STUB: &str = "EFI/debian/grub.cfg";
/// The menu of BIOS and UEFI alike.
pub const GRUB_MENU: &str = "maekin/grub/grub.cfg";
/// Which slot boots; see [`crate::grubenv`].
pub const GRUB_ENV: &str = "maekin/grub/grubenv";
/// Written when everything else of an installation is, and never before: what an install medium's menu looks for. A
/// GRUB environment block, see [`installed`].
pub const INSTALLED: &str = "maekin/installed";
/// Digests of all files of the ESP but itself and [`GRUB_ENV`].
pub const INVENTORY: &str = "maekin/inventory.json";
/// Volume label.
pub const LABEL: &str = "MAEKIN_ESP";

const SHIM: &str = "boot/efi/shimx64.efi";
const GRUB: &str = "boot/efi/grubx64.efi";
const MOK_MANAGER: &str = "boot/efi/mmx64.efi";

/// Where boot loaders go, and which bundle file each one is; [`FALLBACK_LOADER`] is not among them.
const LOADERS: [(&str, &str); 5] = [
    ("EFI/BOOT/grubx64.efi", GRUB),
    ("EFI/BOOT/mmx64.efi", MOK_MANAGER),
    ("EFI/debian/shimx64.efi", SHIM),
    ("EFI/debian/grubx64.efi", GRUB),
    ("EFI/debian/mmx64.efi", MOK_MANAGER),
];

/// A file of the ESP and the bundle file it is a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspFile {
    /// Path on the ESP, with `/`.
    pub path: String,
    /// Path in the release bundle.
    pub source: String,
    /// Its size and digest, from the manifest.
    pub entry: FileEntry,
}

/// The manifest lacks a file that every bundle has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the release has no file {0}")]
pub struct Missing(pub String);

/// Directory of a slot on the ESP.
#[must_use]
pub fn slot_dir(slot: &str) -> String {
    format!("maekin/{slot}")
}

/// The bundle files that go onto an ESP for `slot`, in the order they are written: the whole bundle but the root image
/// into the slot's directory, then the loaders.
///
/// # Errors
/// [`Missing`] when the manifest lacks a loader.
pub fn bundle_files(manifest: &Manifest, slot: &str) -> Result<Vec<EspFile>, Missing> {
    let dir = slot_dir(slot);
    let mut files: Vec<EspFile> = manifest
        .files
        .iter()
        .filter(|(path, _)| *path != ROOT)
        .map(|(path, entry)| EspFile {
            path: format!("{dir}/{path}"),
            source: path.clone(),
            entry: entry.clone(),
        })
        .collect();
    for (path, source) in LOADERS {
        files.push(copy_of(manifest, path, source)?);
    }
    Ok(files)
}

/// The file whose arrival makes the ESP bootable.
///
/// # Errors
/// [`Missing`] when the manifest lacks it.
pub fn commit_file(manifest: &Manifest) -> Result<EspFile, Missing> {
    copy_of(manifest, FALLBACK_LOADER, SHIM)
}

/// Paths of the manifest and its signature on the ESP.
#[must_use]
pub fn manifest_paths(slot: &str) -> [String; 2] {
    [MANIFEST, SIGNATURE].map(|name| format!("{}/{name}", slot_dir(slot)))
}

/// Everything on an ESP that a start of `slot` goes through, and its SHA-256: loaders, GRUB's menu, kernel and initrd.
/// GRUB's environment block changes and is not among them.
///
/// # Errors
/// [`Missing`] when the manifest lacks one.
pub fn started_files(
    manifest: &Manifest,
    install: Uuid,
    drives: usize,
    slot: &str,
) -> Result<BTreeMap<String, String>, Missing> {
    let mut files = BTreeMap::new();
    let mut add = |file: EspFile| files.insert(file.path, file.entry.sha256);
    for (path, source) in LOADERS {
        add(copy_of(manifest, path, source)?);
    }
    add(commit_file(manifest)?);
    for name in [VMLINUZ, INITRD] {
        add(copy_of(manifest, &format!("{}/{name}", slot_dir(slot)), name)?);
    }
    files.insert(GRUB_STUB.to_owned(), sha256_hex(grub_stub().as_bytes()));
    files.insert(GRUB_MENU.to_owned(), sha256_hex(grub_menu(install, drives).as_bytes()));
    Ok(files)
}

/// The words of the kernel's command line that starts `slot` of install `install` on `drives` boot drives, but for
/// those that GRUB adds itself: `BOOT_IMAGE=`, and [`ESP_WORD`] and [`VIA_WORD`] where it knows them.
#[must_use]
pub fn kernel_words(install: Uuid, drives: usize, slot: &str) -> Vec<String> {
    let own =
        [format!("maekin.id={install}"), format!("maekin.drives={drives}"), format!("maekin.slot={slot}")];
    own.into_iter().chain(["console=tty0", "console=ttyS0,115200n8"].map(str::to_owned)).collect()
}

/// The menu ([`GRUB_MENU`]) of install `install` on `drives` boot drives, as GRUB reads it under BIOS and UEFI.
#[must_use]
pub fn grub_menu(install: Uuid, drives: usize) -> String {
    let mut words = kernel_words(install, drives, "$2");
    words.extend([format!("{ESP_WORD}$serial"), format!("{VIA_WORD}$via")]);
    include_str!("../files/esp/grub.cfg")
        .replace("@WORDS@", &words.join(" "))
        .replace("@INSTALL@", &install.to_string())
}

/// The word by which the kernel is told, as [`serial_text`], which ESP it was read from.
pub const ESP_WORD: &str = "maekin.esp=";
/// The word by which the kernel is told that the menu of an install medium handed over: `medium`; else it is empty.
pub const VIA_WORD: &str = "maekin.via=";

/// A FAT volume serial number as GRUB, blkid and udev write it: `0123-ABCD`.
#[must_use]
pub fn serial_text(serial: u32) -> String {
    format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
}

/// The content of [`INSTALLED`]: which installation is complete on this disk, and its host name.
#[must_use]
pub fn installed(install: Uuid, hostname: &str) -> GrubEnv {
    let mut env = GrubEnv::default();
    env.set("install", &install.to_string());
    env.set("name", hostname);
    env
}

/// What Debian's signed GRUB finds in its own directory ([`GRUB_STUB`]); `$root` is the ESP that it was started from.
#[must_use]
pub fn grub_stub() -> &'static str {
    "set prefix=($root)/maekin/grub\nconfigfile $prefix/grub.cfg\n"
}

/// The inventory: path to SHA-256, JSON.
#[must_use]
pub fn inventory(digests: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = digests.iter().map(|(path, sha256)| format!("  {path:?}: {sha256:?}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn copy_of(manifest: &Manifest, path: &str, source: &str) -> Result<EspFile, Missing> {
    let entry = manifest.file(source).ok_or_else(|| Missing(source.to_owned()))?;
    Ok(EspFile { path: path.to_owned(), source: source.to_owned(), entry: entry.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{KeyKind, RootImage};

    fn manifest(paths: &[&str]) -> Manifest {
        let entry =
            |path: &&str| ((*path).to_owned(), FileEntry { size: 1, sha256: format!("{:064}", path.len()) });
        Manifest {
            format: 1,
            version: "0.1.0".to_owned(),
            epoch: 0,
            kernel: "6.12".to_owned(),
            key: KeyKind::ThrowAway,
            root: RootImage { hash_offset: 4096, root_hash: String::new() },
            files: paths.iter().map(entry).collect(),
        }
    }

    #[test]
    fn everything_but_root_goes_to_the_slot_and_the_fallback_loader_is_kept_back() {
        let manifest =
            manifest(&["vmlinuz", "initrd", "root", "boot/bios/core.img", SHIM, GRUB, MOK_MANAGER]);
        let files = bundle_files(&manifest, "a").unwrap();
        let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
        assert!(paths.contains(&"maekin/a/vmlinuz") && paths.contains(&"maekin/a/boot/bios/core.img"));
        assert!(paths.contains(&"EFI/debian/grubx64.efi"));
        assert!(!paths.iter().any(|p| p.ends_with("/root") || *p == FALLBACK_LOADER), "{paths:?}");
        assert_eq!(commit_file(&manifest).unwrap().source, SHIM);
    }

    #[test]
    fn a_bundle_without_a_loader_is_refused_by_name() {
        let err = bundle_files(&manifest(&["vmlinuz", SHIM, MOK_MANAGER]), "a").unwrap_err();
        assert_eq!(err.to_string(), "the release has no file boot/efi/grubx64.efi");
    }

    #[test]
    fn the_menu_names_the_install_and_only_disks_of_its_own() {
        let install = Uuid::from_u128(5);
        let menu = grub_menu(install, 2);
        assert!(menu.contains(
            "vmlinuz maekin.id=00000000-0000-0000-0000-000000000005 maekin.drives=2 maekin.slot=$2 console=tty0 \
             console=ttyS0,115200n8 maekin.esp=$serial maekin.via=$via;"
        ));
        assert!(menu.contains(&format!(r#"[ "$install" = "{install}" ]"#)) && !menu.contains('@'), "{menu}");
        assert!(!menu.contains("search"), "no disk of another installation is looked for");
    }

    #[test]
    fn everything_that_a_start_goes_through_is_known() {
        let manifest = manifest(&["vmlinuz", "initrd", "root", SHIM, GRUB, MOK_MANAGER]);
        let files = started_files(&manifest, Uuid::from_u128(5), 2, "b").unwrap();
        for path in [FALLBACK_LOADER, "EFI/debian/grubx64.efi", "maekin/b/initrd", GRUB_STUB, GRUB_MENU] {
            assert_eq!(files.get(path).map(String::len), Some(64), "{path}");
        }
        assert!(!files.contains_key(GRUB_ENV) && !files.keys().any(|path| path.ends_with("/root")));
    }

    #[test]
    fn the_mark_of_a_complete_installation_is_read_by_grub() {
        let block = installed(Uuid::from_u128(5), "node-1").to_bytes().unwrap();
        let env = GrubEnv::parse(&block).unwrap();
        assert_eq!(env.get("install"), Some("00000000-0000-0000-0000-000000000005"));
        assert_eq!(env.get("name"), Some("node-1"));
        assert!(installed(Uuid::nil(), &"x".repeat(63)).to_bytes().is_ok(), "the longest host name fits");
        assert_eq!(serial_text(0x00c0_ffee), "00C0-FFEE");
    }

    #[test]
    fn the_inventory_is_json() {
        let digests =
            BTreeMap::from([("a/b".to_owned(), "00".to_owned()), ("c".to_owned(), "11".to_owned())]);
        let read: BTreeMap<String, String> = serde_json::from_str(&inventory(&digests)).unwrap();
        assert_eq!(read, digests);
    }
}
