//! Names of copies, and which of them are kept. Pure.

use std::collections::BTreeSet;

/// Copies kept of different hours, and of different days.
const HOURS: usize = 24;
const DAYS: usize = 7;
/// Most bytes of all of them; the newest is kept whatever it takes.
const BYTES: u64 = 1 << 30;

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Copy {
    /// When it was made.
    pub(crate) at: u64,
    /// The record's revision then, or a little later.
    pub(crate) revision: i64,
    /// Bytes.
    pub(crate) size: u64,
}

impl Copy {
    /// Name of its file.
    pub(crate) fn name(&self) -> String {
        format!("record-{}-{}.db", self.at, self.revision)
    }

    /// The copy that a file of this name is; `None` for any other file.
    pub(crate) fn parse(name: &str, size: u64) -> Option<Self> {
        let (at, revision) = name.strip_prefix("record-")?.strip_suffix(".db")?.split_once('-')?;
        let copy = Self { at: at.parse().ok()?, revision: revision.parse().ok()?, size };
        (copy.revision >= 0 && copy.name() == name).then_some(copy)
    }
}

/// Which of `copies`, the newest first, are dropped: kept is the newest of each of the last hours and days that have
/// one, for as long as they fit. What the clock says now does not matter, so one that jumped drops nothing.
pub(crate) fn plan_thin(copies: &[Copy]) -> Vec<Copy> {
    let (mut hours, mut days, mut bytes) = (BTreeSet::new(), BTreeSet::new(), 0_u64);
    let mut doomed = Vec::new();
    for (n, copy) in copies.iter().enumerate() {
        let hour = hours.len() < HOURS && hours.insert(copy.at / 3600);
        let day = days.len() < DAYS && days.insert(copy.at / 86_400);
        let total = bytes.saturating_add(copy.size);
        if n == 0 || ((hour || day) && total <= BYTES) {
            bytes = total;
        } else {
            doomed.push(copy.clone());
        }
    }
    doomed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u64 = 3600;

    fn copy(at: u64, size: u64) -> Copy {
        Copy { at, revision: 1, size }
    }

    #[test]
    fn record_a_day_of_hours_and_a_week_of_days_are_kept() {
        // Two copies an hour for ten days, in the order in which they would be listed.
        let start = 20_000 * 86_400;
        let all: Vec<_> = (0..480).rev().map(|n| copy(start + n * HOUR / 2, 1 << 20)).collect();
        let doomed = plan_thin(&all);
        let kept: Vec<_> = all.iter().filter(|c| !doomed.contains(c)).collect();
        assert_eq!(
            kept.len(),
            HOURS + DAYS - 1,
            "today's newest is both; yesterday's too where the day is young"
        );
        assert_eq!(kept[0], &all[0]);
        assert!(kept.iter().all(|c| c.at % HOUR == HOUR / 2), "the newest of each hour");
        assert_eq!(kept.last().unwrap().at / 86_400, start / 86_400 + 3, "the last of seven days");
        let rest: Vec<_> = kept.into_iter().cloned().collect();
        assert_eq!(plan_thin(&rest), [], "what is kept stays kept");
    }

    #[test]
    fn record_copies_stay_within_their_bytes() {
        let rows: [(&str, &[u64], usize); 4] = [
            ("one that is too large is kept alone", &[2 << 30, 1], 1),
            ("until it is full", &[400 << 20, 400 << 20, 400 << 20], 2),
            ("smaller ones behind it still fit", &[400 << 20, 700 << 20, 400 << 20], 2),
            ("all of them", &[1, 2, 3], 3),
        ];
        for (name, sizes, want) in rows {
            let all: Vec<_> =
                sizes.iter().enumerate().map(|(n, size)| copy((99 - n as u64) * HOUR, *size)).collect();
            assert_eq!(all.len() - plan_thin(&all).len(), want, "{name}");
        }
    }

    #[test]
    fn record_only_our_own_names_are_copies() {
        let rows = [
            ("record-5-7.db", Some(Copy { at: 5, revision: 7, size: 9 })),
            ("record-5-7.db.part", None),
            (".record-5-7.db.1.part", None),
            ("record-05-7.db", None),
            ("record-5--7.db", None),
            ("record-5-+7.db", None),
            ("record-5.db", None),
            ("checked.json", None),
            ("record-99999999999999999999999-1.db", None),
        ];
        for (name, want) in rows {
            assert_eq!(Copy::parse(name, 9), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn record_thinning_keeps_the_newest_and_is_done_at_once(
            mut all in proptest::collection::vec((0..30 * 86_400_u64, 0..1_u64 << 29), 1..80)
        ) {
            all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let all: Vec<_> = all.into_iter().map(|(at, size)| copy(at, size)).collect();
            let doomed = plan_thin(&all);
            prop_assert!(!doomed.contains(&all[0]) || all.iter().filter(|c| **c == all[0]).count() > 1);
            let kept = all.len() - doomed.len();
            prop_assert!((1..=HOURS + DAYS).contains(&kept));
        }
    }
}
