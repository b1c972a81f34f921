//! What lies on the EFI system partition of an installed disk: which bundle file goes where, and GRUB's menu.
//!
//! Both drives carry the same files. Firmware finds `EFI/BOOT/BOOTX64.EFI` without any boot entry; it is the one file
//! that makes an ESP bootable, so it is written last ([`FALLBACK_LOADER`]). GRUB uses only files of the disk it was
//! started from, so one drive alone is enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::manifest::{FileEntry, MANIFEST, Manifest, ROOT, SIGNATURE};

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

/// The menu ([`GRUB_MENU`]) of install `install` on `drives` boot drives, as GRUB reads it under BIOS and UEFI.
#[must_use]
pub fn grub_menu(install: Uuid, drives: usize) -> String {
    let args = format!("maekin.id={install} maekin.drives={drives} maekin.slot=");
    format!(
        r#"# Written by the installer. The slot to boot is in grubenv; every file is on the disk that GRUB was started from.
set timeout=2
set default=0
if [ "$grub_platform" = "pc" ]; then
  if serial --unit=0 --speed=115200; then
    terminal_input console serial
    terminal_output console serial
  fi
fi
set slot=a
set trial=
set env=$prefix/grubenv
load_env --file $env slot trial
if [ -n "$trial" ]; then
  set slot=$trial
  set trial=
  save_env --file $env trial
fi
if [ "$slot" = "b" ]; then set other=a; else set slot=a; set other=b; fi
function boot_slot {{
  echo "Starting Maekin, slot $1 ..."
  linux ($root)/maekin/$1/vmlinuz {args}$1 console=tty0 console=ttyS0,115200n8
  initrd ($root)/maekin/$1/initrd
}}
menuentry "Maekin (slot $slot)" "$slot" {{
  boot_slot $2
}}
if [ -f ($root)/maekin/$other/vmlinuz ]; then
  menuentry "Maekin, other slot ($other)" "$other" {{
    boot_slot $2
  }}
fi
"#
    )
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
    fn the_menu_names_the_install_and_only_files_of_its_own_disk() {
        let menu = grub_menu(Uuid::from_u128(5), 2);
        assert!(
            menu.contains("maekin.id=00000000-0000-0000-0000-000000000005 maekin.drives=2 maekin.slot=$1 ")
        );
        assert!(!menu.contains("search"), "no other disk is looked for");
    }

    #[test]
    fn the_inventory_is_json() {
        let digests =
            BTreeMap::from([("a/b".to_owned(), "00".to_owned()), ("c".to_owned(), "11".to_owned())]);
        let read: BTreeMap<String, String> = serde_json::from_str(&inventory(&digests)).unwrap();
        assert_eq!(read, digests);
    }
}
