//! What putting the record back would do and what would be lost, or why it must not be done. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::record::backup::plan::Copy;

/// What a plan follows from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// This node is a member.
    pub(crate) member: bool,
    /// The revision that a quorum answered with.
    pub(crate) quorum: Option<i64>,
    /// This node has a voter with data.
    pub(crate) voter: bool,
    /// It is a learner: it copied the record and had no vote.
    pub(crate) learner: bool,
    /// How far that one has come, where it tells.
    pub(crate) applied: Option<i64>,
    /// The copy that a person named, with its revision and age where they are known.
    pub(crate) from: Option<(PathBuf, Option<Copy>)>,
    /// The newest copy on this node.
    pub(crate) newest: Option<(PathBuf, Copy)>,
    /// Where the other voters were.
    pub(crate) others: Vec<String>,
}

/// From what the record is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// This node's own voter: it has everything that reached it.
    Voter,
    /// This node's learner: the same, but it was never counted in a quorum.
    Learner,
    /// A copy.
    Copy { path: PathBuf, copy: Option<Copy> },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voter => f.write_str("this node's own voter"),
            Self::Learner => f.write_str("this node's learner"),
            Self::Copy { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// Why the record is not put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is there.
    #[error(
        "the record is not lost: a quorum of its voters answers (revision {0}); members that are gone are replaced by themselves"
    )]
    Quorum(i64),
    /// This node belongs to no cluster.
    #[error("this node is not a member of a cluster; run this on one that is")]
    NoMember,
    /// There is no learner to promote.
    #[error(
        "this node runs no learner of the record; `maekin-agent record restore` says what it can be put back from here"
    )]
    NoLearner,
    /// There is nothing to put back.
    #[error(
        "this node has no voter and no copy of the record; run this on another member, or name a copy with --from"
    )]
    Nothing,
}

/// What would be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) source: Source,
    /// Where voters were that must not run any more.
    pub(crate) must_not_run: Vec<String>,
    /// What would be lost, for a person.
    pub(crate) lost: String,
}

/// The copy that a path of ours is.
pub(crate) fn copy_of(path: &Path, copies: &[Copy]) -> Option<Copy> {
    let name = path.file_name()?.to_str()?;
    copies.iter().find(|c| c.name() == name).cloned().or_else(|| Copy::parse(name, 0))
}

/// Decides: a quorum that answers is never replaced; what a person names comes first, then this node's own voter, which
/// knows more than any copy, then its newest copy.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn plan_restore(seen: &Seen, now: u64) -> Result<Plan, Refusal> {
    if !seen.member {
        return Err(Refusal::NoMember);
    }
    if let Some(revision) = seen.quorum {
        return Err(Refusal::Quorum(revision));
    }
    let source = match (&seen.from, seen.voter, &seen.newest) {
        (Some((path, copy)), ..) => Source::Copy { path: path.clone(), copy: copy.clone() },
        (None, true, _) if seen.learner => Source::Learner,
        (None, true, _) => Source::Voter,
        (None, false, Some((path, copy))) => Source::Copy { path: path.clone(), copy: Some(copy.clone()) },
        (None, false, None) => return Err(Refusal::Nothing),
    };
    Ok(plan_from(source, seen, now))
}

/// Decides the same for a person who wants this node's learner to go on alone. Pure.
///
/// # Errors
/// [`Refusal`].
pub(crate) fn plan_promotion(seen: &Seen, now: u64) -> Result<Plan, Refusal> {
    if !seen.member {
        return Err(Refusal::NoMember);
    }
    if let Some(revision) = seen.quorum {
        return Err(Refusal::Quorum(revision));
    }
    if !seen.voter || !seen.learner {
        return Err(Refusal::NoLearner);
    }
    Ok(plan_from(Source::Learner, seen, now))
}

fn plan_from(source: Source, seen: &Seen, now: u64) -> Plan {
    let age = |at: u64| crate::cli::record::age_of(now, at);
    let lost = match (&source, seen.applied) {
        (Source::Voter, Some(revision)) => format!(
            "this voter has the record up to revision {revision}; what the others agreed on in the last moment, without it, is lost"
        ),
        (Source::Voter, None) => {
            "what the other voters agreed on in the last moment, without this one, is lost".to_owned()
        }
        (Source::Learner, Some(revision)) => format!(
            "this node's copy goes up to revision {revision}; what the first node said yes to after that is lost"
        ),
        (Source::Learner, None) => {
            "what the first node said yes to in the last moment, before it reached this node, is lost"
                .to_owned()
        }
        (Source::Copy { copy: Some(copy), .. }, _) => {
            format!("everything that changed since revision {}, which is {} old", copy.revision, age(copy.at))
        }
        (Source::Copy { copy: None, .. }, _) => "everything that changed since that copy was made".to_owned(),
    };
    Plan { source, must_not_run: seen.others.clone(), lost }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The record would be put back from {}, with this node as its only voter.", self.source)?;
        writeln!(f, "Lost:          {}", self.lost)?;
        for (n, url) in self.must_not_run.iter().enumerate() {
            let head = if n == 0 { "Must be off:   " } else { "               " };
            writeln!(f, "{head}the voter at {url}")?;
        }
        if self.source == Source::Learner {
            writeln!(
                f,
                "               One that runs, and is only cut off from here, goes on with a record of its own: there would\n               be two, and what is changed in its one is lost when it hears of this one. Switch that node off, or\n               be sure that it is destroyed. When it comes back later, it gives its own up by itself."
            )?;
        } else if !self.must_not_run.is_empty() {
            writeln!(
                f,
                "               Together they would go on with the old record, beside the new one. Switch these nodes off,\n               or be sure that they are lost; they may come back one at a time afterwards."
            )?;
        }
        write!(f, "Kept:          what this node has now, as etcd.before beside it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_it_is_put_back_only_where_it_is_lost_and_from_the_best_there_is() {
        let copy = Copy { at: 1000, revision: 50, size: 1 };
        let path = PathBuf::from("/b/record-1000-50.db");
        let named = PathBuf::from("/stick/record-900-40.db");
        let seen = Seen { member: true, ..Seen::default() };
        let newest = Some((path.clone(), copy.clone()));
        let from = Some((named.clone(), copy_of(&named, &[])));
        let own = Source::Copy { path, copy: Some(copy) };
        let theirs = Source::Copy { path: named, copy: Some(Copy { at: 900, revision: 40, size: 0 }) };
        let rows = [
            ("no member", Seen::default(), Err(Refusal::NoMember)),
            (
                "a quorum answers",
                Seen { quorum: Some(9), voter: true, ..seen.clone() },
                Err(Refusal::Quorum(9)),
            ),
            (
                "a quorum answers, and a copy is named",
                Seen { quorum: Some(9), from: from.clone(), ..seen.clone() },
                Err(Refusal::Quorum(9)),
            ),
            ("nothing there", seen.clone(), Err(Refusal::Nothing)),
            (
                "a voter, and a copy",
                Seen { voter: true, newest: newest.clone(), ..seen.clone() },
                Ok(Source::Voter),
            ),
            (
                "a learner, and a copy",
                Seen { voter: true, learner: true, newest: newest.clone(), ..seen.clone() },
                Ok(Source::Learner),
            ),
            ("a copy", Seen { newest: newest.clone(), ..seen.clone() }, Ok(own)),
            ("a copy is named", Seen { voter: true, newest, from, ..seen }, Ok(theirs)),
        ];
        for (name, seen, want) in rows {
            assert_eq!(plan_restore(&seen, 4600).map(|p| p.source), want, "{name}");
        }
    }

    #[test]
    fn record_only_a_learner_without_a_quorum_is_promoted() {
        let seen = Seen { member: true, voter: true, learner: true, applied: Some(77), ..Seen::default() };
        let rows = [
            ("a learner alone", seen.clone(), Ok(Source::Learner)),
            ("the first node answers", Seen { quorum: Some(80), ..seen.clone() }, Err(Refusal::Quorum(80))),
            ("it votes", Seen { learner: false, ..seen.clone() }, Err(Refusal::NoLearner)),
            ("its data is gone", Seen { voter: false, ..seen.clone() }, Err(Refusal::NoLearner)),
            ("no member", Seen { member: false, ..seen.clone() }, Err(Refusal::NoMember)),
        ];
        for (name, seen, want) in rows {
            assert_eq!(plan_promotion(&seen, 0).map(|p| p.source), want, "{name}");
        }
        let seen = Seen { others: vec!["https://10.77.0.1:2379".into()], ..seen };
        let said = plan_promotion(&seen, 0).unwrap().to_string();
        for want in ["up to revision 77", "is lost", "the voter at https://10.77.0.1:2379", "there would\n"] {
            assert!(said.contains(want), "{want} in:\n{said}");
        }
    }

    #[test]
    fn record_a_person_is_told_what_would_be_lost() {
        let copy = Copy { at: 1000, revision: 50, size: 1 };
        let seen = Seen {
            member: true,
            newest: Some((PathBuf::from("/b/record-1000-50.db"), copy)),
            others: vec!["https://10.77.0.1:2379".into(), "https://10.77.0.2:2379".into()],
            ..Seen::default()
        };
        let said = plan_restore(&seen, 1000 + 3 * 3600).unwrap().to_string();
        for want in
            ["/b/record-1000-50.db", "revision 50, which is 3 h old", "https://10.77.0.2:2379", "Must be off"]
        {
            assert!(said.contains(want), "{want} in:\n{said}");
        }
        let seen = Seen { voter: true, applied: Some(77), ..seen };
        assert!(plan_restore(&seen, 0).unwrap().lost.contains("revision 77"));
    }
}
