//! How guests run: by hardware where that truly works, else by translation.
//!
//! `/dev/kvm` may exist and not work (nested virtualisation switched off, an emulated device), and a guest may then
//! hang instead of failing. So hardware is used only when the processor says that it can *and* a probe guest ran.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file;

use crate::QEMU;

/// How guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// Hardware virtualisation.
    Kvm,
    /// Translation, one thread for each virtual CPU.
    Tcg,
}

impl Accel {
    /// QEMU's `-accel` option.
    ///
    /// With QEMU's own choice of 1 GiB, half a million translated blocks outlive a restart of the guest, and each is
    /// struck off one by one as the new kernel writes over its page: unpacking the initrd then takes 70 s instead of
    /// 11 s. What is flushed too often is translated anew: an installation and the start after it took 204 s of processor
    /// with 64 MiB, 193 with 128, 184 with 256; a start alone 96 s with 64, 81 with 256, 78 with 512.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg,thread=multi,tb-size=256",
        }
    }

    /// QEMU's `-cpu` option. Five-level page tables only cost time under translation. Without `cmpxchg16b` the kernel's
    /// allocator takes a lock instead: QEMU 7.2 gets the flags wrong when that instruction is interrupted between its
    /// try in parallel and its retry alone (seen as a general protection fault in `kmem_cache_alloc` with a pointer
    /// where the saved flags should be).
    #[must_use]
    pub fn cpu(self) -> &'static str {
        match self {
            Self::Kvm => "host",
            Self::Tcg => "max,la57=off,cx16=off",
        }
    }

    /// Virtual CPUs of a node.
    ///
    /// One under translation: QEMU 7.2 loses the race between one virtual CPU that patches the kernel's code and
    /// another that runs it (a panic by a stale `int3` in `kmem_cache_free`, on a busy host once in some ten boots),
    /// and there are more nodes than processors anyway.
    #[must_use]
    pub fn vcpus(self) -> u32 {
        match self {
            Self::Kvm => 2,
            Self::Tcg => 1,
        }
    }

    /// How many times longer than by hardware things may take; limits are multiplied by it. Translated, three guests
    /// share two processors.
    #[must_use]
    pub fn slowness(self) -> u32 {
        match self {
            Self::Kvm => 1,
            Self::Tcg => 6,
        }
    }
}

/// What guests on this machine run by, and why; found out once in a process.
pub fn choose() -> (Accel, &'static str) {
    static CHOICE: OnceLock<(Accel, &'static str)> = OnceLock::new();
    *CHOICE.get_or_init(|| {
        let flags = file::read_text(Path::new("/proc/cpuinfo"), 16 << 20).unwrap_or_default();
        decide(has_flag(&flags), Path::new("/dev/kvm").exists(), || probe(Accel::Kvm).is_ok())
    })
}

fn decide(flag: bool, device: bool, probe: impl FnOnce() -> bool) -> (Accel, &'static str) {
    match (flag, device) {
        (false, _) => (Accel::Tcg, "TCG: the processor has no vmx or svm flag"),
        (_, false) => (Accel::Tcg, "TCG: there is no /dev/kvm"),
        (true, true) if probe() => (Accel::Kvm, "KVM: a probe guest ran"),
        (true, true) => (Accel::Tcg, "TCG: a probe guest did not run under KVM"),
    }
}

fn has_flag(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| flag == "vmx" || flag == "svm")
}

/// What the probe guest writes to the exit device; QEMU then ends with `2 * n + 1`.
const PROBE_BYTE: u8 = 0x10;
const PROBE_STATUS: i32 = 2 * PROBE_BYTE as i32 + 1;

/// A disk whose boot sector writes [`PROBE_BYTE`] to port 0xf4. To get there, SeaBIOS ran in real and protected mode;
/// it takes no disk of a single sector.
fn probe_disk() -> Vec<u8> {
    let code = [0xb0, PROBE_BYTE, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd]; // mov al, n; out 0xf4, al; hlt; jmp back to hlt
    let mut disk = vec![0; 1 << 20];
    disk[..code.len()].copy_from_slice(&code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Runs the probe guest.
///
/// # Errors
/// Says what went wrong instead of the guest ending itself.
fn probe(accel: Accel) -> Result<(), String> {
    let disk = std::env::temp_dir().join(format!("maekin-probe-{}.img", std::process::id()));
    file::write_atomic(&disk, &probe_disk(), 0o600).map_err(|e| e.to_string())?;
    let ran = Cmd::new(QEMU)
        .args(["-no-user-config", "-nodefaults", "-display", "none", "-machine", "q35", "-m", "64M"])
        .args(["-accel", accel.option(), "-cpu", accel.cpu()])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-drive"])
        .arg(format!("if=ide,format=raw,snapshot=on,file={}", disk.display()))
        .limit(Duration::from_secs(20))
        .run();
    let _ = std::fs::remove_file(&disk); // in the temporary directory; nothing depends on it
    match ran {
        Err(CmdError::Failed { status, .. }) if status.code() == Some(PROBE_STATUS) => Ok(()),
        Err(e) => Err(e.to_string()),
        Ok(()) => Err("the probe guest ended without a word".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_used_only_when_all_three_agree() {
        let rows = [
            ("all good", true, true, true, Accel::Kvm),
            ("no flag", false, true, true, Accel::Tcg),
            ("no device", true, false, true, Accel::Tcg),
            ("the probe hangs", true, true, false, Accel::Tcg),
        ];
        for (name, flag, device, probe, want) in rows {
            assert_eq!(decide(flag, device, || probe).0, want, "{name}");
        }
    }

    #[test]
    fn flags_are_whole_words() {
        assert!(has_flag("model : x\nflags\t\t: fpu vmx sse\n"));
        assert!(has_flag("flags : svm\n"));
        assert!(!has_flag("flags : fpu vmx_like sse\nvmx flags : ept\n"));
    }

    #[test]
    fn the_probe_guest_runs_by_translation() {
        probe(Accel::Tcg).unwrap();
    }
}
