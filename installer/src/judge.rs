//! What would a machine with these drives do? The rules of firmware, of the initrd and of the planner, put to drives or
//! to images of them, without starting anything: for a person in front of a machine that does not start, and for the
//! test of what a power cut leaves. Nothing is written to the drives.
//!
//! Where the program itself decides something of it, its own code is asked: which halves the initrd takes
//! ([`crate::boot::halves`]), what counts as free for the planner ([`crate::facts::Contents`]), whether a manifest is
//! trusted.
//!
//! | module | job |
//! | --- | --- |
//! | [`command`] | the command line |
//! | [`drive`] | a drive as firmware sees it: boot code, partition table, ESP |
//! | [`system`] | whether what firmware starts comes up |

pub mod command;
pub mod drive;
pub mod system;

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use uuid::Uuid;

use crate::facts::Firmware;
use drive::{Drive, Starts};
use system::System;

/// What a machine would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Start this installation, and come up.
    Boots {
        /// Its id.
        install: Uuid,
        /// The drive that firmware starts, from 0.
        from: usize,
    },
    /// Start nothing from its drives; the installer would take them without asking.
    Installs,
    /// Start nothing from its drives; the installer would ask for consent.
    Asks {
        /// To lose what.
        reason: String,
    },
    /// Start something that does not come up.
    Half {
        /// Why not.
        reason: String,
    },
}

/// Under both kinds of firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Under BIOS.
    pub bios: Outcome,
    /// Under UEFI, with no boot entry.
    pub uefi: Outcome,
}

/// Judges `drives`, tried by firmware in this order; `key` is the release's public key.
///
/// # Errors
/// When a drive cannot be read.
pub fn judge(drives: &[PathBuf], key: &str) -> Result<Judgement> {
    let drives = drives.iter().map(|path| Drive::look(path)).collect::<Result<Vec<_>>>()?;
    let mut system = System::new(&drives, key);
    let mut under = |firmware| -> Result<Outcome> {
        for (from, drive) in drives.iter().enumerate() {
            match drive.starts(firmware) {
                Starts::Nothing => {}
                Starts::Broken(reason) => {
                    return Ok(Outcome::Half { reason: format!("drive {from}: {reason}") });
                }
                Starts::Grub => {
                    return Ok(match system.comes_up(from, firmware) {
                        Ok(install) => Outcome::Boots { install, from },
                        Err(e) => Outcome::Half { reason: format!("drive {from}: {e:#}") },
                    });
                }
            }
        }
        installer(&drives)
    };
    Ok(Judgement { bios: under(Firmware::Bios)?, uefi: under(Firmware::Uefi)? })
}

/// What the planner makes of drives that firmware found nothing on.
fn installer(drives: &[Drive]) -> Result<Outcome> {
    let mut reasons = Vec::new();
    for drive in drives {
        let contents = drive.contents()?;
        if !contents.is_free() {
            reasons.push(format!("{}: {}", drive.path.display(), contents.brief()));
        }
    }
    if reasons.is_empty() { Ok(Outcome::Installs) } else { Ok(Outcome::Asks { reason: reasons.join("; ") }) }
}
