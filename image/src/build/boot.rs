//! The boot loaders of a bundle, and those that only the medium needs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use maekin_rootfs::lock::Lock;
use maekin_rootfs::packages::SetName;

use super::cache::Cache;
use super::steps::Steps;
use super::tools::{self, Tools};

/// Files of Debian's packages, and their names in the bundle.
const FILES: [(&str, &str); 8] = [
    ("usr/lib/grub/i386-pc/boot.img", "boot/bios/boot.img"),
    ("usr/lib/shim/shimx64.efi.signed", "boot/efi/shimx64.efi"),
    ("usr/lib/shim/mmx64.efi.signed", "boot/efi/mmx64.efi"),
    ("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "boot/efi/grubx64.efi"),
    ("usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "boot/net/grubnetx64.efi"),
    ("usr/lib/ipxe/undionly.kpxe", "boot/net/undionly.kpxe"),
    ("usr/lib/ipxe/ipxe.efi", "boot/net/ipxe.efi"),
    ("usr/lib/ipxe/snponly.efi", "boot/net/snponly.efi"),
];
/// GRUB's core on an installed disk, and where it looks for its menu: the ESP, second partition of its own disk.
const DISK_CORE: &str = "boot/bios/core.img";
const DISK_PREFIX: &str = "(,gpt2)/maekin/grub";
/// Modules of both cores.
const MODULES: [&str; 29] = [
    "biosdisk",
    "part_gpt",
    "part_msdos",
    "fat",
    "normal",
    "configfile",
    "linux",
    "search",
    "search_fs_uuid",
    "search_label",
    "search_fs_file",
    "echo",
    "test",
    "loadenv",
    "serial",
    "terminal",
    "all_video",
    "gfxterm",
    "regexp",
    "reboot",
    "halt",
    "sleep",
    "true",
    "minicmd",
    "cat",
    "ls",
    "chain",
    "probe",
    "gzio",
];

/// The unpacked boot loaders.
pub(crate) struct Loaders {
    dir: PathBuf,
}

impl Loaders {
    /// The boot loaders of the lock.
    pub(crate) fn provide(lock: &Lock, cache: &Cache, steps: &Steps) -> Result<Self> {
        Ok(Self { dir: tools::unpack(lock, SetName::Boot, cache, steps, |_| Ok(()))? })
    }

    /// Where the medium's hybrid boot sector lies.
    pub(crate) fn hybrid(&self) -> PathBuf {
        self.dir.join("usr/lib/grub/i386-pc/boot_hybrid.img")
    }

    /// Puts the bundle's boot loaders below `bundle`.
    pub(crate) fn write(&self, tools: &Tools, bundle: &Path) -> Result<()> {
        for (from, to) in FILES {
            let to = bundle.join(to);
            fs::create_dir_all(to.parent().unwrap_or(bundle))?;
            fs::copy(self.dir.join(from), &to).with_context(|| format!("Debian's packages lack {from}"))?;
        }
        self.core(tools, "i386-pc", DISK_PREFIX, &[], &bundle.join(DISK_CORE))
    }

    /// Makes GRUB's core for booting an optical disc, or a stick, by BIOS.
    pub(crate) fn write_medium_core(&self, tools: &Tools, path: &Path) -> Result<()> {
        self.core(tools, "i386-pc-eltorito", "/boot/grub", &["iso9660"], path)
    }

    fn core(&self, tools: &Tools, format: &str, prefix: &str, more: &[&str], path: &Path) -> Result<()> {
        tools
            .cmd("usr/bin/grub-mkimage")
            .arg("--directory")
            .arg(self.dir.join("usr/lib/grub/i386-pc"))
            .args(["--format", format, "--prefix", prefix, "--output"])
            .arg(path)
            .args(MODULES)
            .args(more)
            .run()?;
        Ok(())
    }
}
