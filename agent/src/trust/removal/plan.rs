//! May this member be removed, and what has to go first. Pure.

use std::collections::BTreeSet;
use std::fmt;

use crate::record::values::NodeValue;
use crate::record::voters::Voter;

/// Why a member is not removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is the one that is asked.
    #[error("{name} is the node that you ask; ask another member to remove it: {}", others.join(", "))]
    Itself {
        /// Its name.
        name: String,
        /// Where the others are asked.
        others: Vec<String>,
    },
    /// There is no other.
    #[error(
        "{0} is the last member: without it there is no cluster; install the machine anew to begin another one"
    )]
    Last(String),
    /// The record would be gone.
    #[error(
        "{0} has the only vote of the record: without it the record is gone; add members until there are three, so that \
         others have one too, or restore the record on another member from a backup (docs/cluster.md)"
    )]
    OnlyVoter(String),
    /// The rest of the voters would be no quorum.
    #[error(
        "without {name} the record would have {alive} of {voters} voters alive, and needs {needed}; start the others \
         first, or remove those that are gone for good before it"
    )]
    Quorum {
        /// Its name.
        name: String,
        /// Voters alive without it.
        alive: usize,
        /// Voters without it.
        voters: usize,
        /// How many of them have to be alive.
        needed: usize,
    },
    /// What only it has would be gone.
    #[error(
        "{name} has {volumes} of which nothing is left without it; copy what is needed and delete them (`maekin get volumes`), \
         or have it removed by another member all the same: `maekin delete node {name} --force`, \
         `DELETE /v1/nodes/{name}?force=true`"
    )]
    Volumes {
        /// Its name.
        name: String,
        /// The volumes.
        volumes: Named,
    },
}

/// Most volumes that are named.
const NAMED: usize = 5;

/// Volumes in words: how many, and the names of the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    count: usize,
    first: Vec<String>,
}

impl Named {
    /// These.
    pub(crate) fn of(names: &[String]) -> Self {
        Self { count: names.len(), first: names.iter().take(NAMED).cloned().collect() }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.count == 1 { "" } else { "s" };
        write!(f, "{} volume{s} ({})", self.count, self.first.join(", "))
    }
}

/// What a removal follows from.
pub(super) struct Seen<'a> {
    pub(super) target: &'a NodeValue,
    pub(super) nodes: &'a [NodeValue],
    pub(super) voters: &'a [Voter],
    /// Ids of the members that give signs of life.
    pub(super) alive: &'a BTreeSet<String>,
    /// Who decides.
    pub(super) own_id: &'a str,
    /// Names of the volumes that it has.
    pub(super) volumes: &'a [String],
    /// Whether they may be lost.
    pub(super) forced: bool,
}

/// What has to go before the node does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Its voter, or its learner.
    pub(super) voter: Option<u64>,
}

/// Decides that.
///
/// # Errors
/// [`Refusal`].
pub(super) fn plan_removal(seen: &Seen<'_>) -> Result<Plan, Refusal> {
    let Seen { target, nodes, voters, alive, own_id, volumes, forced } = seen;
    let name = || target.name.clone();
    if nodes.iter().all(|node| node.id == target.id) {
        return Err(Refusal::Last(name()));
    }
    let is_its = |voter: &&Voter| voter.is_of(target);
    let its = voters.iter().find(is_its);
    let rest: Vec<&Voter> = voters.iter().filter(|v| !v.learner && !is_its(v)).collect();
    if rest.is_empty() {
        return Err(Refusal::OnlyVoter(name()));
    }
    if target.id == **own_id {
        let others = nodes.iter().filter(|node| node.id != target.id).map(|node| node.url.clone()).collect();
        return Err(Refusal::Itself { name: name(), others });
    }
    if !volumes.is_empty() && !forced {
        return Err(Refusal::Volumes { name: name(), volumes: Named::of(volumes) });
    }
    let Some(voter) = its else { return Ok(Plan { voter: None }) };
    let lives = |v: &&&Voter| {
        nodes.iter().any(|node| v.is_of(node) && (alive.contains(&node.id) || node.id == **own_id))
    };
    let (living, needed) = (rest.iter().filter(lives).count(), rest.len() / 2 + 1);
    if !voter.learner && living < needed {
        return Err(Refusal::Quorum { name: name(), alive: living, voters: rest.len(), needed });
    }
    Ok(Plan { voter: Some(voter.id) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> NodeValue {
        NodeValue {
            id: id.into(),
            name: format!("node-{id}"),
            peer_url: format!("https://{id}:2380"),
            url: format!("https://{id}:8443"),
            ..NodeValue::default()
        }
    }

    fn seen<'a>(
        target: &'a NodeValue,
        nodes: &'a [NodeValue],
        voters: &'a [Voter],
        alive: &'a BTreeSet<String>,
    ) -> Seen<'a> {
        Seen { target, nodes, voters, alive, own_id: "a", volumes: &[], forced: false }
    }

    #[test]
    fn volumes_keep_the_node_that_has_them_unless_they_may_be_lost() {
        let (nodes, voters) = (["a", "b"].map(node), voters("a", ""));
        let alive: BTreeSet<_> = ["a", "b"].map(String::from).into();
        let names = |count: usize| (0..count).map(|n| format!("db-{n}")).collect::<Vec<_>>();
        let rows = [
            ("none", names(0), false, None),
            ("one", names(1), false, Some("node-b has 1 volume (db-0) of which nothing is left without it")),
            (
                "many",
                names(70),
                false,
                Some("70 volumes (db-0, db-1, db-2, db-3, db-4) of which nothing is left without it"),
            ),
            ("they may be lost", names(70), true, None),
        ];
        for (name, volumes, forced, want) in rows {
            let seen = Seen { volumes: &volumes, forced, ..seen(&nodes[1], &nodes, &voters, &alive) };
            match (plan_removal(&seen), want) {
                (Ok(_), None) => {}
                (Err(e), Some(want)) => {
                    let text = e.to_string();
                    assert!(text.contains(want), "{name}: {text}");
                    assert!(text.contains("maekin delete node node-b --force"), "{name}: {text}");
                }
                (got, want) => panic!("{name}: {got:?}, not {want:?}"),
            }
        }
    }

    fn voters(ids: &str, learner: &str) -> Vec<Voter> {
        let voter = |c: char, learner| Voter {
            id: u64::from(u32::from(c)),
            peer_url: format!("https://{c}:2380"),
            name: if learner { String::new() } else { c.to_string() },
            learner,
        };
        ids.chars().map(|c| voter(c, false)).chain(learner.chars().map(|c| voter(c, true))).collect()
    }

    #[test]
    fn join_a_member_is_removed_only_where_the_record_goes_on() {
        let id = |c: char| Ok(Some(u64::from(u32::from(c))));
        type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str, Result<Option<u64>, &'a str>);
        // Members, voters, learner, alive, target; we are a.
        let rows: [Row<'_>; 12] = [
            ("one without voter", "ab", "a", "", "ab", "b", Ok(None)),
            ("one without voter that is off", "ab", "a", "", "a", "b", Ok(None)),
            ("a learner", "ab", "a", "b", "ab", "b", id('b')),
            ("one of three", "abc", "abc", "", "abc", "c", id('c')),
            ("a dead one of three", "abc", "abc", "", "ab", "c", id('c')),
            (
                "one of three, another is off",
                "abc",
                "abc",
                "",
                "ac",
                "c",
                Err("1 of 2 voters alive, and needs 2"),
            ),
            ("one of five, another is off", "abcde", "abcde", "", "abcd", "d", id('d')),
            (
                "one of five, two are off",
                "abcde",
                "abcde",
                "",
                "abc",
                "c",
                Err("2 of 4 voters alive, and needs 3"),
            ),
            ("the dead one of five goes", "abcde", "abcde", "", "abcd", "e", id('e')),
            ("the only voter", "ab", "b", "", "ab", "b", Err("the only vote")),
            (
                "ourselves",
                "abc",
                "abc",
                "",
                "abc",
                "a",
                Err("ask another member to remove it: https://b:8443"),
            ),
            ("the last member", "a", "a", "", "a", "a", Err("the last member")),
        ];
        for (name, members, votes, learner, alive, target, want) in rows {
            let nodes: Vec<_> = members.chars().map(|c| node(&c.to_string())).collect();
            let (voters, target) = (voters(votes, learner), node(target));
            let alive: BTreeSet<_> = alive.chars().map(String::from).collect();
            let seen = seen(&target, &nodes, &voters, &alive);
            match (plan_removal(&seen), want) {
                (Ok(plan), Ok(want)) => assert_eq!(plan.voter, want, "{name}"),
                (Err(e), Err(want)) => assert!(e.to_string().contains(want), "{name}: {e}"),
                (got, want) => panic!("{name}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn join_a_removal_counts_no_dead_voter_at_a_new_members_address() {
        let nodes = ["a", "b", "c"].map(node);
        let mut voters = voters("abc", "");
        voters[2].name = "c-before".into();
        let alive: BTreeSet<_> = ["a", "b", "c"].map(String::from).into();
        // Target; its voter, or why not. The machine of c was installed anew.
        let rows = [("b", Err("1 of 2 voters alive, and needs 2")), ("c", Ok(None))];
        for (target, want) in rows {
            let target = node(target);
            let seen = seen(&target, &nodes, &voters, &alive);
            match (plan_removal(&seen), want) {
                (Ok(plan), Ok(want)) => assert_eq!(plan.voter, want, "{}", target.id),
                (Err(e), Err(want)) => assert!(e.to_string().contains(want), "{}: {e}", target.id),
                (got, want) => panic!("{}: {got:?}, not {want:?}", target.id),
            }
        }
    }
}
