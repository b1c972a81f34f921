//! Volumes: one thing, whatever engine keeps them.
//!
//! A volume is made by saying how it shall be, and is made so by the nodes that have it: its `generation` counts what was
//! asked of it, its `conditions` say what became of that, as settings have them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Condition;

/// What sizes are multiples of, bytes: the extents of local volumes, the objects of pooled ones. Others are rounded up.
pub const GRAIN: u64 = 4 << 20;

/// Names of the conditions; `docs/storage.md` lists their reasons.
pub mod condition {
    /// The volume is there, whole in size, and everything else about it is as asked for.
    pub const READY: &str = "Ready";
    /// It is there, of the size that it shall have.
    pub const PROVISIONED: &str = "Provisioned";
    /// Its snapshots are those that it shall have.
    pub const SNAPSHOTS: &str = "Snapshots";
    /// It is attached where it shall be, and nowhere else.
    pub const ATTACHED: &str = "Attached";
    /// It is being deleted.
    pub const DELETED: &str = "Deleted";
}

/// Where and how often a volume's bytes are kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(rename = "VolumeClass")]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// On one node, on both of its boot drives.
    #[default]
    Local,
    /// On two nodes at once.
    Mirror,
    /// Spread over the cluster's spare drives.
    Pool,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Local, Self::Mirror, Self::Pool];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mirror => "mirror",
            Self::Pool => "pool",
        }
    }
}

/// How fast a volume may be read and written, in each second. What is absent is not limited. As long as a release has
/// nothing that holds volumes to them, it refuses new ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeLimits")]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_iops: Option<u64>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_iops: Option<u64>,
    /// Bytes read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bandwidth: Option<u64>,
    /// Bytes written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bandwidth: Option<u64>,
}

/// What a volume shall be. `POST` to [`crate::VOLUMES`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Its name, one label of 1 to 63 of a-z, 0-9 and -; no other volume has it.
    pub name: String,
    /// Bytes; rounded up to a multiple of [`GRAIN`].
    pub size: u64,
    /// Which class; absent: `local`.
    #[serde(default)]
    pub class: Class,
    /// Host name or id of the node that shall have it, where its class is kept on a node; absent: the one with most room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How fast it may be used.
    #[serde(default)]
    pub limits: Limits,
}

/// What can be changed of a volume. `PATCH` of [`crate::VOLUME`] takes a merge patch (RFC 7386) of it: what is left out
/// stays, and null takes a limit away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeVolume {
    /// Bytes; never fewer than before; rounded up to a multiple of [`GRAIN`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How fast it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// A snapshot that shall be made. `POST` to [`crate::VOLUME_SNAPSHOTS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// Its name, a label as a volume's; no other snapshot of the volume has it.
    pub name: String,
}

/// A volume that begins with what another one has. `POST` to [`crate::VOLUME_CLONE`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneVolume {
    /// Name of the new volume.
    pub name: String,
    /// Which snapshot it begins with; absent: the volume as it is when the clone is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Bytes, where it shall be larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How fast it may be used.
    #[serde(default)]
    pub limits: Limits,
}

/// `POST` to [`crate::VOLUME_ATTACH`]: one node may use the volume, and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachVolume {
    /// Host name or id of the node; absent: the one that has the volume, where only one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What for, for people; at most 100 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
}

/// `POST` to [`crate::VOLUME_DETACH`]: it shall be used no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachVolume {
    /// Only the attachment with this token; absent: whichever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// Without the word of its node, which must be gone: it gives no sign of life.
    #[serde(default)]
    pub force: bool,
}

/// A volume. Entry of [`crate::VOLUMES`], answer of [`crate::VOLUME`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its id: another volume that is given the name later is another one.
    pub id: String,
    /// Its class.
    pub class: Class,
    /// Bytes that it shall have.
    pub size: u64,
    /// Bytes of it that are in use on drives; absent while that is not known.
    #[serde(default)]
    pub used: Option<u64>,
    /// The nodes that have it.
    pub nodes: Vec<Place>,
    /// How it is.
    pub health: Health,
    /// Its snapshots, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Who may read and write it: nobody, or one node.
    #[serde(default)]
    pub attachment: Option<Attachment>,
    /// How fast it may be used.
    pub limits: Limits,
    /// What it began with, where that was another volume.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// How many times something was asked of it.
    pub generation: u64,
    /// The generation that the nodes that have it have taken up, all of them; 0: none.
    pub observed_generation: u64,
    /// What became of it; `Ready` first.
    pub conditions: Vec<Condition>,
    /// When it was asked for.
    pub created: u64,
    /// Who asked for it.
    pub created_by: String,
    /// Since when it is being deleted.
    #[serde(default)]
    pub deleting: Option<u64>,
}

/// A node that has a volume, or part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumePlace")]
pub struct Place {
    /// Its id.
    pub id: String,
    /// Its host name; its id where it is a member no longer.
    pub name: String,
}

/// A snapshot of a volume. Entry of [`crate::VOLUME_SNAPSHOTS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeSnapshot")]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether it is made already, or going.
    pub state: SnapshotState,
    /// When it was asked for.
    pub created: u64,
    /// Who asked for it.
    pub created_by: String,
    /// When it was made; what was written later is not in it.
    #[serde(default)]
    pub taken: Option<u64>,
    /// Bytes that it shows.
    pub size: u64,
    /// Bytes of it that are in use on drives, most of them shared with the volume; absent while that is not known.
    #[serde(default)]
    pub used: Option<u64>,
}

/// How far a snapshot is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeSnapshotState")]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotState {
    /// It is to be made.
    #[default]
    Pending,
    /// It is there.
    Ready,
    /// It is to go.
    Deleting,
    /// It was there, and is not any more.
    Lost,
}

/// That one node may read and write a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeAttachment")]
pub struct Attachment {
    /// The node.
    pub node: Place,
    /// How far it is.
    pub state: AttachmentState,
    /// Grows with every attachment of the volume: what comes with an earlier one is refused.
    pub token: u64,
    /// The device on the node, once it is attached.
    #[serde(default)]
    pub device: Option<String>,
    /// What for.
    pub purpose: String,
    /// Since when it is asked for.
    pub since: u64,
    /// Who asked for it.
    pub by: String,
}

/// How far an attachment is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeAttachmentState")]
#[serde(rename_all = "kebab-case")]
pub enum AttachmentState {
    /// The node is to make it usable.
    #[default]
    Attaching,
    /// It can be used.
    Attached,
    /// The node is to give it up; nobody else gets it before.
    Detaching,
}

/// What a volume began with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeOrigin")]
pub struct Origin {
    /// Name of the volume.
    pub volume: String,
    /// Name of its snapshot, where it was one.
    #[serde(default)]
    pub snapshot: Option<String>,
}

/// How a volume is, for programs and in plain words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeHealth")]
pub struct Health {
    /// All in all.
    pub state: HealthState,
    /// The same in words: what is wrong, how far it is mended, how long that takes, how safe it is meanwhile.
    pub text: String,
    /// How much is mended, percent, while something is.
    #[serde(default)]
    pub progress: Option<u8>,
    /// How long it still takes, seconds, where that is known.
    #[serde(default)]
    pub seconds_left: Option<u64>,
}

/// How a volume is, all in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VolumeHealthState")]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// It is not there yet, or nobody has said how it is.
    #[default]
    Pending,
    /// Everything is there as often as it should be.
    Whole,
    /// Something is missing, and is being mended.
    Degraded,
    /// One fault more may lose it.
    AtRisk,
    /// It cannot be used now; its bytes are not gone.
    Unavailable,
    /// Its bytes are gone.
    Lost,
}

impl HealthState {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Whole => "whole",
            Self::Degraded => "degraded",
            Self::AtRisk => "at-risk",
            Self::Unavailable => "unavailable",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_asked_for_in_few_words_and_slips_are_refused() {
        let rows = [
            ("the least", r#"{"name":"a","size":1}"#, true),
            (
                "all",
                r#"{"name":"a","size":1,"class":"pool","node":"n","limits":{"read_iops":5,"write_bandwidth":7}}"#,
                true,
            ),
            ("no size", r#"{"name":"a"}"#, false),
            ("negative", r#"{"name":"a","size":-1}"#, false),
            ("a class that there is not", r#"{"name":"a","size":1,"class":"tape"}"#, false),
            ("a slip", r#"{"name":"a","size":1,"limit":{}}"#, false),
            ("a slip within", r#"{"name":"a","size":1,"limits":{"iops":5}}"#, false),
        ];
        for (name, text, want) in rows {
            assert_eq!(serde_json::from_str::<NewVolume>(text).is_ok(), want, "{name}");
        }
        for class in Class::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.word()));
        }
        let states = [
            HealthState::Pending,
            HealthState::Whole,
            HealthState::Degraded,
            HealthState::AtRisk,
            HealthState::Unavailable,
            HealthState::Lost,
        ];
        for state in states {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.word()));
        }
    }
}
