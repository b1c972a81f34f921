//! The boot drives of a node: whether either of them alone would start it, and how that is known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;
use crate::node::Array;

/// Answer of [`crate::NODE_BOOT`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BootDrives {
    /// All in all.
    pub state: State,
    /// The drives, by number; a node made for one drive has one until a second is taken in.
    pub drives: Vec<Drive>,
    /// The mirrors on them.
    pub arrays: Vec<Array>,
    /// The drive that this boot was started from; absent where the boot loader did not tell.
    #[serde(default)]
    pub started_from: Option<u8>,
    /// Whether the firmware keeps boot entries.
    pub entries: Entries,
    /// What is being done about a drive that is not whole.
    pub heal: Heal,
    /// The last comparison of the halves.
    pub comparison: Comparison,
    /// The trial boot of the other drive.
    pub trial: Trial,
    /// What the node is told to do by itself.
    pub settings: Settings,
    /// What is wrong.
    pub alarms: Vec<Alarm>,
}

/// How the boot drives are, all in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BootDrivesState")]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// Either drive alone starts the node and has everything.
    Whole,
    /// The node was made for one drive, and that one is whole.
    Single,
    /// A drive is being brought up to date.
    Healing,
    /// One drive is all there is.
    Degraded,
    /// Both have everything, and something else is wrong: see the alarms.
    AtRisk,
}

/// One boot drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BootDrive")]
pub struct Drive {
    /// 1 or 2.
    pub number: u8,
    /// Serial number: of the drive that is there, or else of the one that was.
    pub serial: String,
    /// Its model.
    pub model: String,
    /// Bytes; 0 where not known.
    pub size: u64,
    /// Device node; absent when the drive is.
    #[serde(default)]
    pub device: Option<String>,
    /// Where it is plugged in, as the system names it by its path; empty where that is not known.
    #[serde(default)]
    pub path: String,
    /// Whether it answers when it is read.
    pub answers: bool,
    /// Its half of each mirror.
    pub halves: Vec<Half>,
    /// Its EFI system partition.
    pub esp: Esp,
    /// Its partition tables and boot code.
    pub tables: Tables,
    /// Whether the firmware has a boot entry for it; absent where that is not known or means nothing (BIOS).
    #[serde(default)]
    pub entry: Option<bool>,
    /// When the node last started from this very drive; absent: never since it is in.
    #[serde(default)]
    pub proved: Option<Proof>,
}

/// Half of a mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Half {
    /// The mirror, e.g. `maekin-state`.
    pub array: String,
    /// How this half is.
    pub state: HalfState,
}

/// How half of a mirror is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HalfState {
    /// In use and up to date.
    InSync,
    /// In use, being brought up to date.
    Rebuilding,
    /// Here and not in use.
    Out,
    /// Not here.
    Missing,
}

/// An EFI system partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Esp {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// Every file is there and is what it should be.
    Whole {
        /// When that was seen.
        verified: u64,
    },
    /// It is not.
    Damaged {
        /// When that was seen.
        verified: u64,
        /// What is wrong.
        reason: String,
    },
}

/// Partition tables (primary and backup) and, under BIOS, boot code of a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Tables {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// As they should be.
    Whole,
    /// They are not.
    Damaged {
        /// What is wrong.
        reason: String,
    },
}

/// A start from a drive, from its own boot loader on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// When.
    pub at: u64,
    /// Version that was started.
    pub version: String,
}

/// Boot entries of the firmware.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Entries {
    /// Not looked at yet.
    #[default]
    Unknown,
    /// BIOS has none.
    None,
    /// The firmware keeps them.
    Kept,
    /// The firmware does not keep them; the drives boot by their fallback loader.
    NotKept,
}

/// What is being done about a drive that is not whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Heal {
    /// Nothing has to be.
    #[default]
    Idle,
    /// It could be healed, and a person has to say so.
    Asks {
        /// What would be done, e.g. `rebuild`.
        action: String,
        /// Device node of the drive that would be written to.
        disk: String,
        /// Why, and what would be lost.
        reason: String,
        /// What to send as consent; empty where none is needed.
        token: String,
    },
    /// It cannot be healed as things are.
    Stuck {
        /// Why.
        reason: String,
        /// What a person can do.
        remedy: String,
    },
    /// It is being healed.
    Running {
        /// What is being done.
        step: String,
        /// Of the whole.
        percent: u8,
        /// Since when.
        since: u64,
    },
    /// It was healed.
    Done {
        /// When.
        at: u64,
        /// What was done.
        action: String,
    },
    /// It failed; it will be tried again.
    Failed {
        /// When.
        at: u64,
        /// Why.
        reason: String,
        /// When it is tried next.
        next: u64,
    },
}

/// The last comparison of the halves, byte by byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// When it was finished; absent: never yet.
    pub last: Option<u64>,
    /// When the next one begins.
    pub next: Option<u64>,
    /// Whether one runs now.
    pub running: bool,
    /// Mirrors whose halves were found to differ, and in how many sectors of 512 bytes.
    pub differ: Vec<(String, u64)>,
}

/// The trial boot of the drive that the node did not start from last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// When the next one is due; absent while they are switched off.
    pub next: Option<u64>,
    /// Why there can be none here; empty where there can.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub impossible: String,
    /// How the last one went.
    pub last: Option<TrialResult>,
}

/// How a trial boot went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialResult {
    /// When.
    pub at: u64,
    /// Of which drive.
    pub number: u8,
    /// Whether the node started from it.
    pub passed: bool,
}

/// What the node does by itself about its boot drives. `PUT` to [`crate::NODE_BOOT_SETTINGS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BootDriveSettings")]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether a drive that is put in is made a boot drive.
    pub heal: HealPolicy,
    /// Whether the other drive is booted from time to time, to see that it can be.
    pub boot_trial: TrialPolicy,
}

/// Whether a drive that is put in is made a boot drive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HealPolicy {
    /// By itself where nothing is lost by it: a blank drive, or a half of this very node that was away.
    #[default]
    Auto,
    /// After a person said so.
    Ask,
    /// Never.
    Never,
}

/// Whether the other drive is booted from time to time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrialPolicy {
    /// Never.
    #[default]
    Off,
    /// Once a month, at night; the node is away for the minutes that a restart takes.
    Monthly,
}

/// `POST` to [`crate::NODE_BOOT_HEAL`]: go ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartHeal {
    /// Device node of the drive, as [`Heal::Asks`] names it; absent: whatever would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Its token, where something on it is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_few_words_and_refuse_others() {
        let rows = [
            ("{}", Some(Settings::default())),
            (
                r#"{"heal":"ask","boot_trial":"monthly"}"#,
                Some(Settings { heal: HealPolicy::Ask, boot_trial: TrialPolicy::Monthly }),
            ),
            (r#"{"heal":"always"}"#, None),
            (r#"{"heel":"auto"}"#, None),
        ];
        for (text, want) in rows {
            assert_eq!(serde_json::from_str::<Settings>(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn states_look_on_the_wire_as_agreed() {
        assert_eq!(serde_json::to_string(&State::AtRisk).unwrap(), r#""at-risk""#);
        let heal = Heal::Running { step: "copying".into(), percent: 4, since: 9 };
        let text = r#"{"state":"running","step":"copying","percent":4,"since":9}"#;
        assert_eq!(serde_json::to_string(&heal).unwrap(), text);
        assert_eq!(serde_json::from_str::<Heal>(text).unwrap(), heal);
    }
}
