//! The medium: an ISO that boots as stick, disc and virtual media, by BIOS and UEFI.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use maekin_host::file;
use maekin_image::esp::GRUB_STUB;
use maekin_image::medium;

use super::Context;
use super::cache::remove;
use super::fat::Volume;

/// Bytes of the EFI partition: shim, GRUB and MOK manager, and room.
const EFI_SIZE: u64 = 10 << 20;
/// GPT partition type of an EFI system partition, and of a partition with ordinary data.
const EFI_TYPE: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const DATA_TYPE: &str = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";

/// Writes the ISO with the bundle in `release` to `path`.
pub(crate) fn write(context: &Context<'_>, release: &Path, path: &Path) -> Result<()> {
    let work = context.cache.work().join("iso");
    remove(&work)?;
    fs::create_dir_all(&work).context("cannot create the ISO's work directory")?;
    let names = ["grub.cfg", "eltorito.img", "efi.cfg", "efi.img", "answers.img"];
    let [menu, core, stub, efi, answers] = names.map(|name| work.join(name));
    file::write_atomic(&menu, medium::menu(context.version).as_bytes(), 0o644)?;
    context.loaders.write_medium_core(context.tools, &core)?;
    file::write_atomic(&stub, medium::efi_stub().as_bytes(), 0o644)?;
    write_efi(context, release, &stub, &efi)?;
    write_answers(context, &answers)?;
    let mut cmd = context.tools.cmd("usr/bin/xorriso");
    cmd = cmd.args(["-as", "mkisofs", "-quiet", "-graft-points", "-rational-rock", "-volid", medium::LABEL]);
    cmd = cmd.arg("-output").arg(path);
    cmd = cmd.args(["--set_all_file_dates", &format!("={}", context.lock.epoch)]);
    // BIOS: GRUB's core, found by El Torito on a disc and by the boot sector on a stick.
    cmd = cmd.arg("--grub2-mbr").arg(context.loaders.hybrid()).arg("--mbr-force-bootable");
    cmd = cmd.args(["-partition_offset", "16", "-eltorito-boot", "boot/grub/eltorito.img", "-no-emul-boot"]);
    cmd = cmd.args(["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info", "-eltorito-catalog"]);
    cmd = cmd.arg("boot/grub/boot.cat");
    // UEFI: one FAT image for both, a partition on a stick and named by El Torito on a disc.
    cmd = cmd.args(["-append_partition", "2", EFI_TYPE]).arg(&efi);
    cmd = cmd.args(["-append_partition", "3", DATA_TYPE]).arg(&answers).arg("-appended_part_as_gpt");
    cmd = cmd.args(["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]);
    cmd = cmd.arg(format!("{}={}", medium::RELEASE_DIR, release.display()));
    cmd = cmd.arg(format!("boot/grub/grub.cfg={}", menu.display()));
    cmd = cmd.arg(format!("boot/grub/eltorito.img={}", core.display()));
    // On a disc the signed GRUB takes the whole disc, not the EFI image that it came from, for where it was started.
    cmd = cmd.arg(format!("{GRUB_STUB}={}", stub.display()));
    cmd.env("SOURCE_DATE_EPOCH", context.lock.epoch.to_string()).run()?;
    Ok(())
}

fn write_efi(context: &Context<'_>, release: &Path, stub: &Path, image: &Path) -> Result<()> {
    let loader = |name: &str| release.join("boot/efi").join(name);
    let (shim, grub, mok) = (loader("shimx64.efi"), loader("grubx64.efi"), loader("mmx64.efi"));
    let files: [(&str, &Path); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", &shim),
        ("EFI/BOOT/grubx64.efi", &grub),
        ("EFI/BOOT/mmx64.efi", &mok),
        (GRUB_STUB, stub),
    ];
    let volume = Volume { size: EFI_SIZE, label: "MAEKIN_EFI", serial: 0x4d41_4501 };
    volume.create(context.tools, image, context.lock.epoch, &files)
}

fn write_answers(context: &Context<'_>, image: &Path) -> Result<()> {
    let readme = image.with_extension("txt");
    file::write_atomic(&readme, medium::readme(context.version).as_bytes(), 0o644)?;
    let again = image.with_extension("again");
    file::write_atomic(&again, medium::again_readme().as_bytes(), 0o644)?;
    let wishes = format!("{}/README.txt", medium::AGAIN_DIR);
    let volume = Volume { size: medium::ANSWER_SIZE, label: medium::ANSWER_LABEL, serial: 0x4d41_4502 };
    volume.create(context.tools, image, context.lock.epoch, &[("README.txt", &readme), (&wishes, &again)])
}
