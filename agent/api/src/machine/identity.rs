//! By what a machine is known: SMBIOS UUID, hardware addresses, serial numbers of its drives. None of it proves anything;
//! together they keep one machine from being taken for another by mistake. Pure.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// SMBIOS UUIDs that boards are sold with by the thousand: they name nobody.
const NOBODY: [&str; 2] = ["03000200-0400-0500-0006-000700080009", "12345678-1234-5678-90ab-cddeefaabbcc"];

/// The UUID of a board in one form, whichever byte order it was told in (SMBIOS 2.6 has the first three fields little
/// endian, older firmware and some network stacks do not); `None` for one that names nobody.
#[must_use]
pub fn canonical_uuid(text: &str) -> Option<String> {
    let one = Uuid::parse_str(text.trim()).ok().filter(|uuid| !uuid.is_nil() && !uuid.is_max())?;
    let other = Uuid::from_bytes_le(*one.as_bytes());
    let [one, other] = [one, other].map(|uuid| uuid.to_string());
    let nobody = |text: &String| NOBODY.contains(&text.as_str());
    (!nobody(&one) && !nobody(&other)).then(|| one.min(other))
}

/// What a ticket is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Identity {
    /// SMBIOS UUID; empty where the firmware tells none that names anybody.
    pub uuid: String,
    /// Hardware addresses of all its own network ports.
    pub macs: BTreeSet<String>,
    /// Serial numbers of its drives, without sticks and what management controllers show.
    pub serials: BTreeSet<String>,
}

impl Identity {
    /// What `other` has that `self` has not, and the other way round, in words; empty where both are the same machine.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let board = |text: &str| canonical_uuid(text);
        if let (Some(one), Some(two)) = (board(&self.uuid), board(&other.uuid))
            && one != two
        {
            found.push(format!("its UUID is {} instead of {}", other.uuid, self.uuid));
        }
        let mut compare = |what: &str, one: &BTreeSet<String>, two: &BTreeSet<String>| {
            let list = |a: &BTreeSet<String>, b: &BTreeSet<String>| {
                a.difference(b).cloned().collect::<Vec<_>>().join(", ")
            };
            for (word, names) in [("is missing", list(one, two)), ("is new", list(two, one))] {
                if !names.is_empty() {
                    found.push(format!("{what} {names} {word}"));
                }
            }
        };
        compare("network port", &self.macs, &other.macs);
        compare("drive", &self.serials, &other.serials);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(uuid: &str, macs: &[&str], serials: &[&str]) -> Identity {
        let set = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        Identity { uuid: uuid.into(), macs: set(macs), serials: set(serials) }
    }

    #[test]
    fn tickets_fit_the_machine_that_they_were_cut_for_and_say_what_differs_of_others() {
        let u1 = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
        let swapped = "BA284E1B-A12F-D211-883F-0016D3CCA427";
        let u2 = "2b4e28ba-2fa1-11d2-883f-0016d3cca427";
        let own = identity(u1, &["a", "b"], &["S1", "S2"]);
        let rows: [(&str, Identity, &[&str]); 8] = [
            ("itself", own.clone(), &[]),
            ("its UUID in the other byte order", identity(swapped, &["a", "b"], &["S1", "S2"]), &[]),
            ("its UUID not told", identity("", &["a", "b"], &["S1", "S2"]), &[]),
            (
                "another board",
                identity(u2, &["a", "b"], &["S1", "S2"]),
                &[
                    "its UUID is 2b4e28ba-2fa1-11d2-883f-0016d3cca427 instead of 1b4e28ba-2fa1-11d2-883f-0016d3cca427",
                ],
            ),
            ("a card was taken out", identity(u1, &["a"], &["S1", "S2"]), &["network port b is missing"]),
            ("a card was put in", identity(u1, &["a", "b", "c"], &["S1", "S2"]), &["network port c is new"]),
            (
                "a drive was changed",
                identity(u1, &["a", "b"], &["S1", "S3"]),
                &["drive S2 is missing", "drive S3 is new"],
            ),
            (
                "another machine with the same UUID",
                identity(u1, &["x"], &["T1"]),
                &[
                    "network port a, b is missing",
                    "network port x is new",
                    "drive S1, S2 is missing",
                    "drive T1 is new",
                ],
            ),
        ];
        for (name, other, want) in rows {
            assert_eq!(own.differences(&other), want, "{name}");
        }
    }

    #[test]
    fn tickets_uuids_that_name_nobody_are_none() {
        for text in [
            "",
            "x",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
        ] {
            assert_eq!(canonical_uuid(text), None, "{text}");
        }
    }
}
