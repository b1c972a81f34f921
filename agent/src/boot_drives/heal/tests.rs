use super::*;
use maekin_rootfs::heal::{Candidate, Plan};

fn plan(action: Action, disk: Option<&str>) -> Plan {
    Plan {
        action,
        disk: disk.map(Into::into),
        place: Some(1),
        reason: "because".into(),
        remedy: "do".into(),
        dies: vec![],
        token: None,
        steps: vec![],
    }
}

fn candidate(disk: &str, serial: &str, action: Action) -> Candidate {
    Candidate {
        disk: disk.into(),
        title: disk.into(),
        serial: serial.into(),
        size: 1,
        free: true,
        action,
        reason: "it fits".into(),
        remedy: String::new(),
        dies: vec![],
        token: None,
    }
}

fn findings(plan: Plan, candidates: Vec<Candidate>) -> Findings {
    Findings { format: 1, install_id: uuid::Uuid::nil(), drives: 2, places: vec![], candidates, plan }
}

fn failed(failures: u32) -> Healed {
    Healed { at: 1000, action: "rebuild".into(), error: Some("no".into()), failures }
}

#[test]
fn only_what_harms_nothing_is_done_unasked() {
    let blank = || {
        findings(plan(Action::Rebuild, Some("/dev/vdc")), vec![candidate("/dev/vdc", "NEW", Action::Rebuild)])
    };
    let start = |disk: &str| Decision::Start(StartHeal { disk: Some(disk.into()), consent: None });
    let mut used = blank();
    used.plan.dies = vec!["ext4 \"photos\"".into()];
    used.plan.token = Some("abcd".into());
    let mut foreign =
        findings(plan(Action::Refuse, None), vec![candidate("/dev/vdc", "NEW", Action::Rebuild)]);
    foreign.candidates[0].dies = vec!["LVM".into()];
    foreign.candidates[0].token = Some("abcd".into());
    let too_small = findings(plan(Action::Refuse, None), vec![candidate("/dev/vdc", "NEW", Action::Refuse)]);
    let nothing_there = findings(plan(Action::Refuse, None), vec![]);
    let spares = findings(plan(Action::Refuse, None), vec![candidate("/dev/vdc", "OLD", Action::Rebuild)]);
    let known = ["OLD".to_owned()];
    let base = Case {
        policy: HealPolicy::Auto,
        findings: &blank(),
        asked: None,
        last: None,
        known: &known,
        failing: &[],
        now: 1050,
    };
    let check = |name: &str, case: Case<'_>, want: Decision| assert_eq!(decide(&case), want, "{name}");
    check("blank drive", base.clone(), start("/dev/vdc"));
    let stale = findings(plan(Action::ReAdd, Some("/dev/vdb")), vec![]);
    check("own stale half", Case { findings: &stale, ..base.clone() }, start("/dev/vdb"));
    let whole = findings(plan(Action::None, None), vec![]);
    check("whole", Case { findings: &whole, ..base.clone() }, Decision::Nothing);
    check("never", Case { policy: HealPolicy::Never, ..base.clone() }, Decision::Nothing);
    check("no drive", Case { findings: &nothing_there, ..base.clone() }, Decision::Nothing);
    check("only spares", Case { findings: &spares, ..base.clone() }, Decision::Nothing);
    let failing = ["/dev/vdb".to_owned()];
    check(
        "a drive that does not answer",
        Case { findings: &stale, failing: &failing, ..base.clone() },
        Decision::Nothing,
    );
    for (last, now, want) in [
        (failed(1), 1050, Decision::Later(1060)),
        (failed(1), 1060, start("/dev/vdc")),
        (failed(3), 2000, Decision::Later(2800)),
        (failed(99), 2000, Decision::Later(8200)),
        (Healed { error: None, ..failed(0) }, 1000, start("/dev/vdc")),
    ] {
        check("after a failure", Case { last: Some(&last), now, ..base.clone() }, want);
    }
    let by_hand = StartHeal { disk: Some("/dev/vdc".into()), consent: Some("abcd".into()) };
    let asked = Case { asked: Some(&by_hand), policy: HealPolicy::Never, findings: &used, ..base.clone() };
    check("a person said so", asked, Decision::Start(by_hand.clone()));

    let asks = |case: Case<'_>, word: &str, token: &str| match decide(&case) {
        Decision::Ask(Heal::Asks { reason, token: got, disk, .. }) => {
            assert!(reason.contains(word) && got == token && disk == "/dev/vdc", "{reason} {got}");
        }
        other => panic!("{word}: {other:?}"),
    };
    asks(Case { policy: HealPolicy::Ask, ..base.clone() }, "because", "");
    asks(Case { findings: &used, ..base.clone() }, "photos", "abcd");
    asks(Case { findings: &foreign, ..base.clone() }, "LVM", "abcd");
    let new = ["NEW".to_owned()];
    asks(Case { known: &new, ..base.clone() }, "it was in before", "");
    let stuck = decide(&Case { findings: &too_small, ..base });
    assert!(matches!(stuck, Decision::Stuck(Heal::Stuck { .. })), "{stuck:?}");
}

#[test]
fn nothing_but_devices_and_tokens_reaches_the_command_line() {
    let start = |disk: &str, consent: Option<&str>| StartHeal {
        disk: Some(disk.into()),
        consent: consent.map(Into::into),
    };
    let rows = [
        (StartHeal { disk: None, consent: None }, Some("HEAL_ARGUMENTS=\"\"\n")),
        (start("/dev/vdc", None), Some("HEAL_ARGUMENTS=\"--disk /dev/vdc\"\n")),
        (start("/dev/vdc", Some("ab-12")), Some("HEAL_ARGUMENTS=\"--disk /dev/vdc --consent ab-12\"\n")),
        (start("/dev/vdc --force", None), None),
        (start("--force", None), None),
        (start("x\"\nLD_PRELOAD=y", None), None),
    ];
    for (given, want) in rows {
        assert_eq!(environment(&given).ok().as_deref(), want, "{given:?}");
    }
}

#[test]
fn what_a_healing_says_is_followed_line_by_line() {
    let mut text = String::new();
    assert_eq!(parse_said(&text).step, "starting");
    text.push_str(
        "{\"step\":\"copying\",\"index\":3,\"total\":9,\"done\":5,\"work\":10}\n{\"note\":\"hm\"}\n{\"resu",
    );
    let said = parse_said(&text);
    assert_eq!((said.step.as_str(), said.percent, said.end), ("copying", 50, None));
    assert_eq!(said.notes, ["hm"]);
    text.push_str("lt\":\"failed\",\"error\":\"defective\"}\n");
    assert_eq!(parse_said(&text).end, Some(End::Failed { error: "defective".into() }));
    let odd = parse_said("garbage\n{\"step\":\"x\",\"index\":1,\"total\":1,\"done\":9,\"work\":0}\n");
    assert_eq!((odd.percent, odd.step.as_str()), (0, "x"));
}
