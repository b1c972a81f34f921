//! The steps of a healing, carried out by [`super::apply`]. A drive that is made anew follows the rules of an
//! installation (see [`crate::plan::steps`]): its first sector says "unfinished" before anything else of it is written,
//! and it becomes bootable last. Nothing is ever written to a running array or to the drive that it runs from, but for
//! single files of its ESP, which are replaced whole.

use std::path::PathBuf;

use maekin_image::ids::Array;
use maekin_rootfs::node::BootDisk;

use super::esp::Copy;
use crate::plan::Step;

/// Where a file of an ESP comes from and goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EspCopies {
    /// The ESP that is written to.
    pub to: PathBuf,
    /// The ESPs that are read, by place.
    pub from: [Option<PathBuf>; 2],
    /// The files, in order.
    pub files: Vec<Copy>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealStep {
    /// As in an installation.
    Install(Step),
    /// Let an array go of a member that is gone or was given up.
    TakeOut {
        /// The array.
        array: Array,
        /// Kernel name of the member.
        member: String,
    },
    /// Write files to an ESP that does not boot yet.
    FillEsp(EspCopies),
    /// Replace single files of an ESP, each whole.
    MendEsp(EspCopies),
    /// Read files of an ESP back from the medium.
    VerifyEsp {
        /// The partition.
        partition: PathBuf,
        /// Path and digest.
        files: Vec<(String, String)>,
    },
    /// Give an ESP the loader that firmware starts.
    CommitEsp(EspCopies),
    /// Put a half into its running array.
    Join {
        /// The array.
        array: Array,
        /// The half.
        member: PathBuf,
        /// It was a half before, and the array has noted what changed since.
        by_bitmap: bool,
    },
    /// Wait until the halves are up to date, as long as that goes on.
    AwaitSync {
        /// The arrays.
        arrays: Vec<Array>,
        /// Bytes of them all.
        work: u64,
    },
    /// Remember the drive in the node file.
    Remember {
        /// Its place.
        place: u8,
        /// Who it is.
        disk: BootDisk,
    },
}

impl HealStep {
    /// What is being done, for a progress line.
    #[must_use]
    pub fn label(&self) -> String {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match self {
            Self::Install(step) => step.label(),
            Self::TakeOut { array, member } => format!("taking {member} out of {}", array.name()),
            Self::FillEsp(copies) => format!("writing boot files to {}", name(&copies.to)),
            Self::MendEsp(copies) => format!("mending boot files on {}", name(&copies.to)),
            Self::VerifyEsp { partition, .. } => format!("reading boot files back from {}", name(partition)),
            Self::CommitEsp(copies) => format!("making {} bootable by UEFI", name(&copies.to)),
            Self::Join { array, member, .. } => format!("putting {} into {}", name(member), array.name()),
            Self::AwaitSync { .. } => "bringing the halves up to date".to_owned(),
            Self::Remember { place, .. } => format!("remembering the drive of place {place}"),
        }
    }

    /// How much work it is, in bytes moved.
    #[must_use]
    pub fn weight(&self) -> u64 {
        const SMALL: u64 = 4 << 20;
        SMALL
            + match self {
                Self::Install(step) => return step.weight(),
                Self::AwaitSync { work, .. } => *work,
                Self::FillEsp(_) | Self::VerifyEsp { .. } => 64 << 20,
                _ => 0,
            }
    }
}
