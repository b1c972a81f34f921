//! The drives of the rack: what each is, how it is, what is on it, who uses it, and what a node does about one that
//! nobody uses.
//!
//! Every text in here that comes from a drive (model, serial number, names on it) is bounded and has no control
//! characters. Times are seconds since 1970; 0 is never.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A drive, as the node that has it says. Answer of [`crate::DRIVE`], and an entry of [`crate::DRIVES`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Drive {
    /// Names it, wherever it is plugged in: its world-wide name, else model and serial number.
    pub id: String,
    /// Host name of the node that it is, or was last, in.
    pub node: String,
    /// Id of that node.
    pub node_id: String,
    /// Device node, e.g. `/dev/sdb`; changes from start to start. Empty while it is gone.
    pub device: String,
    /// Serial number; empty where it has none.
    pub serial: String,
    /// Model.
    pub model: String,
    /// World-wide name; empty where it has none.
    pub wwn: String,
    /// Bytes.
    pub size: u64,
    /// Bytes of a logical sector.
    pub sector: u64,
    /// Whether it spins.
    pub rotational: bool,
    /// `sata`, `sas`, `nvme`, `virtio`, `usb`, ...
    pub transport: String,
    /// Where it is plugged in.
    pub slot: Slot,
    /// How it is, by its own word.
    pub health: Health,
    /// What is on it.
    pub content: Content,
    /// Who uses it.
    #[serde(rename = "use")]
    pub usage: Usage,
    /// What becomes of it.
    pub state: State,
    /// Since when it is in this state and this use, by the node's clock.
    pub since: u64,
    /// Why, in words.
    pub why: String,
    /// What a person can do about it; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// When it was first seen in this node.
    pub first_seen: u64,
}

/// Where a drive is plugged in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveSlot")]
#[serde(default)]
pub struct Slot {
    /// udev's name of the place, e.g. `pci-0000:00:1f.2-ata-1`; empty where it has none.
    pub path: String,
    /// What the enclosure calls the bay, e.g. `Slot 04`; empty where it has no enclosure that says so.
    pub bay: String,
}

/// What a drive says of its own health (SMART).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveHealth")]
#[serde(default)]
pub struct Health {
    /// All in all.
    pub verdict: Verdict,
    /// Why, in words; empty where there is nothing to say.
    pub reason: String,
    /// Percent of its life used up, where it says so; may be more than 100.
    pub wear: Option<u8>,
    /// Degrees Celsius. Of another node's drive it may be hours old: it is not told whenever it changes.
    pub temperature: Option<i16>,
    /// Hours that it has run; may be a day old.
    pub hours: Option<u64>,
    /// Errors of its medium: blocks that could not be read or written.
    pub media_errors: Option<u64>,
    /// Sectors that it has replaced.
    pub replaced: Option<u64>,
}

/// What comes of a drive's word on its health. The worse, the greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveVerdict")]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It says nothing, or was not asked yet.
    #[default]
    Unknown,
    /// It is well.
    Well,
    /// It goes on, and a replacement should be at hand: worn out, or with errors of its medium.
    Worn,
    /// It says that it is failing.
    Failing,
}

/// What is on a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveContent")]
#[serde(default)]
pub struct Content {
    /// Nothing was ever written to it, as far as can be seen.
    pub blank: bool,
    /// What is on it, a line each, the most important first; bounded.
    pub what: Vec<String>,
    /// Ceph OSDs that keep data on it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub osds: Vec<Osd>,
    /// Stands for exactly this content of exactly this drive: who consents to its loss sends it with
    /// [`Take`]. Empty where it was not looked at, as on the drives that this node starts from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Why it could not be looked at; empty where it could.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unreadable: String,
}

/// A Ceph OSD on a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveOsd")]
#[serde(default)]
pub struct Osd {
    /// Its number in its cluster, where the drive says it.
    pub id: Option<u32>,
    /// Its own UUID.
    pub uuid: String,
    /// Its cluster's `fsid`; empty where the drive does not say it.
    pub cluster: String,
}

/// Who uses a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveUse")]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Usage {
    /// Nobody.
    #[default]
    Unused,
    /// The node starts from it; the pool of `local` volumes lies on it too.
    BootMirror {
        /// Which of the two: 1 or 2.
        number: u8,
    },
    /// It is part of the pool of `local` volumes.
    LocalPool,
    /// An OSD of this cluster's pool.
    Osd {
        /// Its number.
        id: u32,
    },
    /// Nobody yet: it is given to storage, which takes it when it needs it.
    Spare,
    /// Something that is not ours: what is on it, or who holds it.
    Foreign,
}

impl Usage {
    /// In a word or two.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Unused => "unused".to_owned(),
            Self::BootMirror { number } => format!("boot drive {number}"),
            Self::LocalPool => "local pool".to_owned(),
            Self::Osd { id } => format!("OSD {id}"),
            Self::Spare => "spare".to_owned(),
            Self::Foreign => "foreign".to_owned(),
        }
    }
}

/// What becomes of a drive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveState")]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is not taken, and no consent would change that; see `why`.
    #[default]
    Refused,
    /// It is taken once a person consents to the loss of what is on it, or to its being taken at all.
    WaitingForConsent,
    /// It is given to storage, and not used yet.
    Spare,
    /// It is used.
    InUse,
    /// It is being emptied so that it can be pulled.
    Retiring,
    /// It may be pulled.
    Retired,
    /// It says that it is failing; `use` says by whom it is used all the same.
    Failing,
    /// It is not there any more.
    Gone,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::WaitingForConsent,
        Self::Spare,
        Self::InUse,
        Self::Retiring,
        Self::Retired,
        Self::Failing,
        Self::Gone,
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::WaitingForConsent => "waiting-for-consent",
            Self::Spare => "spare",
            Self::InUse => "in-use",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Failing => "failing",
            Self::Gone => "gone",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a node does by itself about a drive that nobody uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrivePolicy {
    /// A blank one that is attached to this machine alone is given to storage; every other one waits for consent.
    #[default]
    AutoBlank,
    /// Every one waits for consent, a blank one too.
    Ask,
    /// None is taken, whatever a person consents to.
    Never,
}

impl DrivePolicy {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AutoBlank => "auto-blank",
            Self::Ask => "ask",
            Self::Never => "never",
        }
    }
}

/// What nodes do by themselves about drives. `GET` and `PUT` at [`crate::STORAGE_POLICY`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoragePolicy {
    /// In the whole cluster.
    pub drives: DrivePolicy,
    /// On single nodes, by host name: other than in the cluster.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, DrivePolicy>,
}

/// `POST` to [`crate::DRIVE_TAKE`]: a person consents. Also takes back that a drive was to be retired.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TakeDrive")]
#[serde(deny_unknown_fields, default)]
pub struct Take {
    /// [`Content::token`] of what may be lost; needed wherever the drive waits for consent.
    pub consent: String,
}

/// `POST` to [`crate::DRIVE_LOCATE`]: the light of its bay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LocateDrive")]
#[serde(deny_unknown_fields)]
pub struct Locate {
    /// Whether it shall blink.
    pub on: bool,
}

/// Answer to [`Locate`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DriveLocated")]
pub struct Located {
    /// Which drive.
    pub id: String,
    /// The node whose bay it is in.
    pub node: String,
    /// Whether its light blinks now.
    pub on: bool,
    /// Where it is plugged in.
    pub slot: Slot,
}

/// `POST` to [`crate::DRIVE_RETIRE`]: the drive is emptied, so that it can be pulled. Answers a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RetireDrive")]
#[serde(deny_unknown_fields, default)]
pub struct Retire {
    /// Why, for others.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_policies_are_few_words_and_refuse_others() {
        let with = |drives, nodes: &[(&str, DrivePolicy)]| {
            let nodes = nodes.iter().map(|(name, policy)| ((*name).to_owned(), *policy)).collect();
            Some(StoragePolicy { drives, nodes })
        };
        let rows = [
            ("nothing said", "{}", with(DrivePolicy::AutoBlank, &[])),
            (
                "a node is another",
                r#"{"drives":"ask","nodes":{"node-1":"never"}}"#,
                with(DrivePolicy::Ask, &[("node-1", DrivePolicy::Never)]),
            ),
            ("another word", r#"{"drives":"always"}"#, None),
            ("another field", r#"{"drive":"ask"}"#, None),
        ];
        for (name, text, want) in rows {
            assert_eq!(serde_json::from_str::<StoragePolicy>(text).ok(), want, "{name}");
        }
    }

    #[test]
    fn drives_look_on_the_wire_as_agreed() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
        for policy in [DrivePolicy::AutoBlank, DrivePolicy::Ask, DrivePolicy::Never] {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.word());
        }
        let drive = Drive { usage: Usage::Osd { id: 7 }, ..Drive::default() };
        let json = serde_json::to_value(&drive).unwrap();
        assert_eq!(json["use"], serde_json::json!({"by": "osd", "id": 7}));
        assert_eq!(serde_json::from_value::<Drive>(json).unwrap(), drive);
        assert_eq!(serde_json::from_str::<Drive>("{}").unwrap(), Drive::default(), "of another release");
        assert!(serde_json::from_str::<Take>(r#"{"consent":"x","force":true}"#).is_err());
        assert!(serde_json::from_str::<Locate>("{}").is_err(), "on or off is said");
    }
}
