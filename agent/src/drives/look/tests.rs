use super::*;

fn prints(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(name, print)| ((*name).to_owned(), (*print).to_owned())).collect()
}

fn seen(name: &str, change: fn(&mut Seen)) -> Seen {
    let (id, serial) = (format!("sn-{name}"), name.to_owned());
    let mut seen = Seen { id, serial, device: format!("/dev/{name}").into(), ..Seen::default() };
    change(&mut seen);
    seen
}

#[test]
fn drives_are_looked_at_for_a_reason() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let eyes = Eyes {
        prints: prints(&[("vda", "1"), ("vdb", "2")]),
        all: Some(at(1000)),
        idle: Some(at(1000)),
        ..Eyes::default()
    };
    let same = [("vda", "1"), ("vdb", "2")];
    let turn = |all, idle, changed: &[&str]| {
        let changed = changed.iter().map(|name| (*name).to_owned()).collect();
        Some(Turn { all, idle, changed, gentle: false })
    };
    let rows = [
        ("nothing is new", 1100, &same[..], false, false, None),
        ("a device was told of", 1100, &same[..], true, false, None),
        ("... for long", 1300, &same[..], true, false, turn(false, true, &[])),
        (
            "a partition was made",
            1100,
            &[("vda", "1"), ("vdb", "2 vdb1")],
            true,
            false,
            turn(false, false, &["vdb"]),
        ),
        (
            "a drive came",
            1100,
            &[("vda", "1"), ("vdb", "2"), ("vdc", "3")],
            false,
            false,
            turn(false, false, &["vdc"]),
        ),
        ("a drive went", 1100, &[("vda", "1")], true, false, turn(false, false, &[])),
        ("an hour is over", 4600, &same[..], false, false, turn(true, true, &[])),
        ("somebody wants it", 1100, &same[..], false, true, turn(true, true, &[])),
    ];
    let mut eyes = eyes;
    for (name, now, prints_now, news, wanted, want) in rows {
        eyes.news = news;
        let got = eyes.turn(at(now), &prints(prints_now), wanted);
        let gentle = got.as_ref().is_some_and(|turn| turn.gentle);
        assert_eq!(got.map(|turn| Turn { gentle: false, ..turn }), want, "{name}");
        assert!(!gentle || !(news || wanted), "{name}");
    }
    let first = Eyes::default().turn(start, &prints(&same), false);
    let first = first.map(|turn| Turn { gentle: false, ..turn });
    assert_eq!(first, turn(true, true, &["vda", "vdb"]), "the first look");
    let failed = Eyes { after: Some(at(2000)), news: true, ..eyes };
    assert_eq!(failed.turn(at(1999), &prints(&[]), false), None, "it failed a moment ago");
    assert!(failed.turn(at(2000), &prints(&[]), false).is_some());
    assert!(failed.turn(at(1999), &prints(&[]), true).is_some(), "a person need not wait");
}

#[test]
fn drives_that_somebody_wrote_to_are_looked_at_though_it_was_not_time_when_the_kernel_said_so() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let same = prints(&[("vda", "1")]);
    let mut eyes =
        Eyes { prints: same.clone(), all: Some(at(1000)), idle: Some(at(1000)), ..Eyes::default() };
    eyes.heard(true);
    assert_eq!(eyes.turn(at(1100), &same, false), None, "a look at them was a moment ago");
    eyes.heard(false); // a minute in which nothing is told
    assert!(eyes.turn(at(1300), &same, false).is_some_and(|turn| turn.idle), "it is not forgotten");
}

#[test]
fn drives_in_use_are_not_probed_again_and_again() {
    let mut eyes = Eyes::default();
    for name in ["vda", "vdb", "vdc", "vde", "vdf"] {
        eyes.found.insert(format!("sn-{name}"), Found::default());
    }
    let turn = |idle, changed: &[&str]| Turn {
        all: idle,
        idle,
        changed: changed.iter().map(|name| (*name).to_owned()).collect(),
        gentle: true,
    };
    let rude = |idle| Turn { gentle: false, ..turn(idle, &[]) };
    let rows = [
        ("asleep", seen("vdf", |_| {}), turn(true, &[]), false),
        ("asleep, and somebody wants it", seen("vdf", |_| {}), rude(true), true),
        ("asleep, and another one", seen("vdf", |_| {}), turn(true, &["vdf"]), true),
        ("a boot drive", seen("vda", |s| s.boot = Some(0)), turn(true, &["vda"]), false),
        ("idle", seen("vdb", |_| {}), turn(true, &[]), true),
        ("idle, not its turn", seen("vdb", |_| {}), turn(false, &["vdc"]), false),
        ("held", seen("vdc", |s| s.held = "x".into()), turn(true, &[]), false),
        ("held, with other partitions", seen("vdc", |s| s.held = "x".into()), turn(false, &["vdc"]), true),
        ("new", seen("vdd", |s| s.held = "x".into()), turn(false, &[]), true),
        ("held before, and not any more", seen("vde", |_| {}), turn(false, &[]), true),
        ("held before, and still", seen("vde", |s| s.held = "x".into()), turn(false, &[]), false),
    ];
    eyes.held.insert("sn-vde".into());
    eyes.asleep.insert("sn-vdf".into());
    for (name, seen, turn, want) in rows {
        assert_eq!(eyes.wants(&turn, &seen), want, "{name}");
    }
    assert!(has_smart(&seen("sda", |s| s.transport = "sata".into())));
    assert!(!has_smart(&seen("vda", |s| s.transport = "virtio".into())));
}

#[test]
fn drives_that_changed_their_node_meanwhile_are_not_taken_for_each_other() {
    let drives = [seen("vdb", |_| {}), seen("vdc", |_| {})];
    let found = |disk: &str, serial: &str| Found {
        disk: disk.into(),
        serial: serial.into(),
        blank: true,
        ..Found::default()
    };
    let findings = Findings {
        format: FORMAT,
        drives: vec![found("/dev/vdb", " vdb "), found("/dev/vdc", "another"), found("/dev/vdd", "vdd")],
    };
    let refs: Vec<&Seen> = drives.iter().collect();
    assert_eq!(matched(&refs, findings).into_keys().collect::<Vec<_>>(), ["sn-vdb"]);
}

#[test]
fn drives_are_probed_by_the_installer() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("installer");
    let write = |format: u32| {
        let json =
            format!(r#"{{"format":{format},"drives":[{{"disk":"'$3'","serial":"vdb","blank":true}}]}}"#);
        std::fs::write(&program, format!("#!/bin/sh\necho '{json}'\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let drive = seen("vdb", |_| {});
    let ask = || contents(&program.display().to_string(), &[&drive]);
    write(FORMAT);
    let found = ask().unwrap();
    assert!(found["sn-vdb"].blank);
    write(FORMAT + 1);
    assert!(ask().unwrap_err().contains("format 2"));
    std::fs::remove_file(&program).unwrap();
    assert!(ask().is_err());
}
