//! Room in the record. etcd forgets old values by itself, every hour; what that frees inside its file goes back to the
//! disk only when the file is written anew, and the voter answers nobody meanwhile. So the leading member has that done
//! by one voter at a time, the one that leads the others last, only while all of them are well, and only where much is
//! gained. When a file has reached its quota and the record refuses writes, old values are forgotten at once.

use std::collections::BTreeSet;

use super::snapshot::{Status, StoreAlarm, parse_alarm};
use super::{Record, RecordError};

/// How much must be free in a file, bytes, before it is written anew; also half of it must be.
const FREE: u64 = 32 << 20;
/// The same while the record refuses writes.
const FREE_WHEN_FULL: u64 = 1 << 20;
/// Most steps of one turn.
const STEPS: usize = 16;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Forget what values were before this revision.
    Compact { revision: i64 },
    /// Have this voter write its file anew.
    Defragment { url: String },
    /// Let writes in again.
    Disarm { id: u64 },
}

/// What a step follows from.
struct Seen<'a> {
    /// How many voters there are.
    voters: usize,
    /// Those that answered, each with where.
    statuses: &'a [(String, Status)],
    quota: u64,
    /// Whether this turn has compacted already.
    compacted: bool,
    /// The voters that wrote their files anew in this turn.
    done: &'a BTreeSet<String>,
}

/// The alarms that the voters tell of. Pure.
pub(crate) fn store_alarms(statuses: &[(String, Status)]) -> BTreeSet<StoreAlarm> {
    statuses.iter().flat_map(|(_, s)| &s.state.errors).filter_map(|e| parse_alarm(e)).collect()
}

/// The next step; `None` where nothing is to be done, or nothing can be done safely. Pure.
fn plan(seen: &Seen<'_>) -> Option<Step> {
    let unwell = |s: &Status| s.leader == 0 || s.state.errors.iter().any(|e| parse_alarm(e).is_none());
    if seen.statuses.len() < seen.voters || seen.statuses.iter().any(|(_, s)| unwell(s)) {
        return None;
    }
    let alarms = store_alarms(seen.statuses);
    if alarms.iter().any(|a| matches!(a, StoreAlarm::Corrupt(_))) {
        return None; // nothing is changed about a record that is not sure of itself
    }
    let full: Vec<_> = alarms
        .iter()
        .filter_map(|a| if let StoreAlarm::NoSpace(id) = a { Some(*id) } else { None })
        .collect();
    if !full.is_empty() && !seen.compacted {
        let revision = seen.statuses.iter().map(|(_, s)| s.revision).max()?;
        return Some(Step::Compact { revision });
    }
    let much = |s: &Status| {
        let free = s.state.size.saturating_sub(s.state.used);
        if full.is_empty() { free >= FREE && free * 2 >= s.state.size } else { free >= FREE_WHEN_FULL }
    };
    let mut wanting: Vec<_> =
        seen.statuses.iter().filter(|(url, s)| much(s) && !seen.done.contains(url)).collect();
    wanting.sort_by_key(|(url, s)| (s.leader == s.id, url.clone()));
    if let Some((url, _)) = wanting.first() {
        return Some(Step::Defragment { url: url.clone() });
    }
    // A little below the quota is not enough: it would be full again at once.
    let room = seen.statuses.iter().all(|(_, s)| s.state.size < seen.quota / 10 * 9);
    full.first().filter(|_| room).map(|id| Step::Disarm { id: *id })
}

/// One turn of the leading member: steps until there are none.
///
/// # Errors
/// [`RecordError`]; the next turn goes on.
pub(crate) async fn turn(record: &Record, voters: usize, quota: u64) -> Result<usize, RecordError> {
    let (mut compacted, mut done) = (false, BTreeSet::new());
    for taken in 0..STEPS {
        let statuses = record.statuses().await;
        let seen = Seen { voters, statuses: &statuses, quota, compacted, done: &done };
        let Some(step) = plan(&seen) else { return Ok(taken) };
        tracing::warn!(?step, "housekeeping of the record");
        match step {
            Step::Compact { revision } => {
                match record.compact(revision).await {
                    // Somebody else did: etcd refuses a revision that is compacted already.
                    Err(RecordError::Refused { message, source }) => {
                        tracing::info!(message, %source, "not compacted");
                    }
                    other => other?,
                }
                compacted = true;
            }
            Step::Defragment { url } => {
                record.defragment(&url).await?;
                done.insert(url);
            }
            Step::Disarm { id } => record.disarm(id).await?,
        }
    }
    Ok(STEPS)
}

#[cfg(test)]
mod tests {
    use maekin_api::record::VoterState;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn voter(n: u64, size: u64, used: u64) -> (String, Status) {
        let state = VoterState { size: size * MIB, used: used * MIB, ..VoterState::default() };
        (format!("u{n}"), Status { id: n, leader: 1, revision: 40 + i64::try_from(n).unwrap(), state })
    }

    fn full((url, mut status): (String, Status)) -> (String, Status) {
        status.state.errors.push("memberID:2 alarm:NOSPACE ".to_owned());
        (url, status)
    }

    #[test]
    fn record_files_are_written_anew_one_at_a_time_and_only_where_it_is_safe() {
        let silent = |(url, s): (String, Status)| (url, Status { leader: 0, ..s });
        let corrupt = |(url, mut s): (String, Status)| {
            s.state.errors.push("memberID:3 alarm:CORRUPT ".to_owned());
            (url, s)
        };
        let defragment = |n: u64| Some(Step::Defragment { url: format!("u{n}") });
        /// Name; voters that answered; compacted; done; step.
        type Row = (&'static str, Vec<(String, Status)>, bool, &'static [&'static str], Option<Step>);
        let three = |size, used| (1..=3).map(|n| voter(n, size, used)).collect::<Vec<_>>();
        let rows: Vec<Row> = vec![
            ("little is free", three(40, 20), false, &[], None),
            ("much is free, and more is used", three(200, 150), false, &[], None),
            ("much is free: not the leader first", three(100, 20), false, &[], defragment(2)),
            ("then the next", three(100, 20), false, &["u2"], defragment(3)),
            ("the leader last", three(100, 20), false, &["u2", "u3"], defragment(1)),
            ("all done", three(100, 20), false, &["u1", "u2", "u3"], None),
            ("one does not answer", three(100, 20)[..2].to_vec(), false, &[], None),
            (
                "one has no leader",
                vec![voter(1, 100, 20), voter(2, 100, 20), silent(voter(3, 100, 20))],
                false,
                &[],
                None,
            ),
            (
                "full",
                three(256, 250).into_iter().map(full).collect(),
                false,
                &[],
                Some(Step::Compact { revision: 43 }),
            ),
            ("full, compacted", three(256, 20).into_iter().map(full).collect(), true, &[], defragment(2)),
            (
                "room again",
                three(30, 30).into_iter().map(full).collect(),
                true,
                &["u1", "u2", "u3"],
                Some(Step::Disarm { id: 2 }),
            ),
            ("full of what is needed", three(256, 256).into_iter().map(full).collect(), true, &[], None),
            (
                "not sure of itself",
                three(256, 20).into_iter().map(full).map(corrupt).collect(),
                false,
                &[],
                None,
            ),
        ];
        for (name, statuses, compacted, done, want) in rows {
            let done = done.iter().map(|url| (*url).to_owned()).collect();
            let seen = Seen { voters: 3, statuses: &statuses, quota: 256 * MIB, compacted, done: &done };
            assert_eq!(plan(&seen), want, "{name}");
        }
    }
}
