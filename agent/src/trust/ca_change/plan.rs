//! The next step of a change of the cluster's CA. Pure.

use std::collections::BTreeSet;

use maekin_api::cluster::CaChangePhase;

use super::id_of;
use crate::record::values::{NodeValue, SealValue};
use crate::trust::values::{CaChangeValue, CaPhase};

/// How long members that are away hold a phase up, seconds. One that comes back later is known by its key ([`super::back`]).
pub(crate) const AWAY: u64 = 600;
/// How long installations hold up that the new CA is used, seconds: machines know the old one by then.
pub(crate) const INSTALLING: u64 = 3600;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet, and why.
    Wait(Why),
    /// Say in the record which CA there is: it says nothing yet.
    Publish,
    /// Make another CA, that members trust too.
    Begin,
    /// Members get certificates of it.
    Issue,
    /// The old one is trusted no longer.
    Drop,
    /// That is so everywhere.
    Finish,
    /// The record names a CA that was given up, as after it was put back from a copy from before that: ours is right.
    Adopt,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody was removed since the last change.
    Rest,
    /// The sealing key is changed first.
    Seal,
    /// These members run a release that does not follow.
    Release(Vec<String>),
    /// These members have not followed yet.
    Members(Vec<String>),
    /// Too few voters have followed for the record to go on.
    Voters,
    /// Machines that are being installed know the old CA.
    Installing,
    /// This node does not trust the CA that the record names.
    Stranger,
}

/// What it follows from.
pub(super) struct Seen<'a> {
    /// What the record says.
    pub(super) value: Option<&'a CaChangeValue>,
    pub(super) seal: Option<&'a SealValue>,
    pub(super) nodes: &'a [NodeValue],
    /// Ids of the members that give signs of life.
    pub(super) alive: &'a BTreeSet<String>,
    /// How many members there were that are none any more.
    pub(super) gone: u64,
    /// How often the record was put back.
    pub(super) restored: u64,
    /// The CA that the record says is the cluster's; asked only where there is no `value`.
    pub(super) named: Option<&'a str>,
    /// The CA that signed the certificate of this node; empty where that is not known.
    pub(super) issuer: &'a str,
    /// The key of the next CA opens: it is the one that was made.
    pub(super) next_opens: bool,
    /// Machines that know the old CA are being installed.
    pub(super) installing: bool,
    pub(super) now: u64,
}

impl Seen<'_> {
    fn names(&self, which: impl Fn(&&NodeValue) -> bool) -> Vec<String> {
        self.nodes.iter().filter(which).map(|node| node.name.clone()).collect()
    }

    fn is_there(&self, node: &NodeValue) -> bool {
        self.alive.contains(&node.id)
    }

    /// Whether all have followed that are waited for: those that are there, those that are away for a while, and so many
    /// voters that the record goes on among them.
    fn all(&self, since: u64, follows: impl Fn(&NodeValue) -> bool) -> Result<(), Why> {
        let late = self.now.saturating_sub(since) >= AWAY;
        let lacking = self.names(|node| !follows(node) && (self.is_there(node) || !late));
        if !lacking.is_empty() {
            return Err(Why::Members(lacking));
        }
        let voters = self.nodes.iter().filter(|node| !node.record_url.is_empty());
        let (there, away): (Vec<_>, Vec<_>) = voters.partition(|node| follows(node));
        if there.len() > away.len() { Ok(()) } else { Err(Why::Voters) }
    }
}

/// Whether a member trusts it, its voter included.
fn trusts(node: &NodeValue, ca: &str) -> bool {
    node.cas.iter().any(|id| id == id_of(ca))
}

/// Whether its certificate is of that one.
fn is_of(node: &NodeValue, ca: &str) -> bool {
    node.cas.first().is_some_and(|id| id == id_of(ca))
}

/// Decides.
pub(super) fn plan(seen: &Seen<'_>) -> Step {
    match next(seen) {
        Ok(step) => step,
        Err(why) => Step::Wait(why),
    }
}

fn next(seen: &Seen<'_>) -> Result<Step, Why> {
    if seen.issuer.is_empty() {
        return Err(Why::Stranger);
    }
    let Some(value) = seen.value else {
        // Put back from a copy that is older than the first change, or than releases that have them.
        return match seen.named.filter(|named| *named != seen.issuer) {
            None => Ok(Step::Publish),
            Some(_) if seen.restored > 0 => Ok(Step::Adopt),
            Some(_) => Err(Why::Stranger),
        };
    };
    let (old, new) = (value.old.as_str(), value.new.as_str());
    if seen.issuer != old && seen.issuer != new {
        // Else who has the other one is off, and ours may be one that was given up.
        let put_back = seen.restored > value.restored;
        let good = !value.former.iter().any(|former| former == seen.issuer);
        return if put_back && good { Ok(Step::Adopt) } else { Err(Why::Stranger) };
    }
    match value.phase {
        CaPhase::Rest if seen.gone <= value.covered => Err(Why::Rest),
        CaPhase::Rest => {
            let old_release = seen.names(|node| node.cas.is_empty());
            if !old_release.is_empty() {
                return Err(Why::Release(old_release));
            }
            // The new CA's key is sealed under a key that whoever was removed has not got.
            let settled = |seal: &&SealValue| {
                seal.next.is_empty() && seal.previous.is_empty() && seal.covered >= seen.gone
            };
            seen.seal.filter(settled).map(|_| Step::Begin).ok_or(Why::Seal)
        }
        CaPhase::Trust if !seen.next_opens => Ok(Step::Begin),
        CaPhase::Trust => {
            seen.all(value.since, |node| trusts(node, new))?;
            if seen.installing && seen.now.saturating_sub(value.since) < INSTALLING {
                return Err(Why::Installing);
            }
            Ok(Step::Issue)
        }
        CaPhase::Issue => seen.all(value.since, |node| is_of(node, new)).map(|()| Step::Drop),
        CaPhase::Drop => {
            let lacking = seen.names(|node| seen.is_there(node) && (!is_of(node, new) || node.cas.len() > 1));
            if lacking.is_empty() { Ok(Step::Finish) } else { Err(Why::Members(lacking)) }
        }
    }
}

/// How far it is, as people are told, and which members have not followed yet, whether they are there or not; `None` where
/// nothing is under way, or due. Pure.
pub(super) fn awaited(
    value: &CaChangeValue,
    nodes: &[NodeValue],
    gone: u64,
) -> Option<(CaChangePhase, Vec<String>)> {
    let lacking = |follows: &dyn Fn(&NodeValue) -> bool| {
        nodes.iter().filter(|node| !follows(node)).map(|node| node.name.clone()).collect()
    };
    let new = value.new.as_str();
    match value.phase {
        CaPhase::Rest if gone <= value.covered => None,
        CaPhase::Rest => Some((CaChangePhase::Due, lacking(&|node| !node.cas.is_empty()))),
        CaPhase::Trust => Some((CaChangePhase::Trust, lacking(&|node| trusts(node, new)))),
        CaPhase::Issue => Some((CaChangePhase::Issue, lacking(&|node| is_of(node, new)))),
        CaPhase::Drop => {
            Some((CaChangePhase::Drop, lacking(&|node| is_of(node, new) && node.cas.len() == 1)))
        }
    }
}

/// Whether a machine knows the old CA from its answers, and is to join with it. Pure.
pub(super) fn is_installing(tickets: &[crate::record::values::TicketValue], now: u64) -> bool {
    use maekin_api::install::Progress::{Installed, Installing};
    tickets.iter().any(|ticket| {
        matches!(ticket.progress, Installing { .. } | Installed)
            && now.saturating_sub(ticket.updated_at) < INSTALLING
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::values::TicketValue;

    fn ca(c: char) -> String {
        c.to_string().repeat(64)
    }

    /// Members `a`, `b`, ...: which CAs each trusts, one digit each, the one of its certificate first, `-` where it says
    /// nothing; with a letter behind: it votes.
    fn nodes(text: &str) -> Vec<NodeValue> {
        let node = |(n, cas): (usize, &str)| {
            let id = char::from(b'a' + u8::try_from(n).unwrap()).to_string();
            NodeValue {
                name: format!("node-{id}"),
                id,
                record_url: if cas.ends_with('V') { "https://v".to_owned() } else { String::new() },
                cas: cas.chars().filter(char::is_ascii_digit).map(|c| id_of(&ca(c)).to_owned()).collect(),
                ..NodeValue::default()
            }
        };
        text.split(' ').enumerate().map(node).collect()
    }

    fn members(ids: &str) -> Step {
        Step::Wait(Why::Members(ids.chars().map(|c| format!("node-{c}")).collect()))
    }

    #[test]
    fn join_the_ca_is_changed_one_step_at_a_time() {
        use CaPhase::{Drop, Issue, Rest, Trust};
        let wait = Step::Wait;
        let release = || wait(Why::Release(vec!["node-c".to_owned()]));
        // Name; phase, old and new; members' CAs; alive; gone, covered; age; step. We are a.
        type Row<'a> = (&'a str, (CaPhase, &'a str), &'a str, &'a str, (u64, u64), u64, Step);
        let rows: [Row<'_>; 29] = [
            ("nobody was removed", (Rest, " 1"), "1V 1V 1V", "abc", (0, 0), 99, wait(Why::Rest)),
            ("somebody was", (Rest, " 1"), "1V 1V 1V", "abc", (1, 0), 0, Step::Begin),
            (
                "one that is off has to follow too, later",
                (Rest, " 1"),
                "1V 1V 1V",
                "ab",
                (1, 0),
                0,
                Step::Begin,
            ),
            ("one of an earlier release", (Rest, " 1"), "1V 1V -V", "abc", (1, 0), 0, release()),
            ("it is off", (Rest, " 1"), "1V 1V -V", "ab", (1, 0), 9999, release()),
            ("alone after the second was removed", (Rest, " 1"), "1V", "a", (1, 0), 0, Step::Begin),
            ("the sealing key is behind", (Rest, " 1"), "1V 1V 1V", "abc", (9, 0), 0, wait(Why::Seal)),
            ("one does not trust it yet", (Trust, "12"), "12V 1V 12V", "abc", (1, 1), 9999, members("b")),
            ("one is off", (Trust, "12"), "12V 1V 12V", "ac", (1, 1), AWAY - 1, members("b")),
            ("one is off for long", (Trust, "12"), "12V 1V 12V", "ac", (1, 1), AWAY, Step::Issue),
            ("all do", (Trust, "12"), "12V 12V 12V", "abc", (1, 1), 0, Step::Issue),
            ("alone", (Trust, "12"), "12V", "a", (1, 1), 0, Step::Issue),
            ("alone, not yet", (Trust, "12"), "1V", "a", (1, 1), 9999, members("a")),
            ("a learner does not yet", (Trust, "12"), "12V 1", "ab", (1, 1), 9999, members("b")),
            ("two voters are off for long", (Trust, "12"), "12V 1V 1V", "a", (1, 1), 9999, wait(Why::Voters)),
            ("one of two is off for long", (Trust, "12"), "12V 1V", "a", (1, 1), 9999, wait(Why::Voters)),
            (
                "a new one of an earlier release",
                (Trust, "12"),
                "12V 12V -",
                "abc",
                (1, 1),
                9999,
                members("c"),
            ),
            (
                "two have no certificate of it",
                (Issue, "12"),
                "21V 12V 12V",
                "abc",
                (1, 1),
                9999,
                members("bc"),
            ),
            ("one is off", (Issue, "12"), "21V 12V 21V", "ac", (1, 1), AWAY - 1, members("b")),
            ("for long", (Issue, "12"), "21V 12V 21V", "ac", (1, 1), AWAY, Step::Drop),
            ("it does not know it at all", (Issue, "12"), "21V 1V 21V", "ac", (1, 1), AWAY, Step::Drop),
            ("all have", (Issue, "12"), "21V 21V 21V", "abc", (1, 1), 0, Step::Drop),
            ("two voters are off", (Issue, "12"), "21V 12V 12V", "a", (1, 1), 9999, wait(Why::Voters)),
            ("another one was removed meanwhile", (Issue, "12"), "21V 21V", "ab", (2, 1), 0, Step::Drop),
            ("one trusts the old one still", (Drop, "12"), "2V 21V 2V", "abc", (1, 1), 9999, members("b")),
            ("it is off", (Drop, "12"), "2V 21V 2V", "ac", (1, 1), 0, Step::Finish),
            ("all do not", (Drop, "12"), "2V 2V 2V", "abc", (1, 1), 0, Step::Finish),
            ("that was followed", (Rest, " 2"), "2V 2V 2V", "abc", (1, 1), 0, wait(Why::Rest)),
            ("then it is changed again", (Rest, " 2"), "2V 2V", "ab", (2, 1), 0, Step::Begin),
        ];
        for (name, (phase, cas), text, alive, (gone, covered), age, want) in rows {
            let named = |n| cas.chars().nth(n).filter(|c| *c != ' ').map(ca).unwrap_or_default();
            let value = CaChangeValue {
                phase,
                old: named(0),
                new: named(1),
                covered,
                since: 1000,
                ..CaChangeValue::default()
            };
            let seal = SealValue { covered: 2, ..SealValue::default() };
            let issuer = text.chars().next().map(ca).unwrap();
            let seen = Seen {
                value: Some(&value),
                seal: Some(&seal),
                nodes: &nodes(text),
                alive: &alive.chars().map(String::from).collect(),
                gone,
                restored: 0,
                named: None,
                issuer: &issuer,
                next_opens: true,
                installing: false,
                now: 1000 + age,
            };
            assert_eq!(plan(&seen), want, "{name}");
        }
    }

    #[test]
    fn join_a_change_of_the_ca_knows_what_is_not_as_it_should_be() {
        let value = CaChangeValue {
            phase: CaPhase::Trust,
            old: ca('1'),
            new: ca('2'),
            since: 1000,
            former: vec![ca('7')],
            ..CaChangeValue::default()
        };
        let (nodes, alive) = (nodes("12V 12V"), ["a", "b"].map(String::from).into());
        let busy = SealValue { next: "x".into(), covered: 1, ..SealValue::default() };
        let seen = |issuer| Seen {
            value: Some(&value),
            seal: Some(&busy),
            nodes: &nodes,
            alive: &alive,
            gone: 1,
            restored: 0,
            named: None,
            issuer,
            next_opens: true,
            installing: false,
            now: 1000,
        };
        let (one, seven, nine) = (ca('1'), ca('7'), ca('9'));
        let rest = CaChangeValue { phase: CaPhase::Rest, new: ca('1'), ..CaChangeValue::default() };
        let rows = [
            ("as it should be", seen(&one), Step::Issue),
            ("the record says nothing", Seen { value: None, ..seen(&one) }, Step::Publish),
            ("and names our CA", Seen { value: None, named: Some(&one), ..seen(&one) }, Step::Publish),
            (
                "and another one than ours",
                Seen { value: None, named: Some(&nine), ..seen(&one) },
                Step::Wait(Why::Stranger),
            ),
            (
                "since it was put back from before the first change",
                Seen { value: None, named: Some(&nine), restored: 1, ..seen(&one) },
                Step::Adopt,
            ),
            ("we have no certificate", Seen { value: None, ..seen("") }, Step::Wait(Why::Stranger)),
            ("its key was lost", Seen { next_opens: false, ..seen(&one) }, Step::Begin),
            ("machines are installed", Seen { installing: true, ..seen(&one) }, Step::Wait(Why::Installing)),
            ("for long", Seen { installing: true, now: 1000 + INSTALLING, ..seen(&one) }, Step::Issue),
            ("ours is another one", seen(&nine), Step::Wait(Why::Stranger)),
            ("and the record was put back", Seen { restored: 1, ..seen(&nine) }, Step::Adopt),
            ("ours was given up", Seen { restored: 1, ..seen(&seven) }, Step::Wait(Why::Stranger)),
            ("sealed anew at the moment", Seen { value: Some(&rest), ..seen(&one) }, Step::Wait(Why::Seal)),
            ("no sealing key", Seen { value: Some(&rest), seal: None, ..seen(&one) }, Step::Wait(Why::Seal)),
        ];
        for (name, seen, want) in rows {
            assert_eq!(plan(&seen), want, "{name}");
        }
        assert_eq!((value.pin(), value.trusted().len()), (one.as_str(), 2));
        let mut value = value;
        for n in 0..100 {
            value = CaChangeValue { old: n.to_string(), ..value }.given_up();
        }
        assert!(value.old.is_empty() && value.former.len() == 32 && value.former[31] == "99");
        assert_eq!((value.pin(), value.trusted()), (value.new.as_str(), vec![value.new.as_str()]));
    }

    #[test]
    fn join_people_are_told_whom_a_change_of_the_ca_waits_for() {
        use CaPhase::{Drop, Issue, Rest, Trust};
        let rows = [
            ("nothing is due", Rest, 0, "2 2", None),
            ("due", Rest, 1, "2 2", Some((CaChangePhase::Due, vec![]))),
            ("due, and held up", Rest, 1, "2 -", Some((CaChangePhase::Due, vec!["node-b"]))),
            ("trust", Trust, 1, "12 1", Some((CaChangePhase::Trust, vec!["node-b"]))),
            ("issue", Issue, 1, "21 12", Some((CaChangePhase::Issue, vec!["node-b"]))),
            ("drop", Drop, 1, "2 21", Some((CaChangePhase::Drop, vec!["node-b"]))),
        ];
        for (name, phase, gone, text, want) in rows {
            let value = CaChangeValue { phase, old: ca('1'), new: ca('2'), ..CaChangeValue::default() };
            let got = awaited(&value, &nodes(text), gone);
            let got = got.as_ref().map(|(phase, names)| (*phase, names.iter().map(String::as_str).collect()));
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn join_machines_that_know_the_old_ca_are_waited_for() {
        use maekin_api::install::Progress;
        let installing = Progress::Installing { step: String::new(), percent: 1 };
        let rows = [
            ("it may still ask what is so then", Progress::Booting, 0, false),
            ("it has asked", installing.clone(), INSTALLING - 1, true),
            ("long ago", installing, INSTALLING, false),
            ("it starts for the first time", Progress::Installed, 0, true),
            ("it has joined", Progress::Joined, 0, false),
            ("it failed", Progress::Failed { reason: String::new() }, 0, false),
        ];
        for (name, progress, age, want) in rows {
            let ticket = TicketValue { progress, updated_at: 1000, ..TicketValue::default() };
            assert_eq!(is_installing(&[ticket], 1000 + age), want, "{name}");
        }
        assert!(!is_installing(&[], 0));
    }
}
