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
        ("foreign OSD, empty yes", osd(), AutoBlank, consent(""), WaitingForConsent, "something else on it"),
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
                let case = Case { seen: &seen, used: None, policy, wish, unclear: false, boot, elsewhere };
                let got = decide(&case);
                assert_eq!(got.state, State::Refused, "{name}: {got:?}");
                assert!(got.why.contains(why), "{name}: {}", got.why);
            }
        }
    }
}

#[test]
fn drives_in_use_failing_or_retired_are_so_first() {
    let sick = |passed| Seen { smart: Some(Smart { passed: Some(passed), ..Smart::default() }), ..blank() };
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
        ("retired spare beside two of them", blank(), None, retire(9), both, State::Retired, Usage::Unused),
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
