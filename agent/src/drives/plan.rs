//! What becomes of a drive: from what was seen of it, what the policy says and what people want of it. It is given to
//! storage only where nothing is on it, or somebody consented to the loss of exactly what is on it. Pure.

use maekin_api::drives::{DrivePolicy, State, Usage, Verdict};

use super::attached::Attached;
use super::health;
use super::observe::Seen;
use super::values::WishValue;

/// Smallest drive that storage has a use for, bytes.
pub(crate) const LEAST: u64 = 8 << 30;

/// How the boot drives of the node are: they come before storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// One of two is missing: a blank drive may be meant for its place.
    pub(crate) lacks: bool,
    /// A drive is being made one.
    pub(crate) healing: bool,
    /// Whether the node cannot do without its boot drive 1 or 2, as things are.
    pub(crate) needed: [bool; 2],
    /// Whether its boot drive 1 or 2 was retired, or may have been.
    pub(crate) retired: [bool; 2],
}

impl Boot {
    /// Whether the node cannot do without the drive that is used so.
    fn needs(self, usage: &Usage) -> bool {
        place(usage).and_then(|at| self.needed.get(at).copied()).unwrap_or(false)
    }

    /// Whether the other boot drive than the one that is used so was retired: it still has everything, but goes.
    fn loses_other(self, usage: &Usage) -> bool {
        place(usage).is_some_and(|at| (0..).zip(self.retired).any(|(other, retired)| other != at && retired))
    }
}

/// In which place (0 or 1) a boot drive is; `None`: it is none.
fn place(usage: &Usage) -> Option<usize> {
    let Usage::BootMirror { number } = usage else { return None };
    usize::from(*number).checked_sub(1)
}

/// What is decided by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) seen: &'a Seen,
    /// Who uses it, by the word of [`super::users`].
    pub(crate) used: Option<&'a Usage>,
    pub(crate) policy: DrivePolicy,
    /// What people want of it, on this node.
    pub(crate) wish: Option<&'a WishValue>,
    /// They want something of it that this release does not understand.
    pub(crate) unclear: bool,
    pub(crate) boot: Boot,
    /// Another node that tells of the same drive.
    pub(crate) elsewhere: Option<&'a str>,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) state: State,
    pub(crate) usage: Usage,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

impl Decision {
    fn new(state: State, usage: Usage, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { state, usage, why: why.into(), remedy: remedy.into() }
    }
}

/// Decides.
pub(crate) fn decide(case: &Case<'_>) -> Decision {
    used(case).or_else(|| retired(case, &idle(case))).unwrap_or_else(|| unused(case))
}

/// One that is used, whatever else is so of it.
fn used(case: &Case<'_>) -> Option<Decision> {
    let usage = case.used?;
    if let Some(decision) = retired(case, usage) {
        return Some(decision);
    }
    let words = usage.words();
    Some(match failing(case.seen) {
        Some(why) => Decision::new(
            State::Failing,
            usage.clone(),
            format!("{why}; it is used as {words}"),
            "have a replacement at hand; `maekin drive retire` says whether it can be done without",
        ),
        None => Decision::new(State::InUse, usage.clone(), format!("used as {words}"), ""),
    })
}

/// One that somebody wants emptied.
fn retired(case: &Case<'_>, usage: &Usage) -> Option<Decision> {
    let retire = case.wish?.retire.as_ref()?;
    Some(if retire.done > 0 && case.boot.needs(usage) {
        // It could go when it was retired; the other one has failed since.
        let why =
            format!("{} had it retired, and now the other boot drive does not have everything", retire.by);
        Decision::new(State::Retiring, usage.clone(), why, "do not pull it; see `maekin get boot-drives`")
    } else if retire.done > 0 && case.boot.loses_other(usage) {
        let why = format!("{} had it retired, and the other boot drive was retired, too", retire.by);
        let remedy = "pull neither of them; `maekin drive take` keeps one, and then the other may be pulled";
        Decision::new(State::Retiring, usage.clone(), why, remedy)
    } else if retire.done > 0 {
        let why = format!("{} had it retired; nothing is lost when it is pulled", retire.by);
        Decision::new(State::Retired, usage.clone(), why, "pull it; `maekin drive locate` lets its bay blink")
    } else {
        let why = format!("{} wants it retired", retire.by);
        let remedy = "`maekin get tasks` says how far it is; `maekin drive take` takes it back";
        Decision::new(State::Retiring, usage.clone(), why, remedy)
    })
}

/// One that nobody uses.
fn unused(case: &Case<'_>) -> Decision {
    let seen = case.seen;
    let usage = idle(case);
    if let Some(why) = failing(seen) {
        return Decision::new(State::Failing, usage, format!("{why}; it is not taken"), "replace it");
    }
    if let Some(node) = case.elsewhere {
        let why = format!("{node} tells of the same drive: both nodes reach it, or one of them has a clone");
        let remedy = "cable it to one node; where it was moved here, start the other node without it, or remove that node";
        return Decision::new(State::Refused, usage, why, remedy);
    }
    if let Some((why, remedy)) = unfit(seen) {
        return Decision::new(State::Refused, usage, why, remedy);
    }
    if case.unclear {
        let why = "people want something of it that this release of the node does not understand";
        return Decision::new(
            State::Refused,
            usage,
            why,
            "upgrade this node: another member runs a newer release",
        );
    }
    let Some(found) = &seen.found else {
        return Decision::new(State::Refused, usage, "it was not looked at yet", "");
    };
    if case.boot.healing || (case.boot.lacks && found.blank) {
        let why = "the boot mirror comes first, and may need this drive";
        return Decision::new(State::Refused, usage, why, "see `maekin get boot-drives`");
    }
    if case.policy == DrivePolicy::Never {
        let why = "the policy of this node is to take no drive";
        return Decision::new(State::Refused, usage, why, "see `maekin get storage-policy`");
    }
    let consent = case.wish.and_then(|wish| wish.consent.as_ref());
    let consented = consent.filter(|consent| !found.token.is_empty() && consent.token == found.token);
    let spare = |why: String| Decision::new(State::Spare, Usage::Spare, why, "");
    match consented {
        Some(consent) => spare(format!("{} consented to the loss of what is on it", consent.by)),
        None if found.blank && case.policy == DrivePolicy::AutoBlank && seen.attached == Attached::Direct => {
            spare("it is blank".to_owned())
        }
        None => ask(case, &found.what, usage, consent.is_some()),
    }
}

/// It takes consent.
fn ask(case: &Case<'_>, what: &[String], usage: Usage, outdated: bool) -> Decision {
    let blank = case.seen.found.as_ref().is_some_and(|found| found.blank);
    let doubt = case.seen.attached.doubt();
    let why = match what.first() {
        _ if blank && case.policy == DrivePolicy::Ask => {
            "the policy of this node is to ask for every drive".to_owned()
        }
        _ if blank => "it is blank".to_owned(),
        Some(first) => format!("it holds {first}"),
        None => "it holds something unknown".to_owned(),
    };
    let why = if outdated { format!("{why}; consent was given to something else on it") } else { why };
    let why = doubt.into_iter().fold(why, |why, doubt| format!("{why}; {doubt}"));
    let remedy = format!("if that may be lost: `maekin drive take {}`", case.seen.id);
    Decision::new(State::WaitingForConsent, usage, why, remedy)
}

/// How a drive is used that nobody of ours uses.
fn idle(case: &Case<'_>) -> Usage {
    let blank = case.seen.found.as_ref().is_none_or(|found| found.blank);
    if blank && case.seen.held.is_empty() { Usage::Unused } else { Usage::Foreign }
}

/// Why it is said to be failing, where it is.
fn failing(seen: &Seen) -> Option<String> {
    let health = health::judge(seen.smart.as_ref()?);
    (health.verdict == Verdict::Failing).then_some(health.reason)
}

/// Why storage has no use for it, whoever consents, and what to do.
fn unfit(seen: &Seen) -> Option<(String, &'static str)> {
    let found = seen.found.as_ref();
    let unreadable = found.and_then(|found| found.unreadable.as_ref());
    let media = found.and_then(|found| found.virtual_media.as_ref());
    let gib = |bytes: u64| bytes >> 30;
    if seen.twin {
        let why = format!("two drives here say that they are {}: a clone, or two paths to one", seen.id);
        return Some((why, "pull one of them, or cable each drive once"));
    }
    if !seen.stable {
        let why = "it has neither a world-wide name nor a serial number, and could not be told from another";
        return Some((why.to_owned(), "give it a serial number where it is a virtual one"));
    }
    if let Some(whose) = media {
        return Some((format!("it is no drive, but media that {whose} shows"), ""));
    }
    if found.is_some_and(|found| found.medium) {
        return Some(("it is install media".to_owned(), ""));
    }
    if seen.removable || seen.transport == "usb" {
        return Some(("it can be taken out at any moment".to_owned(), ""));
    }
    if seen.read_only {
        return Some(("it cannot be written".to_owned(), ""));
    }
    if seen.size < LEAST {
        let why = format!("it is too small: {} GiB, and storage needs {}", gib(seen.size), gib(LEAST));
        return Some((why, ""));
    }
    if !seen.held.is_empty() {
        return Some((seen.held.clone(), "have that ended; then it is looked at again"));
    }
    unreadable.map(|why| (format!("it cannot be read: {why}"), "replace it, or look at its cable"))
}

#[cfg(test)]
mod tests {
    use maekin_host::smart::Smart;
    use maekin_rootfs::drives::Found;
    use proptest::prelude::*;

    use super::super::values::{ConsentValue, RetireValue};
    use super::*;

    fn blank() -> Seen {
        let found = Found { blank: true, what: vec!["blank".into()], token: "t0".into(), ..Found::default() };
        Seen {
            id: "sn-a1".into(),
            stable: true,
            size: 1 << 40,
            attached: Attached::Direct,
            found: Some(found),
            ..Seen::default()
        }
    }

    fn holding(what: &str) -> Seen {
        let found = Found { what: vec![what.into()], token: "t1".into(), ..Found::default() };
        Seen { found: Some(found), ..blank() }
    }

    fn consent(token: &str) -> Option<WishValue> {
        let consent = ConsentValue { token: token.into(), by: "eva".into(), ..ConsentValue::default() };
        Some(WishValue { consent: Some(consent), ..WishValue::default() })
    }

    fn retire(done: u64) -> Option<WishValue> {
        let retire = RetireValue { by: "eva".into(), done, ..RetireValue::default() };
        Some(WishValue { retire: Some(retire), ..WishValue::default() })
    }

    #[test]
    fn drives_are_taken_blank_or_by_consent_to_exactly_what_they_hold() {
        use DrivePolicy::{Ask, AutoBlank, Never};
        use State::{Refused, Spare, WaitingForConsent};
        let osd = || holding("Ceph OSD 7 of cluster x");
        let rows = [
            ("blank", blank(), AutoBlank, None, Spare, "it is blank"),
            ("blank, ask", blank(), Ask, None, WaitingForConsent, "to ask for every drive"),
            ("blank, ask, yes", blank(), Ask, consent("t0"), Spare, "eva consented"),
            ("blank, never", blank(), Never, None, Refused, "to take no drive"),
            ("blank, never, yes", blank(), Never, consent("t0"), Refused, "to take no drive"),
            ("foreign OSD", osd(), AutoBlank, None, WaitingForConsent, "it holds Ceph OSD 7"),
            ("foreign OSD, yes", osd(), AutoBlank, consent("t1"), Spare, "eva consented"),
            (
                "foreign OSD, yes to another",
                osd(),
                AutoBlank,
                consent("t0"),
                WaitingForConsent,
                "something else on it",
            ),
            (
                "foreign OSD, empty yes",
                osd(),
                AutoBlank,
                consent(""),
                WaitingForConsent,
                "something else on it",
            ),
            ("ZFS, ask", holding("ZFS"), Ask, None, WaitingForConsent, "it holds ZFS"),
            ("ZFS, never, yes", holding("ZFS"), Never, consent("t1"), Refused, "to take no drive"),
            (
                "no token, empty yes",
                Seen { found: Some(Found { what: vec!["x".into()], ..Found::default() }), ..blank() },
                AutoBlank,
                consent(""),
                WaitingForConsent,
                "it holds x",
            ),
            ("not looked at", Seen { found: None, ..blank() }, AutoBlank, None, Refused, "not looked at"),
        ];
        for (name, seen, policy, wish, state, why) in rows {
            let (boot, elsewhere) = (Boot::default(), None);
            let (wish, unclear) = (wish.as_ref(), false);
            let case = Case { seen: &seen, used: None, policy, wish, unclear, boot, elsewhere };
            let got = decide(&case);
            let both = decide(&Case { elsewhere: Some("node-2"), ..case });
            assert_eq!(both.state, Refused, "{name}, and in another node");
            assert!(both.why.contains("node-2 tells of the same drive"), "{name}: {}", both.why);
            assert_eq!(got.state, state, "{name}: {got:?}");
            assert!(got.why.contains(why), "{name}: {}", got.why);
            let usage = match state {
                Spare => Usage::Spare,
                _ if seen.found.as_ref().is_none_or(|found| found.blank) => Usage::Unused,
                _ => Usage::Foreign,
            };
            assert_eq!(got.usage, usage, "{name}");
        }
    }

    #[test]
    fn drives_that_storage_has_no_use_for_are_refused_whoever_consents() {
        let with = |change: fn(&mut Seen)| {
            let mut seen = blank();
            change(&mut seen);
            seen
        };
        let found = |change: fn(&mut Found)| {
            let mut seen = blank();
            seen.found.iter_mut().for_each(change);
            seen
        };
        let rows = [
            ("twins", with(|s| s.twin = true), "a clone"),
            ("no name", with(|s| s.stable = false), "neither a world-wide name"),
            ("a stick", with(|s| s.transport = "usb".into()), "taken out"),
            ("a reader", with(|s| s.removable = true), "taken out"),
            ("read-only", with(|s| s.read_only = true), "cannot be written"),
            ("small", with(|s| s.size = LEAST - 1), "too small: 7 GiB"),
            ("mounted", with(|s| s.held = "it is mounted on /srv".into()), "mounted on /srv"),
            ("virtual media", found(|f| f.virtual_media = Some("the BMC".into())), "the BMC shows"),
            ("install media", found(|f| f.medium = true), "install media"),
            ("ill", found(|f| (f.unreadable, f.blank) = (Some("I/O error".into()), false)), "I/O error"),
        ];
        for (name, seen, why) in rows {
            for wish in [None, consent("t0")] {
                for policy in [DrivePolicy::AutoBlank, DrivePolicy::Ask] {
                    let wish = wish.as_ref();
                    let (boot, elsewhere) = (Boot::default(), None);
                    let case =
                        Case { seen: &seen, used: None, policy, wish, unclear: false, boot, elsewhere };
                    let got = decide(&case);
                    assert_eq!(got.state, State::Refused, "{name}: {got:?}");
                    assert!(got.why.contains(why), "{name}: {}", got.why);
                }
            }
        }
    }

    #[test]
    fn drives_in_use_failing_or_retired_are_so_first() {
        let sick =
            |passed| Seen { smart: Some(Smart { passed: Some(passed), ..Smart::default() }), ..blank() };
        let mirror = || Some(Usage::BootMirror { number: 1 });
        let lacks = Boot { lacks: true, ..Boot::default() };
        let heals = Boot { healing: true, ..Boot::default() };
        let alone = Boot { lacks: true, needed: [true, false], ..Boot::default() };
        let calm = Boot::default();
        let both = Boot { retired: [true, true], ..Boot::default() };
        let other = Boot { retired: [false, true], ..Boot::default() };
        let rows = [
            (
                "both boot drives retired",
                sick(true),
                mirror(),
                retire(9),
                both,
                State::Retiring,
                Usage::BootMirror { number: 1 },
            ),
            (
                "boot drive kept while the other is retired",
                sick(true),
                mirror(),
                None,
                other,
                State::InUse,
                Usage::BootMirror { number: 1 },
            ),
            (
                "retired boot drive, the other one is not",
                sick(true),
                mirror(),
                retire(9),
                Boot { retired: [true, false], ..Boot::default() },
                State::Retired,
                Usage::BootMirror { number: 1 },
            ),
            (
                "retired spare beside two of them",
                blank(),
                None,
                retire(9),
                both,
                State::Retired,
                Usage::Unused,
            ),
            ("boot drive", sick(true), mirror(), None, calm, State::InUse, Usage::BootMirror { number: 1 }),
            (
                "failing boot drive",
                sick(false),
                mirror(),
                None,
                calm,
                State::Failing,
                Usage::BootMirror { number: 1 },
            ),
            ("failing spare", sick(false), None, consent("t0"), calm, State::Failing, Usage::Unused),
            (
                "retiring boot drive",
                sick(true),
                mirror(),
                retire(0),
                calm,
                State::Retiring,
                Usage::BootMirror { number: 1 },
            ),
            (
                "retired boot drive",
                sick(false),
                mirror(),
                retire(9),
                calm,
                State::Retired,
                Usage::BootMirror { number: 1 },
            ),
            (
                "retired boot drive that is the last one now",
                sick(false),
                mirror(),
                retire(9),
                alone,
                State::Retiring,
                Usage::BootMirror { number: 1 },
            ),
            ("retired spare beside it", blank(), None, retire(9), alone, State::Retired, Usage::Unused),
            ("retired spare", blank(), None, retire(9), calm, State::Retired, Usage::Unused),
            ("retired foreign one", holding("ZFS"), None, retire(9), calm, State::Retired, Usage::Foreign),
            ("blank, a boot drive is missing", blank(), None, None, lacks, State::Refused, Usage::Unused),
            (
                "foreign, a boot drive is missing",
                holding("x"),
                None,
                None,
                lacks,
                State::WaitingForConsent,
                Usage::Foreign,
            ),
            ("blank, a boot drive heals", blank(), None, None, heals, State::Refused, Usage::Unused),
            (
                "foreign, consented, one heals",
                holding("x"),
                None,
                consent("t1"),
                heals,
                State::Refused,
                Usage::Foreign,
            ),
        ];
        for (name, seen, used, wish, boot, state, usage) in rows {
            let policy = DrivePolicy::AutoBlank;
            let elsewhere = None;
            let (used, wish, unclear) = (used.as_ref(), wish.as_ref(), false);
            let case = Case { seen: &seen, used, policy, wish, unclear, boot, elsewhere };
            let got = decide(&case);
            assert_eq!((got.state, got.usage), (state, usage), "{name}: {}", got.why);
        }
    }

    #[test]
    fn drives_that_other_machines_may_reach_wait_for_consent() {
        use DrivePolicy::{Ask, AutoBlank, Never};
        use State::{Refused, Spare, WaitingForConsent};
        let san = || Attached::Network("iSCSI".into());
        let reached = |attached: Attached, seen: Seen| Seen { attached, ..seen };
        let rows = [
            (
                "blank",
                reached(san(), blank()),
                AutoBlank,
                None,
                false,
                WaitingForConsent,
                "blank; it is attached by iSCSI",
            ),
            ("blank, yes", reached(san(), blank()), AutoBlank, consent("t0"), false, Spare, "eva consented"),
            (
                "blank, ask",
                reached(san(), blank()),
                Ask,
                None,
                false,
                WaitingForConsent,
                "every drive; it is attached",
            ),
            ("blank, never", reached(san(), blank()), Never, consent("t0"), false, Refused, "no drive"),
            (
                "blank, not known how",
                reached(Attached::Unasked, blank()),
                AutoBlank,
                None,
                false,
                WaitingForConsent,
                "not known",
            ),
            (
                "not blank",
                reached(san(), holding("ZFS")),
                AutoBlank,
                None,
                false,
                WaitingForConsent,
                "holds ZFS; it is attached by iSCSI",
            ),
            ("blank, of this machine", blank(), AutoBlank, None, false, Spare, "it is blank"),
            ("blank, and a wish of later", blank(), AutoBlank, None, true, Refused, "does not understand"),
            (
                "consented, and a wish of later",
                blank(),
                AutoBlank,
                consent("t0"),
                true,
                Refused,
                "does not understand",
            ),
        ];
        for (name, seen, policy, wish, unclear, state, why) in rows {
            let (wish, boot, elsewhere) = (wish.as_ref(), Boot::default(), None);
            let got = decide(&Case { seen: &seen, used: None, policy, wish, unclear, boot, elsewhere });
            assert_eq!(got.state, state, "{name}: {got:?}");
            assert!(got.why.contains(why), "{name}: {}", got.why);
        }
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        let flags = prop::collection::vec(any::<bool>(), 9);
        let found = (any::<bool>(), "[ab]?", any::<bool>(), any::<bool>());
        (flags, prop::option::of(found), 0_u64..1 << 34, prop::option::of(any::<bool>())).prop_map(
            |(flags, found, size, passed)| Seen {
                id: "sn-a1".into(),
                stable: flags[0],
                twin: flags[1] && flags[2],
                removable: flags[3] && flags[4],
                read_only: flags[5] && flags[6],
                held: if flags[7] { String::new() } else { "held".into() },
                attached: if flags[8] { Attached::Direct } else { Attached::Network("fc".into()) },
                size,
                found: found.map(|(blank, token, ill, medium)| Found {
                    blank,
                    token,
                    unreadable: (ill && !blank).then(|| "ill".into()),
                    medium: medium && ill,
                    ..Found::default()
                }),
                smart: passed.map(|passed| Smart { passed: Some(passed), ..Smart::default() }),
                ..Seen::default()
            },
        )
    }

    proptest! {
        /// Whatever is so of a drive: it is given to storage only blank and by policy, or by consent to what it holds.
        #[test]
        fn drives_with_anything_on_them_are_never_taken_without_consent_to_it(
            seen in any_seen(),
            policy in prop_oneof![Just(DrivePolicy::AutoBlank), Just(DrivePolicy::Ask), Just(DrivePolicy::Never)],
            consented in prop::option::of("[ab]?"),
            lacks in any::<bool>(),
            healing in any::<bool>(),
            unclear in any::<bool>(),
        ) {
            let wish = consented.as_deref().and_then(consent);
            let boot = Boot { lacks, healing, ..Boot::default() };
            let (wish, elsewhere) = (wish.as_ref(), None);
            let got = decide(&Case { seen: &seen, used: None, policy, wish, unclear, boot, elsewhere });
            if got.state == State::Spare {
                prop_assert!(!unclear);
                let found = seen.found.as_ref();
                prop_assert!(policy != DrivePolicy::Never && !healing);
                prop_assert!(seen.stable && !seen.twin && seen.held.is_empty() && seen.size >= LEAST);
                prop_assert!(found.is_some_and(|found| found.unreadable.is_none() && !found.medium));
                let by_policy = found.is_some_and(|f| f.blank)
                    && policy == DrivePolicy::AutoBlank
                    && seen.attached == Attached::Direct;
                let token = found.map(|f| f.token.as_str()).filter(|token| !token.is_empty());
                prop_assert!(by_policy || (token.is_some() && token == consented.as_deref()));
            }
        }
    }
}
