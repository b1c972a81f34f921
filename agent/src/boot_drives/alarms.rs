//! Alarms over time: when each was first seen, what came and what went. Pure.

use std::collections::BTreeMap;

use maekin_api::alarm::{Alarm, Severity};

/// Something found to be wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Everything that is wrong now, the worst first.
    pub(crate) alarms: Vec<Alarm>,
    /// Names of alarms that were not there before.
    pub(crate) raised: Vec<String>,
    /// Names of alarms that are gone.
    pub(crate) cleared: Vec<String>,
}

/// Takes in what is found at `now`; `since` keeps when each alarm began.
pub(crate) fn follow(since: &mut BTreeMap<String, u64>, found: Vec<Found>, now: u64) -> Change {
    let mut change = Change::default();
    let gone = |id: &String| !found.iter().any(|f| f.id == *id);
    change.cleared = since.keys().filter(|id| gone(id)).cloned().collect();
    since.retain(|id, _| !gone(id));
    for Found { id, severity, what, remedy } in found {
        let since = *since.entry(id.clone()).or_insert_with(|| {
            change.raised.push(id.clone());
            now
        });
        change.alarms.push(Alarm { id, severity, since, what, remedy });
    }
    change.alarms.sort_by(|a, b| (b.severity, a.since, &a.id).cmp(&(a.severity, b.since, &b.id)));
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, severity: Severity) -> Found {
        Found { id: id.into(), severity, what: "w".into(), remedy: "r".into() }
    }

    #[test]
    fn an_alarm_keeps_its_beginning_for_as_long_as_it_lasts() {
        use Severity::{Critical, Warning};
        let mut since = BTreeMap::new();
        let mut step = |found, now| {
            let change = follow(&mut since, found, now);
            let alarms: Vec<_> = change.alarms.iter().map(|a| (a.id.clone(), a.since)).collect();
            (alarms, change.raised, change.cleared)
        };
        let s = |text: &str| text.to_owned();
        assert_eq!(step(vec![], 1), (vec![], vec![], vec![]));
        assert_eq!(step(vec![found("b", Warning)], 2), (vec![(s("b"), 2)], vec![s("b")], vec![]));
        assert_eq!(
            step(vec![found("b", Warning), found("c", Critical)], 3),
            (vec![(s("c"), 3), (s("b"), 2)], vec![s("c")], vec![])
        );
        assert_eq!(step(vec![found("c", Critical)], 4), (vec![(s("c"), 3)], vec![], vec![s("b")]));
        assert_eq!(
            step(vec![found("b", Warning)], 5),
            (vec![(s("b"), 5)], vec![s("b")], vec![s("c")]),
            "one that comes back begins anew"
        );
    }
}
