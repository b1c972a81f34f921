//! Facts and answers become a plan, or every reason why not. Pure: no clock, no randomness, no file; the same input
//! gives the same plan. Nothing is left for whoever carries it out to decide.
//!
//! | module | job |
//! | --- | --- |
//! | [`select`] | which drives |
//! | [`identity`] | who the node becomes |
//! | [`consent`] | the token that stands for "this content may be destroyed" |
//! | [`kept`] | what stays untouched, and who the machine was |
//! | [`ports`] | whether the machine has the network interfaces that are named |
//! | [`steps`] | what a step is |
//! | `build` | the steps, in order |
//! | [`describe`] | the plan in words |
//! | [`details`] | a step in full |

pub(crate) mod build;
pub mod consent;
pub mod describe;
pub mod details;
pub mod identity;
pub mod kept;
pub mod ports;
pub mod select;
pub mod steps;

use std::fmt;
use std::path::PathBuf;

use maekin_image::drivers::Device;
use maekin_image::esp;
use maekin_image::layout::{ESP_SIZE, Extent, SYSTEM_SIZE, plan_layout};
use maekin_image::manifest::{Manifest, ROOT};
use maekin_rootfs::node::{BootDisk, NodeConfig};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::answers::{After, Answers, Password};
use crate::facts::{Disk, Facts, Firmware, PreviousNode, size_text};
pub use kept::Kept;
pub use steps::Step;

/// Everything that will be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Names this installation; every UUID follows from it.
    pub install: Uuid,
    /// Version of the release.
    pub version: String,
    /// What the machine was started by.
    pub firmware: Firmware,
    /// The boot drives: index 0, then 1.
    pub drives: Vec<Drive>,
    /// Other drives that hold something: they stay untouched.
    pub kept: Vec<Kept>,
    /// The node that this machine was before, where a drive tells.
    pub previous: Option<PreviousNode>,
    /// Where the partitions lie, the same on all of them.
    pub layout: [Extent; 6],
    /// How the node is configured.
    pub node: NodeConfig,
    /// What is done.
    pub steps: Vec<Step>,
    /// What to do at the end.
    pub after: After,
}

/// A drive of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The drive in words.
    pub title: String,
    /// Its node.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector: u64,
    /// What dies on it, in words; empty when it is blank.
    pub dies: Vec<String>,
    /// The token that stands for consent to that.
    pub token: String,
    /// It zeroes ranges by itself.
    pub write_zeroes: bool,
    /// Where its old partitions lie: first byte and length.
    pub old: Vec<(u64, u64)>,
    /// First bytes of those among them that UEFI firmware would look into.
    pub esps: Vec<u64>,
    /// What it hangs on.
    pub devices: Vec<Device>,
    /// What the node file keeps of it.
    pub identity: BootDisk,
}

/// One reason why nothing was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The drive it is about, in words; `None`: the machine or the release.
    pub disk: Option<String>,
    /// What stands against it.
    pub reason: String,
    /// What a person can do.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(disk) = &self.disk {
            write!(f, "{disk}: ")?;
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// Every reason why nothing was planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the installation is refused:\n{}", .0.iter().map(|r| format!("  {r}")).collect::<Vec<_>>().join("\n"))]
pub struct Refusals(pub Vec<Refusal>);

/// Makes the plan. `seed` is the installation's id: made anew for each one, and all that is random in it.
///
/// # Errors
/// [`Refusals`]: all of them at once.
pub fn plan(facts: &Facts, answers: &Answers, manifest: &Manifest, seed: Uuid) -> Result<Plan, Refusals> {
    let mut refusals = check_release(manifest);
    refusals.extend(check_memory(facts.memory));
    let chosen = match judge(facts, answers) {
        Ok(disks) => disks,
        Err(more) => {
            refusals.extend(more);
            Vec::new()
        }
    };
    let hostname = identity::hostname(facts, answers).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        String::new()
    });
    if !refusals.is_empty() {
        refusals.splice(0..0, identity::done_before(facts));
    }
    let smallest = chosen.iter().map(|d| d.size).min().unwrap_or_default();
    let layout = match plan_layout(smallest) {
        Ok(layout) if refusals.is_empty() => layout,
        _ => return Err(Refusals(refusals)), // `choose` has refused drives that are too small
    };
    let (kept, previous) = (kept::kept(facts, &chosen), kept::previous(facts, &chosen));
    let drives: Vec<Drive> = chosen.into_iter().map(planned_drive).collect();
    let node = NodeConfig { hostname, ..node_file(answers, &drives, seed) };
    let steps = build::steps(facts, &drives, &layout, manifest, &node).map_err(|missing| {
        let remedy = "use a complete install medium".to_owned();
        Refusals(vec![Refusal { disk: None, reason: missing.to_string(), remedy }])
    })?;
    Ok(Plan {
        install: seed,
        version: manifest.version.clone(),
        firmware: facts.firmware,
        drives,
        kept,
        previous,
        layout,
        node,
        steps,
        after: answers.after,
    })
}

/// The drives that an installation with these answers would be on.
///
/// # Errors
/// Everything about this machine that stands against it.
pub fn judge<'a>(facts: &'a Facts, answers: &Answers) -> Result<Vec<&'a Disk>, Vec<Refusal>> {
    let mut refusals = ports::objections(&facts.nics, &answers.network);
    match select::choose(facts, answers) {
        Ok(disks) if refusals.is_empty() => Ok(disks),
        Ok(_) => Err(refusals),
        Err(more) => {
            refusals.splice(0..0, more);
            Err(refusals)
        }
    }
}

pub(crate) fn planned_drive(disk: &Disk) -> Drive {
    Drive {
        title: disk.title(),
        path: disk.path.clone(),
        size: disk.size,
        sector: disk.sector,
        dies: if disk.contents.is_free() { Vec::new() } else { disk.contents.words() },
        token: consent::token(disk),
        write_zeroes: disk.write_zeroes,
        old: disk.contents.partitions.iter().map(|p| (p.start, p.size)).collect(),
        esps: disk.contents.partitions.iter().filter(|p| p.is_esp()).map(|p| p.start).collect(),
        devices: disk.devices.clone(),
        identity: BootDisk { serial: disk.serial.clone(), model: disk.model.clone(), size: disk.size },
    }
}

fn node_file(answers: &Answers, drives: &[Drive], seed: Uuid) -> NodeConfig {
    let machine_id = Uuid::new_v5(&seed, b"machine-id").simple().to_string();
    let hash = match &answers.password {
        Some(Password::Plain(plain)) => Some(hash_password(plain, seed)),
        Some(Password::Hash(hash)) => Some(hash.clone()),
        None => None,
    };
    let mut node = answers.node_config(seed, machine_id, hash);
    node.disks = drives.iter().map(|drive| drive.identity.clone()).collect();
    node
}

/// Argon2id with the crate's default cost. The salt is derived from the seed: a salt must differ between
/// installations, it need not be secret (RFC 9106 section 3.1).
fn hash_password(plain: &str, seed: Uuid) -> String {
    use argon2::password_hash::{PasswordHasher, SaltString};
    let digest = Sha256::digest([b"maekin password salt".as_slice(), seed.as_bytes()].concat());
    let hashed = SaltString::encode_b64(&digest[..16]).and_then(|salt| {
        argon2::Argon2::default().hash_password(plain.as_bytes(), &salt).map(|h| h.to_string())
    });
    #[allow(clippy::expect_used)] // 16 bytes are a valid salt, and the default cost is within Argon2's limits
    hashed.expect("Argon2 with its default cost takes any password")
}

/// Memory in bytes that Linux finds in a machine that has 1 GiB, with something to spare: kernel and firmware keep a
/// part for themselves.
const MEMORY: u64 = 900 << 20;

/// What a machine must have for the installer, which is all in memory; 0: how much it has is not known.
fn check_memory(found: u64) -> Option<Refusal> {
    (found > 0 && found < MEMORY).then(|| Refusal {
        disk: None,
        reason: format!("the machine has {} of memory, and the installer needs 1.0 GiB", size_text(found)),
        remedy: "put in more memory".to_owned(),
    })
}

/// What a release must have to be installed.
fn check_release(manifest: &Manifest) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut refuse = |reason: String| {
        let remedy = "use another install medium".to_owned();
        refusals.push(Refusal { disk: None, reason, remedy });
    };
    // md keeps its superblock, and some room, at the end of a slot.
    let room = SYSTEM_SIZE - (4 << 20);
    match manifest.file(ROOT) {
        None => refuse(format!("the release has no file {ROOT}")),
        Some(root) if root.size > room => {
            refuse(format!(
                "the system image has {}, a slot holds {}",
                size_text(root.size),
                size_text(room)
            ));
        }
        Some(_) => {}
    }
    let boot: u64 = manifest.files.iter().filter(|(path, _)| *path != ROOT).map(|(_, file)| file.size).sum();
    let room = ESP_SIZE / 2 - (8 << 20);
    if boot > room {
        refuse(format!(
            "its boot files have {}, a slot of the ESP holds {}",
            size_text(boot),
            size_text(room)
        ));
    }
    if let Err(missing) = esp::commit_file(manifest) {
        refuse(missing.to_string());
    }
    refusals
}

#[cfg(test)]
mod machines;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod tests;
