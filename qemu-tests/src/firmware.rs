//! OVMF as Debian 12 and 13 install it.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::node::Firmware;

/// Where Debian's `ovmf` puts its files.
const DIRS: [&str; 2] = ["/usr/share/OVMF", "/usr/share/qemu"];
/// Code and variables, best first: Debian 12 has both kinds, Debian 13 the 4 MiB kind only.
const PAIRS: [(&str, &str); 2] = [("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), ("OVMF_CODE.fd", "OVMF_VARS.fd")];

/// The same with System Management Mode, which keeps a guest's system from changing the variables behind the firmware,
/// and with Microsoft's keys enrolled.
const SECURE_PAIRS: [(&str, &str); 2] =
    [("OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"), ("OVMF_CODE.ms.fd", "OVMF_VARS.ms.fd")];

/// OVMF's two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ovmf {
    /// Read-only code.
    pub code: PathBuf,
    /// Template of the variables: an empty NVRAM, but for the keys where there is Secure Boot.
    pub vars: PathBuf,
}

/// Finds OVMF; `None` for BIOS, which needs no file.
///
/// # Errors
/// Names the package to install.
pub fn find(firmware: Firmware) -> anyhow::Result<Option<Ovmf>> {
    let dirs = DIRS.map(Path::new);
    match firmware {
        Firmware::Bios => Ok(None),
        Firmware::Uefi => find_in(&dirs, PAIRS).map(Some),
        Firmware::SecureBoot => find_in(&dirs, SECURE_PAIRS).map(Some),
    }
}

fn find_in(dirs: &[&Path], pairs: [(&str, &str); 2]) -> anyhow::Result<Ovmf> {
    for dir in dirs {
        for (code, vars) in pairs {
            let found = Ovmf { code: dir.join(code), vars: dir.join(vars) };
            if found.code.is_file() && found.vars.is_file() {
                return Ok(found);
            }
        }
    }
    bail!("there is no OVMF (UEFI for virtual machines) in {}: apt-get install ovmf", DIRS.join(" or "))
}

/// Gives a node an empty NVRAM.
///
/// # Errors
/// Names the file that could not be written.
pub fn empty_nvram(ovmf: &Ovmf, nvram: &Path) -> anyhow::Result<()> {
    std::fs::copy(&ovmf.vars, nvram)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", ovmf.vars.display(), nvram.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_whole_pair_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| std::fs::write(dir.path().join(name), b"x").unwrap();
        assert!(find_in(&[dir.path()], PAIRS).unwrap_err().to_string().contains("apt-get install ovmf"));
        touch("OVMF_CODE.fd");
        touch("OVMF_VARS.fd");
        touch("OVMF_CODE_4M.fd");
        assert!(
            find_in(&[dir.path()], PAIRS).unwrap().code.ends_with("OVMF_CODE.fd"),
            "a half pair does not count"
        );
        touch("OVMF_VARS_4M.fd");
        assert!(find_in(&[dir.path()], PAIRS).unwrap().code.ends_with("OVMF_CODE_4M.fd"));
    }
}
