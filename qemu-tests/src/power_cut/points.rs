//! At which instants the power is cut, and what is lost there. Pure: the same log, number and seed give the same points.

use std::collections::BTreeSet;

use crate::recorder::log::{Entry, Op};

/// So many bytes that are not durable are many.
const HEAVY: u64 = 64 << 20;

/// What became of a write that no flush had made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Kept,
    /// It is not.
    Lost,
    /// Some of its sectors are there, by this seed.
    Torn(u64),
}

/// What is lost of all that was not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the drives wrote everything at once.
    Nothing,
    /// Everything.
    Everything,
    /// Each write is kept, lost or torn, by this seed.
    Some(u64),
    /// Later writes are there, earlier ones are lost: how many of ten, by this seed.
    Reordered(u64),
}

impl Loss {
    /// The fate of entry `index`.
    #[must_use]
    pub fn fate(self, index: usize) -> Fate {
        let index = index as u64;
        match self {
            Self::Nothing => Fate::Kept,
            Self::Everything => Fate::Lost,
            Self::Some(seed) => match mix(seed, index) % 4 {
                0 | 1 => Fate::Kept,
                2 => Fate::Lost,
                _ => Fate::Torn(mix(seed, index ^ 0xff)),
            },
            Self::Reordered(seed) if mix(seed, index) % 10 < 7 => Fate::Lost,
            Self::Reordered(_) => Fate::Kept,
        }
    }
}

/// A power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// How many entries of the log were done.
    pub done: usize,
    /// What is lost of them.
    pub loss: Loss,
}

/// About `count` points of a log: right before and behind every flush, or as many of them as fit, evenly; behind every
/// one of the writes around the commit, of which nothing may be left out: the last `tail` entries that are not flushes;
/// and the rest spread over all of the log, but thinner where much is not durable. Each instant is tried with different losses.
#[must_use]
pub fn plan(entries: &[Entry], count: usize, tail: usize, seed: u64) -> Vec<Point> {
    let mut instants = BTreeSet::new();
    let boundaries: Vec<usize> =
        (0..entries.len()).filter(|i| entries[*i].op == Op::Flush).flat_map(|i| [i, i + 1]).collect();
    let writes: Vec<usize> = (0..entries.len()).filter(|i| entries[*i].op != Op::Flush).collect();
    instants.extend(writes.iter().rev().take(tail).map(|i| i + 1));
    instants.extend(writes.iter().take(tail).map(|i| i + 1));
    instants.extend(spread(&boundaries, count / 2));
    let mut turn = 0;
    while instants.len() < count.min(entries.len()) {
        turn += 1;
        let n = entries.len() as u64;
        instants.insert(usize::try_from(mix(seed, turn) % (n + 1)).unwrap_or(0));
    }
    // Where much is not durable, every point takes long and is like its neighbours.
    let volatile = volatile(entries);
    let (heavy, light): (Vec<usize>, Vec<usize>) =
        instants.into_iter().partition(|done| volatile.get(*done).is_some_and(|bytes| *bytes > HEAVY));
    let instants: BTreeSet<usize> = light.into_iter().chain(spread(&heavy, count / 20)).collect();
    let loss = |done: usize| match mix(seed, done as u64 | 1 << 40) % 8 {
        0 | 1 => Loss::Nothing,
        2 => Loss::Everything,
        3 | 4 => Loss::Reordered(mix(seed, done as u64)),
        _ => Loss::Some(mix(seed, done as u64)),
    };
    instants.into_iter().map(|done| Point { done, loss: loss(done) }).collect()
}

/// For each instant, how many bytes are not durable.
fn volatile(entries: &[Entry]) -> Vec<u64> {
    let mut drives = [0_u64; 256];
    let mut bytes = vec![0];
    for entry in entries {
        let drive = &mut drives[usize::from(entry.drive)];
        *drive = if entry.op == Op::Flush { 0 } else { *drive + entry.len };
        bytes.push(drives.iter().sum());
    }
    bytes
}

fn spread(all: &[usize], count: usize) -> impl Iterator<Item = usize> + '_ {
    let step = all.len().div_ceil(count.max(1)).max(1);
    all.iter().copied().step_by(step)
}

/// Heads or tails for sector `place` of a torn write.
#[must_use]
pub fn coin(seed: u64, place: u64) -> bool {
    mix(seed, place) & 1 == 0
}

/// Splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[must_use]
pub fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: usize) -> Vec<Entry> {
        let op = |i: usize| if i % 10 == 9 { Op::Flush } else { Op::Write };
        (0..n)
            .map(|i| Entry { drive: 0, op: op(i), offset: 0, len: 512, fua: false, data: 0, at: 0 })
            .collect()
    }

    #[test]
    fn points_are_many_different_sorted_and_the_same_again() {
        let entries = entries(1000);
        let points = plan(&entries, 300, 40, 7);
        assert_eq!(points, plan(&entries, 300, 40, 7));
        assert_ne!(points, plan(&entries, 300, 40, 8));
        assert!(points.len() >= 300 && points.windows(2).all(|w| w[0].done < w[1].done));
        assert!(
            (957..1000).all(|i| i % 10 == 9 || points.iter().any(|p| p.done == i + 1)),
            "the commit, whole"
        );
        let kinds = |wanted: fn(&Loss) -> bool| points.iter().filter(|p| wanted(&p.loss)).count();
        assert!(kinds(|l| *l == Loss::Nothing) > 20 && kinds(|l| *l == Loss::Everything) > 10);
        assert!(
            kinds(|l| matches!(l, Loss::Some(_))) > 50 && kinds(|l| matches!(l, Loss::Reordered(_))) > 30
        );
    }

    #[test]
    fn a_log_shorter_than_wished_is_tried_whole() {
        assert_eq!(plan(&entries(20), 500, 40, 1).last().map(|p| p.done), Some(20));
        assert!(plan(&[], 500, 40, 1).is_empty());
    }

    #[test]
    fn losses_lose_what_they_say() {
        assert!(
            (0..100).all(|i| Loss::Nothing.fate(i) == Fate::Kept && Loss::Everything.fate(i) == Fate::Lost)
        );
        let some: Vec<Fate> = (0..100).map(|i| Loss::Some(3).fate(i)).collect();
        for wanted in
            [|f: &Fate| *f == Fate::Kept, |f: &Fate| *f == Fate::Lost, |f: &Fate| matches!(f, Fate::Torn(_))]
        {
            assert!(some.iter().filter(|f| wanted(f)).count() > 10);
        }
    }
}
