//! The words between the agent and `maekin-installer drives`, which looks at drives that the node does not start from.
//!
//! `drives --json [DEVICE...]` prints one [`Findings`]. What is on a drive was written by anyone: every text in here is
//! printable and bounded by who writes it, and whoever reads it bounds it again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The format that this release writes.
pub const FORMAT: u32 = 1;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Format of this document; [`FORMAT`].
    pub format: u32,
    /// The drives that were looked at, by kernel name.
    pub drives: Vec<Found>,
}

/// A drive, and what is on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Its node.
    pub disk: PathBuf,
    /// Serial number; empty where it reports none.
    pub serial: String,
    /// World-wide name; empty where it reports none.
    pub wwn: String,
    /// Bytes.
    pub size: u64,
    /// Nothing was ever written to it, as far as can be seen.
    pub blank: bool,
    /// An installation by this product was interrupted on it.
    pub unfinished: bool,
    /// What is on it, a line each, the most important first.
    pub what: Vec<String>,
    /// Ceph OSDs on it.
    pub osds: Vec<Osd>,
    /// The token that stands for consent to the loss of exactly that.
    pub token: String,
    /// Why it could not be looked at.
    pub unreadable: Option<String>,
    /// It is no drive but what a management controller shows to the machine: whose.
    pub virtual_media: Option<String>,
    /// An install medium is on it.
    pub medium: bool,
}

/// A Ceph OSD on a drive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Osd {
    /// Its number, where the drive says it.
    pub id: Option<u32>,
    /// Its UUID.
    pub uuid: String,
    /// Its cluster's `fsid`; empty where the drive does not say it.
    pub cluster: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_of_another_release_are_understood_as_far_as_they_go() {
        let text = r#"{"format":1,"drives":[{"disk":"/dev/vdb","blank":true,"more":1}],"more":[]}"#;
        let findings: Findings = serde_json::from_str(text).unwrap();
        let want = Found { disk: "/dev/vdb".into(), blank: true, ..Found::default() };
        assert_eq!(findings, Findings { format: 1, drives: vec![want] });
        let again = serde_json::from_str::<Findings>(&serde_json::to_string(&findings).unwrap());
        assert_eq!(again.unwrap(), findings);
    }
}
