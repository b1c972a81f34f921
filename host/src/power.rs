//! Reboot and power-off, after everything written has reached the disks.
#![allow(clippy::disallowed_methods)] // this module is where the fence leads to

use std::convert::Infallible;
use std::io;

use nix::sys::reboot::{RebootMode, reboot};

/// Restarts the machine at once, without telling init: for programs that run as the only job of an initrd.
///
/// # Errors
/// The kernel's refusal; on success it does not return.
pub fn restart() -> io::Result<Infallible> {
    now(RebootMode::RB_AUTOBOOT)
}

/// Powers the machine off at once, as [`restart`].
///
/// # Errors
/// As [`restart`].
pub fn off() -> io::Result<Infallible> {
    now(RebootMode::RB_POWER_OFF)
}

fn now(mode: RebootMode) -> io::Result<Infallible> {
    nix::unistd::sync();
    Ok(reboot(mode)?)
}
