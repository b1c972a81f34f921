//! What this start was made from, compared with what it should have been made from.
//!
//! Firmware, where Secure Boot is on, has checked shim, GRUB and kernel. Nobody has checked the initrd, GRUB's menu and
//! the command line. This is the first moment at which the signed manifest can be compared with them, and with the
//! rest. It protects from nothing: an initrd made to deceive would not run this. It makes damage and clumsy
//! alterations known, and what only the firmware of another machine would refuse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use maekin_host::mount::{self, Access};
use maekin_image::esp::{self, ESP_WORD, VIA_WORD};
use maekin_image::ids;
use maekin_image::layout::Part;
use maekin_image::manifest::Manifest;

use crate::cmdline::Start;
use crate::digest;

const MOUNT: &str = "/run/maekin/started";
const BY_PARTUUID: &str = "/dev/disk/by-partuuid";

/// Compares command line and boot files with what the installer wrote; one line for each thing that differs.
#[must_use]
pub fn suspicions(start: Start, cmdline: &str, manifest: &Manifest) -> Vec<String> {
    let mut found = strange_words(start, cmdline);
    let wanted = match esp::started_files(manifest, start.install, start.drives, start.slot.name()) {
        Ok(wanted) => wanted,
        Err(missing) => {
            found.push(format!("the boot files cannot be checked: {missing}"));
            return found;
        }
    };
    for (drive, device) in read_from(start, cmdline, Path::new(BY_PARTUUID)) {
        let drive = format!("boot drive {}", drive + 1);
        match strange_files(&device, &wanted) {
            Ok(names) => found.extend(names.into_iter().map(|name| {
                format!("{name} on {drive} is damaged or was altered: it is not what the signed release has")
            })),
            Err(e) => found.push(format!("the boot files on {drive} cannot be checked: {e:#}")),
        }
    }
    found
}

/// Words that the menu does not write, and those that it does and that are missing.
fn strange_words(start: Start, cmdline: &str) -> Vec<String> {
    let known =
        |word: &&str| !["BOOT_IMAGE=", ESP_WORD, VIA_WORD].iter().any(|known| word.starts_with(known));
    let have: Vec<&str> = cmdline.split_whitespace().filter(known).collect();
    let want = esp::kernel_words(start.install, start.drives, start.slot.name());
    let more: Vec<&str> = have.iter().copied().filter(|word| !want.iter().any(|w| w == word)).collect();
    let less: Vec<&str> = want.iter().map(String::as_str).filter(|word| !have.contains(word)).collect();
    let mut found = Vec::new();
    if !more.is_empty() {
        found.push(format!(
            "the kernel was started with words that the menu does not write: {}",
            more.join(" ")
        ));
    }
    if !less.is_empty() {
        found.push(format!("the kernel was started without words that the menu writes: {}", less.join(" ")));
    }
    found
}

/// The ESPs that kernel and initrd may have come from, by drive: the one that GRUB named, else all that there are.
fn read_from(start: Start, cmdline: &str, by_partuuid: &Path) -> Vec<(u8, PathBuf)> {
    let named = cmdline.split_whitespace().find_map(|word| word.strip_prefix(ESP_WORD)).unwrap_or_default();
    let drive = [0, 1].into_iter().find(|d| esp::serial_text(ids::esp_serial(start.install, *d)) == named);
    let place = |d: u8| (d, by_partuuid.join(ids::part_guid(start.install, d, Part::Esp).to_string()));
    let all = drive.map_or(vec![0, 1], |drive| vec![drive]).into_iter().map(place);
    all.filter(|(_, path)| path.exists()).collect()
}

/// The files of the ESP `device` whose digests are not the wanted ones.
fn strange_files(device: &Path, wanted: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let point = Path::new(MOUNT);
    mount::attach(&device.display().to_string(), "vfat", point, Access::ReadOnly, "nosuid,nodev,noexec")?;
    let differs = |(path, sha256): &(&String, &String)| {
        digest::of_file(&point.join(path)).ok().as_ref() != Some(*sha256)
    };
    let names = wanted.iter().filter(differs).map(|(path, _)| path.clone()).collect();
    mount::detach(point)?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmdline::Slot;
    use uuid::Uuid;

    const START: Start = Start { install: Uuid::from_u128(7), slot: Slot::A, drives: 2 };

    fn cmdline(more: &str) -> String {
        let words = esp::kernel_words(START.install, START.drives, "a").join(" ");
        format!("BOOT_IMAGE=(hd0,gpt2)/maekin/a/vmlinuz {words} maekin.esp=0123-ABCD maekin.via={more}\n")
    }

    #[test]
    fn words_that_the_menu_does_not_write_are_named() {
        let rows = [
            ("as the menu writes it", cmdline(""), vec![]),
            ("through a medium's menu", cmdline("medium"), vec![]),
            (
                "a shell instead of everything",
                cmdline(" init=/bin/sh rd.break"),
                vec!["init=/bin/sh rd.break"],
            ),
            ("another slot", cmdline("").replace("slot=a", "slot=b"), vec!["maekin.slot=b", "maekin.slot=a"]),
            ("no serial console", cmdline("").replace("console=tty0", ""), vec!["without", "console=tty0"]),
        ];
        for (name, line, want) in rows {
            let found = strange_words(START, &line).join("\n");
            assert_eq!(found.is_empty(), want.is_empty(), "{name}: {found}");
            assert!(want.iter().all(|word| found.contains(word)), "{name}: {found}");
        }
    }

    #[test]
    fn the_drive_that_grub_named_is_looked_at_else_all() {
        let dir = tempfile::tempdir().unwrap();
        let serial = |drive| esp::serial_text(ids::esp_serial(START.install, drive));
        for drive in 0..2 {
            let link = dir.path().join(ids::part_guid(START.install, drive, Part::Esp).to_string());
            std::fs::write(link, "").unwrap();
        }
        let rows = [
            ("first", format!("x maekin.esp={} y", serial(0)), vec![0]),
            ("second", format!("maekin.esp={}", serial(1)), vec![1]),
            ("not told", "maekin.esp= maekin.via=".to_owned(), vec![0, 1]),
            ("somebody else's", "maekin.esp=0000-0000".to_owned(), vec![0, 1]),
        ];
        for (name, line, want) in rows {
            let got: Vec<u8> = read_from(START, &line, dir.path()).into_iter().map(|(d, _)| d).collect();
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_missing_has_no_digest() {
        assert!(digest::of_file(Path::new("/nonexistent/maekin")).is_err());
    }
}
