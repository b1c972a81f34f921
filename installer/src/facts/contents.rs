//! What is on a drive, and how a person is told about it.

use maekin_host::block::{BlockDevice, Signature};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::detail::{Detail, Osd, printable};
use super::size_text;

/// GPT name of the partition that holds a node's settings.
pub(super) const STATE_LABEL: &str = "maekin-state";
/// How many things a line tells.
const BRIEF: usize = 3;
/// Longest label that is shown: a GPT name has 36 characters.
const NAME: usize = 40;

/// Everything found on a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contents {
    /// Signatures of the whole drive: partition tables, superblocks, at both ends.
    pub signatures: Vec<Signature>,
    /// What superblocks of the whole drive say of themselves.
    pub details: Vec<Detail>,
    /// Its partitions.
    pub partitions: Vec<Partition>,
    /// SHA-256 of its first and last MiB; empty when both are all zeros.
    pub ends: String,
    /// An installation by this product that was interrupted before its commit step.
    pub unfinished: Option<Uuid>,
    /// The node that was installed here, where its settings could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousNode>,
    /// Why it could not be looked at; then nothing above says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A partition and what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Partition {
    /// Number.
    pub number: u32,
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// GPT name.
    pub label: String,
    /// Partition type.
    pub kind: String,
    /// Unique GUID.
    pub guid: String,
    /// Signatures in it.
    pub signatures: Vec<Signature>,
    /// What superblocks in it say of themselves.
    pub details: Vec<Detail>,
}

/// An installation of this product that is on a drive: who the machine was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviousNode {
    /// Its host name.
    pub hostname: String,
    /// Its cluster's name, where it is known.
    pub cluster: Option<String>,
    /// Its installation.
    pub install_id: Uuid,
}

impl PreviousNode {
    /// `the Maekin node "node-1" of cluster "rack"`.
    #[must_use]
    pub fn words(&self) -> String {
        let name = printable(&self.hostname, NAME);
        match &self.cluster {
            Some(cluster) => {
                format!("the Maekin node \"{name}\" of cluster \"{}\"", printable(cluster, NAME))
            }
            None => format!("the Maekin node \"{name}\""),
        }
    }
}

impl Partition {
    /// UEFI firmware looks into it: by its type (UEFI specification section 5.3.3, and 0xEF in an MBR), or because it
    /// holds a FAT file system.
    #[must_use]
    pub fn is_esp(&self) -> bool {
        let kind = self.kind.to_ascii_lowercase();
        kind == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
            || kind == "0xef"
            || self.signatures.iter().any(|s| s.r#type == "vfat")
    }
}

impl Contents {
    /// Nothing was ever written here, as far as can be seen.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        let found_nothing = self.signatures.is_empty() && self.partitions.is_empty() && self.ends.is_empty();
        found_nothing && self.details.is_empty() && self.previous.is_none() && self.unreadable.is_none()
    }

    /// Nothing here needs anyone's consent to be overwritten.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.is_blank() || self.unfinished.is_some()
    }

    /// A finished installation by this product.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.unfinished.is_none() && self.partitions.iter().any(|p| p.label == STATE_LABEL)
    }

    /// Everything that superblocks here say of themselves, on the whole drive and in its partitions.
    pub fn all_details(&self) -> impl Iterator<Item = &Detail> {
        self.details.iter().chain(self.partitions.iter().flat_map(|p| &p.details))
    }

    /// The Ceph OSDs that keep data here.
    #[must_use]
    pub fn osds(&self) -> Vec<Osd> {
        let mut osds: Vec<Osd> = Vec::new();
        for osd in self.all_details().flat_map(Detail::osds) {
            if !osds.contains(osd) {
                osds.push(osd.clone());
            }
        }
        osds
    }

    /// What is here, one thing a line, the most important first.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        if let Some(reason) = &self.unreadable {
            return vec![format!("it cannot be read ({})", printable(reason, 200))];
        }
        if self.unfinished.is_some() {
            return vec!["an unfinished installation of Maekin".to_owned()];
        }
        if self.is_blank() {
            return vec!["blank".to_owned()];
        }
        let mut words = Vec::new();
        if let Some(previous) = &self.previous {
            words.push(format!("{}: its system, settings and local volumes", previous.words()));
        } else if self.is_ours() {
            words.push("a Maekin node: its system, settings and local volumes".to_owned());
        }
        words.extend(things(&self.signatures, &self.details));
        words.extend(self.partitions.iter().map(partition_words));
        if words.is_empty() {
            words.push("data of an unknown kind".to_owned());
        }
        words.dedup(); // a table and its backup are one thing
        words
    }

    /// The most important things here, in one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let words = self.words();
        let more = words.len().saturating_sub(BRIEF);
        let first = words.into_iter().take(BRIEF).collect::<Vec<_>>().join("; ");
        if more == 0 { first } else { format!("{first}; and {more} more") }
    }
}

fn partition_words(partition: &Partition) -> String {
    let mut text = format!("partition {}, {}", partition.number, size_text(partition.size));
    if !partition.label.is_empty() {
        text += &format!(", \"{}\"", printable(&partition.label, NAME));
    }
    let mut inside = things(&partition.signatures, &partition.details);
    inside.dedup();
    if inside.is_empty() { text } else { format!("{text}: {}", inside.join(", ")) }
}

/// What is in one place. Where a superblock tells more than its signature, only that is told.
fn things(signatures: &[Signature], details: &[Detail]) -> Vec<String> {
    let mut words: Vec<String> = details.iter().flat_map(Detail::words).collect();
    let told = |s: &&Signature| !details.iter().any(|detail| detail.explains(&s.r#type));
    words.extend(signatures.iter().filter(told).filter_map(signature_words));
    words
}

fn signature_words(signature: &Signature) -> Option<String> {
    let what = match signature.r#type.as_str() {
        "PMBR" | "atari" => return None,
        "gpt" => "GPT partition table",
        "dos" => "MBR partition table",
        "linux_raid_member" => "member of a Linux RAID array",
        "LVM2_member" => "LVM physical volume",
        "crypto_LUKS" => "LUKS encrypted volume",
        "zfs_member" => "member of a ZFS pool",
        "ceph_bluestore" => "Ceph OSD (BlueStore)",
        "drbd" => "DRBD volume",
        "btrfs" => "btrfs file system or a member of one",
        "swap" => "swap space",
        "iso9660" => "optical disc image",
        "vfat" => "FAT file system",
        "isw_raid_member" | "ddf_raid_member" => "member of a firmware RAID set",
        other => {
            let kind = if signature.usage.as_deref() == Some("filesystem") { " file system" } else { "" };
            return Some(label(format!("{}{kind}", printable(other, NAME)), signature));
        }
    };
    Some(label(what.to_owned(), signature))
}

fn label(what: String, signature: &Signature) -> String {
    match signature.label.as_deref().filter(|label| !label.is_empty()) {
        Some(label) => format!("{what} \"{}\"", printable(label, NAME)),
        None => what,
    }
}

/// The partitions of a drive as lsblk(8) tells them, without what is in them.
#[must_use]
pub fn partitions(device: &BlockDevice) -> Vec<Partition> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let number = |name: &str| {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        name[name.len() - digits..].parse().unwrap_or(0)
    };
    device
        .children
        .iter()
        .filter(|child| child.r#type == "part")
        .map(|child| Partition {
            number: number(&child.name),
            start: child.start.unwrap_or(0) * 512,
            size: child.size,
            label: text(&child.partlabel),
            kind: text(&child.parttype),
            guid: text(&child.partuuid),
            ..Partition::default()
        })
        .collect()
}
