//! What other nodes tell of drives: one that both reach is taken by neither. Their inventories are large and seldom
//! change: those that did are read, and only as far as it matters here.

use std::collections::{BTreeMap, BTreeSet};

use maekin_api::drives::State;
use serde::Deserialize;

use super::observe::Seen;
use crate::record::keys::{self, under};
use crate::record::{Record, RecordError};

/// So many inventories are read one by one; where more of them are others, all are read at once.
const FEW: usize = 4;

/// What is remembered of what they tell.
#[derive(Debug, Default)]
pub(super) struct Others {
    nodes: BTreeMap<String, Node>,
}

/// What one node tells.
#[derive(Debug)]
struct Node {
    revision: i64,
    /// Its drives that are not gone, with its name; `None`: this release does not understand it.
    drives: Option<BTreeMap<String, String>>,
}

/// An inventory, without the words that a newer release may have more of.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lean {
    drives: Vec<LeanDrive>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LeanDrive {
    id: String,
    node: String,
    state: String,
}

/// Which of the drives that were seen are told of elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// By id, the name of a node that tells of it.
    pub(super) drives: BTreeMap<String, String>,
    /// There may be more: what a node tells is not understood.
    pub(super) unclear: bool,
}

impl Others {
    /// Nothing that was read counts any more: it may be another record.
    pub(super) fn forget(&mut self) {
        self.nodes.clear();
    }

    /// Which of `seen` other members than `own` tell of, too.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(super) async fn of(
        &mut self,
        record: &Record,
        (own, members): (&str, &BTreeSet<String>),
        seen: &[Seen],
    ) -> Result<Elsewhere, RecordError> {
        // Those that the node starts from are its own.
        let may: BTreeSet<&str> =
            seen.iter().filter(|drive| drive.boot.is_none()).map(|drive| drive.id.as_str()).collect();
        if may.is_empty() {
            return Ok(Elsewhere::default());
        }
        let mut now = record.revisions(keys::DRIVES).await?;
        // One that was removed tells of nothing: its drives are somebody else's to use.
        now.retain(|(id, _)| id != own && members.contains(id));
        self.read(record, &now).await?;
        Ok(self.both(&may))
    }

    async fn read(&mut self, record: &Record, now: &[(String, i64)]) -> Result<(), RecordError> {
        self.nodes.retain(|id, _| now.iter().any(|(other, _)| other == id));
        let known = |(id, revision): &&(String, i64)| {
            self.nodes.get(id).is_some_and(|node| node.revision == *revision)
        };
        let others: Vec<String> =
            now.iter().filter(|entry| !known(entry)).map(|(id, _)| id.clone()).collect();
        if others.len() > FEW {
            for found in record.list_keyed_known::<Lean>(keys::DRIVES).await? {
                if others.contains(&found.name) {
                    self.nodes.insert(found.name, Node::new(found.revision, found.value));
                }
            }
            return Ok(());
        }
        for id in others {
            let mut found = record.list_keyed_known::<Lean>(&under(keys::DRIVES, &id)).await?;
            found.retain(|found| found.name.is_empty());
            match found.pop() {
                Some(found) => drop(self.nodes.insert(id, Node::new(found.revision, found.value))),
                None => drop(self.nodes.remove(&id)),
            }
        }
        Ok(())
    }

    /// Pure.
    fn both(&self, may: &BTreeSet<&str>) -> Elsewhere {
        let told = self.nodes.values().filter_map(|node| node.drives.as_ref()).flatten();
        let both = told.filter(|(id, _)| may.contains(id.as_str()));
        Elsewhere {
            drives: both.map(|(id, node)| (id.clone(), node.clone())).collect(),
            unclear: self.nodes.values().any(|node| node.drives.is_none()),
        }
    }
}

impl Node {
    fn new(revision: i64, told: Option<Lean>) -> Self {
        let there = |drive: &LeanDrive| drive.state != State::Gone.word();
        let drives =
            |told: Lean| told.drives.into_iter().filter(there).map(|drive| (drive.id, drive.node)).collect();
        Self { revision, drives: told.map(drives) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_that_others_tell_of_are_known_whatever_words_they_have_for_them() {
        let told = r#"{"v":1,"drives":[{"id":"sn-a","node":"node-2","state":"osd-of-later","use":{"by":"magic"}},
            {"id":"sn-b","node":"node-2","state":"gone"},{"id":"sn-c","node":"node-2","state":"spare"}]}"#;
        let lean = serde_json::from_str::<Lean>(told).unwrap();
        let mut others = Others::default();
        others.nodes.insert("n2".into(), Node::new(1, Some(lean)));
        let may = BTreeSet::from(["sn-a", "sn-b", "sn-d"]);
        let want = BTreeMap::from([("sn-a".to_owned(), "node-2".to_owned())]);
        assert_eq!(others.both(&may), Elsewhere { drives: want.clone(), unclear: false });
        others.nodes.insert("n3".into(), Node::new(1, None));
        assert_eq!(others.both(&may), Elsewhere { drives: want, unclear: true });
        others.forget();
        assert_eq!(others.both(&may), Elsewhere::default());
    }
}
