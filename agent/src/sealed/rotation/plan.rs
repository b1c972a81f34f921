//! The next step of a change of the sealing key. Pure.

use std::collections::BTreeSet;

use super::super::id_of;
use crate::record::values::{NodeValue, SealValue};

/// How long a key is in use before the one before it is forgotten, seconds: gossip takes it up within a few.
pub(crate) const SETTLE: u64 = 30;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing to do, or others have to do something first.
    Wait,
    /// Say in the record which key there is: it says nothing yet.
    Publish,
    /// Make another key.
    Begin,
    /// The other key comes into use.
    Switch,
    /// Seal anew, and where nothing is left and `forget` is set, give the old key up.
    Reseal { forget: bool },
    /// The record names a key that nobody has, as after it was put back from a copy that is older than the last change:
    /// ours is in use.
    Adopt,
}

/// What it follows from.
pub(super) struct Seen<'a> {
    /// What the record says.
    pub(super) value: Option<&'a SealValue>,
    pub(super) nodes: &'a [NodeValue],
    /// Ids of the members that give signs of life.
    pub(super) alive: &'a BTreeSet<String>,
    /// How many members there were that are none any more.
    pub(super) gone: u64,
    /// How often the record was put back.
    pub(super) restored: u64,
    /// Digests of the keys that this node has, the one in use first.
    pub(super) held: &'a [String],
    pub(super) now: u64,
}

impl Seen<'_> {
    fn holds(&self, digest: &str) -> bool {
        self.held.iter().any(|held| held == digest)
    }

    fn has(node: &NodeValue, digest: &str) -> bool {
        node.seals.iter().any(|id| id == id_of(digest))
    }

    fn there(&self) -> impl Iterator<Item = &NodeValue> {
        self.nodes.iter().filter(|node| self.alive.contains(&node.id))
    }
}

/// Decides.
pub(super) fn plan(seen: &Seen<'_>) -> Step {
    let Some(value) = seen.value else {
        return if seen.held.is_empty() { Step::Wait } else { Step::Publish };
    };
    let somebody = |digest: &str| seen.holds(digest) || seen.there().any(|node| Seen::has(node, digest));
    if !somebody(&value.current) {
        // Members of earlier releases have it and do not say so.
        let all_say = seen.nodes.iter().all(|node| !node.seals.is_empty());
        // Else who has it is off, and what we have may be a removed member's too.
        let put_back = seen.restored > value.restored;
        let good = seen.held.first().is_some_and(|held| !value.former.contains(held));
        return if all_say && put_back && good { Step::Adopt } else { Step::Wait };
    }
    if !seen.holds(&value.current) {
        return Step::Wait; // it is asked for
    }
    if !value.previous.is_empty() {
        if !seen.holds(&value.previous) && seen.there().any(|node| Seen::has(node, &value.previous)) {
            return Step::Wait; // it is asked for: we open nothing that is sealed under it
        }
        let used =
            seen.there().all(|node| node.seals.first().map(String::as_str) == Some(id_of(&value.current)));
        let forget = used && seen.now.saturating_sub(value.since) >= SETTLE;
        return Step::Reseal { forget };
    }
    if value.next.is_empty() {
        // One of an earlier release would not follow.
        let all_follow = seen.nodes.iter().all(|node| !node.seals.is_empty());
        return if seen.gone > value.covered && all_follow { Step::Begin } else { Step::Wait };
    }
    if !somebody(&value.next) {
        return Step::Begin; // who made it is gone, and nothing is sealed under it
    }
    // Whoever survives must have it: all that are there, and so many voters that any quorum has one of them.
    let voters: Vec<_> = seen.nodes.iter().filter(|node| !node.record_url.is_empty()).collect();
    let having = voters.iter().filter(|node| Seen::has(node, &value.next)).count();
    let all = seen.there().all(|node| Seen::has(node, &value.next));
    if seen.holds(&value.next) && all && having > voters.len() / 2 { Step::Switch } else { Step::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A digest that begins like that.
    fn digest(c: char) -> String {
        c.to_string().repeat(64)
    }

    /// Members `a`, `b`, ...: which keys each has, one letter a key, `-` where it says nothing; in capital: it votes.
    fn nodes(text: &str) -> Vec<NodeValue> {
        let node = |(n, keys): (usize, &str)| {
            let small = keys.to_lowercase();
            NodeValue {
                id: char::from(b'a' + u8::try_from(n).unwrap()).to_string(),
                record_url: if small == keys { String::new() } else { "https://v".to_owned() },
                seals: small.chars().filter(char::is_ascii_digit).map(|c| c.to_string().repeat(8)).collect(),
                ..NodeValue::default()
            }
        };
        text.split(' ').enumerate().map(node).collect()
    }

    #[test]
    fn record_the_sealing_key_is_changed_one_step_at_a_time() {
        let key = |text: &str| text.chars().next().map(digest).unwrap_or_default();
        // Name; current, next, previous; members' keys; alive; gone, covered; keys of ours; age; step.
        type Row<'a> = (&'a str, [&'a str; 3], &'a str, &'a str, (u64, u64), &'a str, u64, Step);
        let rows: [Row<'_>; 22] = [
            ("nobody was removed", ["1", "", ""], "1A 1A 1A", "abc", (0, 0), "1", 99, Step::Wait),
            ("somebody was", ["1", "", ""], "1A 1A 1A", "abc", (1, 0), "1", 0, Step::Begin),
            ("that was followed", ["1", "", ""], "1A 1A 1A", "abc", (1, 1), "1", 99, Step::Wait),
            ("one of an earlier release", ["1", "", ""], "1A 1A -", "abc", (1, 0), "1", 0, Step::Wait),
            ("we have not got it", ["1", "", ""], "1A 2A 1A", "abc", (1, 0), "2", 0, Step::Wait),
            ("one has not got the next", ["1", "2", ""], "12A 1A 12A", "abc", (1, 1), "12", 0, Step::Wait),
            ("all have", ["1", "2", ""], "12A 12A 12A", "abc", (1, 1), "12", 0, Step::Switch),
            ("one is off", ["1", "2", ""], "12A 1A 12A", "ac", (1, 1), "12", 0, Step::Switch),
            ("two voters are off", ["1", "2", ""], "12A 1A 1A", "a", (1, 1), "12", 0, Step::Wait),
            ("one without a voter is off", ["1", "2", ""], "12A 1 1", "a", (1, 1), "12", 0, Step::Switch),
            ("the one that made it is gone", ["1", "2", ""], "12A 1A 1A", "bc", (1, 1), "1", 0, Step::Begin),
            ("it is, another has it", ["1", "2", ""], "12A 12A 1A", "bc", (1, 1), "1", 0, Step::Wait),
            (
                "in use for a moment",
                ["2", "", "1"],
                "21A 21A 21A",
                "abc",
                (1, 1),
                "21",
                9,
                Step::Reseal { forget: false },
            ),
            (
                "one does not use it yet",
                ["2", "", "1"],
                "21A 12A 21A",
                "abc",
                (1, 1),
                "21",
                99,
                Step::Reseal { forget: false },
            ),
            (
                "all use it",
                ["2", "", "1"],
                "21A 21A 21A",
                "abc",
                (1, 1),
                "21",
                99,
                Step::Reseal { forget: true },
            ),
            (
                "one that is off does not",
                ["2", "", "1"],
                "21A 1A 21A",
                "ac",
                (1, 1),
                "21",
                99,
                Step::Reseal { forget: true },
            ),
            (
                "another one is removed meanwhile",
                ["2", "", "1"],
                "21A 21A",
                "ab",
                (2, 1),
                "21",
                9,
                Step::Reseal { forget: false },
            ),
            (
                "we lack the old one, another has it",
                ["2", "", "1"],
                "2A 21A",
                "ab",
                (1, 1),
                "2",
                99,
                Step::Wait,
            ),
            (
                "nobody has the old one",
                ["2", "", "1"],
                "2A 2A",
                "ab",
                (1, 1),
                "2",
                99,
                Step::Reseal { forget: true },
            ),
            ("then it is changed again", ["2", "", ""], "2A 2A", "ab", (2, 1), "2", 9, Step::Begin),
            ("nobody has what is named", ["1", "", ""], "2A 2A", "ab", (1, 1), "2", 9, Step::Adopt),
            ("one may have it and not say so", ["1", "", ""], "2A -A", "ab", (1, 1), "2", 9, Step::Wait),
        ];
        for (name, [current, next, previous], members, alive, (gone, covered), held, age, want) in rows {
            let value = SealValue {
                current: key(current),
                next: key(next),
                previous: key(previous),
                covered,
                since: 1000,
                ..SealValue::default()
            };
            let seen = Seen {
                value: Some(&value),
                nodes: &nodes(members),
                alive: &alive.chars().map(String::from).collect(),
                gone,
                restored: 1,
                held: &held.chars().map(digest).collect::<Vec<_>>(),
                now: 1000 + age,
            };
            assert_eq!(plan(&seen), want, "{name}");
        }
        let none = BTreeSet::new();
        let held = [digest('1')];
        let seen = Seen { value: None, nodes: &[], alive: &none, gone: 0, restored: 0, held: &held, now: 0 };
        assert_eq!(plan(&seen), Step::Publish, "the record says nothing yet");
        assert_eq!(plan(&Seen { held: &[], ..seen }), Step::Wait, "we have none");
    }

    #[test]
    fn record_a_sealing_key_that_was_given_up_stays_so() {
        // Name; given up; how often the record was put back, then and now; step. Who has the key in use is off.
        let rows = [
            ("the record was not put back", "", 0, 0, Step::Wait),
            ("it was before that", "", 1, 1, Step::Wait),
            ("it was since", "", 0, 1, Step::Adopt),
            ("it was since, and ours was given up before", "1", 0, 1, Step::Wait),
        ];
        for (name, former, then, now, want) in rows {
            let former = former.chars().map(digest).collect();
            let value = SealValue { current: digest('2'), former, restored: then, ..SealValue::default() };
            let seen = Seen {
                value: Some(&value),
                nodes: &nodes("2A 2A 1A"),
                alive: &["c".to_owned()].into(),
                gone: 1,
                restored: now,
                held: &[digest('1')],
                now: 99,
            };
            assert_eq!(plan(&seen), want, "{name}");
        }
        let mut value = SealValue::default();
        for n in 0..100 {
            value = SealValue { previous: n.to_string(), ..value }.given_up();
        }
        assert!(value.previous.is_empty() && value.former.len() == 32 && value.former[31] == "99");
    }
}
