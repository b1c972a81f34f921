//! Whether what several clients saw of one value could have happened in one order (Wing and Gong 1993, with the memory
//! of Lowe 2017): each operation takes effect at one moment between its start and its end, and one whose answer was lost
//! at any moment after its start, or never. Pure.

use std::collections::HashSet;

/// What was asked, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It was read, and was this.
    Read(Option<u64>),
    /// It was written.
    Write(u64),
    /// It was written where it was `old`, and was that (`hit`), or was something else.
    Swap {
        /// What it had to be.
        old: Option<u64>,
        /// What it was to become.
        new: u64,
        /// Whether it was.
        hit: bool,
    },
}

/// One operation. Moments are of one clock.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    /// What was asked, and what came of it.
    pub act: Act,
    /// When it was asked.
    pub start: u64,
    /// When the answer came; `None` where it was lost. Reads of that kind say nothing and are left out.
    pub end: Option<u64>,
}

/// The value after an operation; `None` where it cannot have happened to this value.
fn step(act: Act, lost: bool, value: Option<u64>) -> Option<Option<u64>> {
    match act {
        Act::Read(seen) => (seen == value).then_some(value),
        Act::Write(new) => Some(Some(new)),
        Act::Swap { old, new, .. } if lost => Some(if old == value { Some(new) } else { value }),
        Act::Swap { old, new, hit: true } => (old == value).then_some(Some(new)),
        Act::Swap { old, hit: false, .. } => (old != value).then_some(value),
    }
}

/// Whether there is such an order, from a value that was not there.
#[must_use]
pub fn linearizable(ops: &[Op]) -> bool {
    // What was lost and never seen most likely never happened; that is tried first, for it is quick.
    let seen = |value: u64| {
        ops.iter().any(|op| match op.act {
            Act::Read(seen) => seen == Some(value),
            Act::Swap { old, .. } => old == Some(value),
            Act::Write(_) => false,
        })
    };
    let likely = |op: &&Op| match op.act {
        Act::Write(new) | Act::Swap { new, .. } => op.end.is_some() || seen(new),
        Act::Read(_) => true,
    };
    let few: Vec<_> = ops.iter().filter(likely).copied().collect();
    (few.len() < ops.len() && in_order(&few)) || in_order(ops)
}

fn in_order(ops: &[Op]) -> bool {
    let mut done = vec![false; ops.len()];
    search(ops, &mut done, None, &mut HashSet::new())
}

fn search(
    ops: &[Op],
    done: &mut Vec<bool>,
    value: Option<u64>,
    failed: &mut HashSet<(Vec<bool>, Option<u64>)>,
) -> bool {
    let open = |n: &usize| !done[*n];
    let Some(first_end) = (0..ops.len()).filter(open).filter_map(|n| ops[n].end).min() else {
        return true; // only lost ones are left, which may never have happened
    };
    if failed.contains(&(done.clone(), value)) {
        return false;
    }
    let next: Vec<_> = (0..ops.len()).filter(open).filter(|n| ops[*n].start <= first_end).collect();
    for n in next {
        if let Some(after) = step(ops[n].act, ops[n].end.is_none(), value) {
            done[n] = true;
            if search(ops, done, after, failed) {
                return true;
            }
            done[n] = false;
        }
    }
    failed.insert((done.clone(), value));
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_the_checker_knows_what_cannot_have_happened() {
        use Act::{Read, Swap, Write};
        let op = |act, start, end| Op { act, start, end };
        let swap = |old, new, hit| Swap { old, new, hit };
        let rows: Vec<(&str, bool, Vec<Op>)> = vec![
            ("nothing", true, vec![]),
            ("written and read", true, vec![op(Write(1), 0, Some(1)), op(Read(Some(1)), 2, Some(3))]),
            (
                "an acknowledged write is missing",
                false,
                vec![op(Write(1), 0, Some(1)), op(Read(None), 2, Some(3))],
            ),
            ("read while it was written", true, vec![op(Write(1), 0, Some(5)), op(Read(None), 2, Some(3))]),
            (
                "read new, then old",
                false,
                vec![op(Write(1), 0, Some(9)), op(Read(Some(1)), 1, Some(2)), op(Read(None), 3, Some(4))],
            ),
            ("a lost write is seen", true, vec![op(Write(1), 0, None), op(Read(Some(1)), 2, Some(3))]),
            ("a lost write is not seen", true, vec![op(Write(1), 0, None), op(Read(None), 2, Some(3))]),
            (
                "a lost write is seen late",
                true,
                vec![op(Write(1), 0, None), op(Read(None), 2, Some(3)), op(Read(Some(1)), 4, Some(5))],
            ),
            (
                "a lost write comes and goes",
                false,
                vec![op(Write(1), 0, None), op(Read(Some(1)), 2, Some(3)), op(Read(None), 4, Some(5))],
            ),
            (
                "seen before it was written",
                false,
                vec![op(Read(Some(1)), 0, Some(1)), op(Write(1), 2, Some(3))],
            ),
            (
                "two swaps from one value",
                false,
                vec![op(swap(None, 1, true), 0, Some(9)), op(swap(None, 2, true), 0, Some(9))],
            ),
            (
                "one of two swaps from one value",
                true,
                vec![op(swap(None, 1, true), 0, Some(9)), op(swap(None, 2, false), 0, Some(9))],
            ),
            ("a swap that missed for no reason", false, vec![op(swap(None, 1, false), 0, Some(1))]),
            ("a lost swap hit", true, vec![op(swap(None, 1, true), 0, None), op(Read(Some(1)), 2, Some(3))]),
        ];
        for (name, want, ops) in rows {
            assert_eq!(linearizable(&ops), want, "{name}");
        }
    }
}
