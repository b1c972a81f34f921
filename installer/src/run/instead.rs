//! Starting what is installed, from the installer itself: for a machine that a medium has installed already, and whose
//! drives the medium's menu does not see, so that restarting would only lead back here. The installer and the installed
//! system have the same initrd; all that is needed is a kernel of the version that the installed system has modules for.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use maekin_host::mount::{self, Access};
use maekin_host::{file, kmsg};
use maekin_image::esp;
use maekin_image::grubenv::{GrubEnv, SLOT};
use maekin_image::ids;
use maekin_image::layout::Part;

use crate::boot;
use crate::cmdline::{Slot, Start};
use crate::facts::Facts;
use crate::plan::identity;

/// How long a person has to say otherwise, by any key.
pub const WAIT: Duration = Duration::from_secs(60);
const MOUNT: &str = "/run/maekin/instead";

/// The installation to start, where this medium has installed this machine already.
#[must_use]
pub fn installed(facts: &Facts) -> Option<Start> {
    let (install, drives) = identity::installed_before(facts)?;
    Some(Start { install, slot: Slot::A, drives })
}

/// Assembles and mounts the installed system; when the program ends after that, systemd goes on into it.
///
/// # Errors
/// When it cannot be started, or has another kernel than the one that runs.
pub fn start(found: Start) -> Result<()> {
    let links = Path::new("/dev/disk/by-partuuid");
    let esp = |drive| links.join(ids::part_guid(found.install, drive, Part::Esp).to_string());
    let device = [0, 1].map(esp).into_iter().find(|path| path.exists()).context("it has no ESP")?;
    let point = Path::new(MOUNT);
    mount::attach(&device.display().to_string(), "vfat", point, Access::ReadOnly, "nosuid,nodev,noexec")?;
    let env = file::read_bytes(&point.join(esp::GRUB_ENV), 4096);
    mount::detach(point)?;
    let slot = match GrubEnv::parse(&env?)?.get(SLOT) {
        Some("b") => Slot::B,
        _ => Slot::A,
    };
    let manifest = boot::root::verified_manifest(&[device], slot.name())?;
    let running = file::read_text(Path::new("/proc/sys/kernel/osrelease"), 256)?;
    if manifest.kernel != running.trim() {
        bail!(
            "it has kernel {}, and the medium {}; take the medium out and restart",
            manifest.kernel,
            running.trim()
        );
    }
    if let Err(e) = kmsg::loud_consoles() {
        tracing::warn!(error = %e, "the kernel stays quiet on the consoles");
    }
    boot::boot_by_medium(Start { slot, ..found })
}
