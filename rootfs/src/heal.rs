//! The words between the agent and `maekin-installer heal`, which makes boot drives whole again.
//!
//! `heal --json` prints one [`Findings`]. `heal --apply --json-progress` prints one [`Line`] a line, the last of which
//! is [`Line::End`]. Every healing is kept as a [`Receipt`] in [`RECEIPTS`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::node::BootDisk;

/// Directory of the receipts, relative to `/var`; `<seconds since 1970>.json`.
pub const RECEIPTS: &str = "lib/maekin/heal";

/// What was found, and what would be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Format of this document; 1.
    pub format: u32,
    /// The installation whose drives these are.
    pub install_id: Uuid,
    /// On how many drives the node is meant to be.
    pub drives: usize,
    /// The places of boot drives, 0 and 1.
    pub places: Vec<Place>,
    /// Other drives, which could be taken for a place that has none.
    pub candidates: Vec<Candidate>,
    /// What `--apply` with the same arguments would do. One thing at a time: look again afterwards.
    pub plan: Plan,
}

/// A boot drive's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// 0 or 1.
    pub index: u8,
    /// Node of the drive in it.
    pub disk: Option<PathBuf>,
    /// The drive in words, or the one that was last known to be here.
    pub title: String,
    /// Serial number, where there is a drive that has one.
    pub serial: String,
    /// How it is, all in all.
    pub state: PlaceState,
    /// Its half of each array, by the array's name.
    pub halves: BTreeMap<String, Half>,
    /// Its EFI system partition.
    pub esp: Esp,
}

/// How a boot drive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceState {
    /// All of it is there and in use.
    Whole,
    /// It is being brought up to date.
    Resyncing,
    /// It is here, but was away: the other one is newer.
    Stale,
    /// Something on it is damaged.
    Damaged,
    /// No drive is here.
    Missing,
    /// The node was made for one drive; this place was never filled.
    Unused,
}

/// Half of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Half {
    /// In use and up to date.
    InSync,
    /// In use, being brought up to date.
    Resyncing,
    /// The array had to give it up.
    Faulty,
    /// Here, not in use.
    Out,
    /// Not here.
    Missing,
}

/// The state of an EFI system partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Esp {
    /// Whether every file is there and is what it should be.
    pub whole: bool,
    /// Files that are missing, or are not what inventory and manifest say.
    pub wrong: Vec<String>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// A drive that is no boot drive of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its node.
    pub disk: PathBuf,
    /// The drive in words.
    pub title: String,
    /// Serial number.
    pub serial: String,
    /// Bytes.
    pub size: u64,
    /// Nothing on it needs anyone's consent: it is blank, or a healing of this node was interrupted on it.
    pub free: bool,
    /// What it would be taken for; [`Action::Refuse`]: for nothing.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What a person can do about a refusal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// What dies on it, in words.
    #[serde(default)]
    pub dies: Vec<String>,
    /// The token that stands for consent to that; `None` where none is needed, or none would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: all is whole.
    None,
    /// Bring a drive of ours that was away up to date.
    ReAdd,
    /// Make another drive the one that is missing.
    Rebuild,
    /// Make a second drive the other half of a node that has one.
    AddMirror,
    /// Repair the files of an EFI system partition from the other one.
    ResyncEsp,
    /// Nothing can be done without a person.
    Refuse,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What.
    pub action: Action,
    /// The drive that is written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<PathBuf>,
    /// The place that it has or gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u8>,
    /// Why.
    pub reason: String,
    /// What a person can do, where something is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// What dies, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dies: Vec<String>,
    /// The token that stands for consent to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The steps, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
}

/// A line of `heal --apply --json-progress`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// How far it is.
    Progress(Progress),
    /// Worth knowing, and no failure.
    Note {
        /// The text.
        note: String,
    },
    /// The last line.
    End(End),
}

/// How far a healing is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub step: String,
    /// Which step it is, from 1.
    pub index: usize,
    /// Of how many.
    pub total: usize,
    /// Bytes done, of the whole.
    pub done: u64,
    /// Bytes of the whole.
    pub work: u64,
}

/// How a healing ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum End {
    /// It is done.
    Ok,
    /// It is not; the machine boots from the good drive as before.
    Failed {
        /// Why, and what to do.
        error: String,
    },
}

/// What is kept of a healing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Format of this document; 1.
    pub format: u32,
    /// When it ended, seconds since 1970.
    pub at: u64,
    /// What was done.
    pub action: Action,
    /// The place that was healed.
    pub place: Option<u8>,
    /// The drive that was written to.
    pub disk: Option<BootDisk>,
    /// Why.
    pub reason: String,
    /// What died.
    pub lost: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Steps and how long each took, in milliseconds.
    pub steps: Vec<(String, u64)>,
    /// What was worth knowing.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_told_from_the_others() {
        let rows = [
            (
                r#"{"step":"reading the system back","index":3,"total":9,"done":5,"work":10}"#,
                Line::Progress(Progress {
                    step: "reading the system back".to_owned(),
                    index: 3,
                    total: 9,
                    done: 5,
                    work: 10,
                }),
            ),
            (r#"{"note":"no boot entry"}"#, Line::Note { note: "no boot entry".to_owned() }),
            (r#"{"result":"ok"}"#, Line::End(End::Ok)),
            (
                r#"{"result":"failed","error":"the drive is defective"}"#,
                Line::End(End::Failed { error: "the drive is defective".to_owned() }),
            ),
        ];
        for (text, line) in rows {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line);
        }
    }

    #[test]
    fn the_documented_words_are_the_ones_written() {
        let plan = Plan {
            action: Action::ReAdd,
            disk: Some("/dev/vdb".into()),
            place: Some(1),
            reason: "it was away".to_owned(),
            remedy: String::new(),
            dies: Vec::new(),
            token: None,
            steps: Vec::new(),
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(text, r#"{"action":"re-add","disk":"/dev/vdb","place":1,"reason":"it was away"}"#);
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}
