//! UEFI: whether the machine booted by it, Secure Boot, and boot entries (through efibootmgr(8)).

use std::fs;
use std::path::Path;

use crate::cmd::{Cmd, CmdError};

/// Whether the running system was booted by UEFI.
#[must_use]
pub fn booted_by_uefi() -> bool {
    Path::new("/sys/firmware/efi").is_dir()
}

/// Whether Secure Boot is on; `None` where the firmware does not say.
#[must_use]
pub fn secure_boot() -> Option<bool> {
    let path = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    // Four bytes of attributes, then the value (Linux Documentation/filesystems/efivarfs.rst).
    fs::read(path).ok()?.get(4).map(|value| *value == 1)
}

/// A boot entry as efibootmgr(8) lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Four hex digits.
    pub number: String,
    /// Its label.
    pub label: String,
}

/// Parses what `efibootmgr` prints.
#[must_use]
pub fn parse_entries(text: &str) -> Vec<Entry> {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("Boot")?;
            let number = rest.get(..4).filter(|n| n.bytes().all(|b| b.is_ascii_hexdigit()))?;
            let rest = rest.get(4..)?.strip_prefix('*').or_else(|| rest.get(4..)?.strip_prefix(' '))?;
            let label = rest.trim_start().split('\t').next().unwrap_or_default();
            Some(Entry { number: number.to_owned(), label: label.trim_end().to_owned() })
        })
        .collect()
}

/// Makes `label` an entry that starts `loader` (with `\`) from partition `part` of `disk`, first in the boot order.
/// Entries of the same label are removed before.
///
/// # Errors
/// [`CmdError`], also where the firmware keeps no variables.
pub fn set_entry(label: &str, disk: &Path, part: u32, loader: &str) -> Result<(), CmdError> {
    let listed = parse_entries(&Cmd::new("efibootmgr").text()?);
    for old in listed.iter().filter(|e| e.label == label) {
        Cmd::new("efibootmgr").args(["--quiet", "--bootnum", &old.number, "--delete-bootnum"]).run()?;
    }
    Cmd::new("efibootmgr")
        .args(["--quiet", "--create", "--disk"])
        .arg(disk)
        .args(["--part", &part.to_string(), "--label", label, "--loader", loader])
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_in_both_styles_of_efibootmgr() {
        let text = "BootCurrent: 0001\nTimeout: 0 seconds\nBootOrder: 0001,0000\n\
            Boot0000* UiApp\tFvVol(7cb8bdc9)/FvFile(462caa21)\nBoot0001* Maekin disk 1\tHD(2,GPT)\nBoot0002  off\n";
        let got: Vec<(String, String)> =
            parse_entries(text).into_iter().map(|e| (e.number, e.label)).collect();
        let want = [("0000", "UiApp"), ("0001", "Maekin disk 1"), ("0002", "off")];
        assert_eq!(got, want.map(|(n, l)| (n.to_owned(), l.to_owned())));
    }

    #[test]
    fn hostile_lines_are_no_entries() {
        for text in ["Boot", "Boot00", "Bootäöü*", "Boot0001", "BootOrder: 0001"] {
            assert!(parse_entries(text).is_empty(), "{text}");
        }
    }
}
