use super::*;

fn part(name: &str, guid: Option<Uuid>, mounted: Option<&str>) -> BlockDevice {
    BlockDevice {
        name: name.into(),
        r#type: "part".into(),
        partuuid: guid.map(|guid| guid.to_string()),
        mountpoints: vec![mounted.map(str::to_owned)],
        ..BlockDevice::default()
    }
}

fn disk(name: &str, serial: &str, children: Vec<BlockDevice>) -> BlockDevice {
    BlockDevice {
        name: name.into(),
        path: Path::new("/dev").join(name),
        r#type: "disk".into(),
        serial: Some(serial.into()),
        size: 10 << 30,
        log_sec: 512,
        children,
        ..BlockDevice::default()
    }
}

#[test]
fn drives_are_seen_with_who_holds_them() {
    let install = Uuid::from_u128(7);
    let guid = |install, place| Some(ids::part_guid(install, place, Part::Esp));
    let array = BlockDevice { name: "md1".into(), r#type: "raid1".into(), ..BlockDevice::default() };
    let mut stacked = part("vdd1", None, None);
    stacked.children = vec![array];
    let volume = BlockDevice { path: "/dev/dm-7".into(), r#type: "lvm".into(), ..BlockDevice::default() };
    let swap = BlockDevice { children: vec![volume], ..part("vdf1", None, None) };
    let mirror = BlockDevice { name: "drbd0".into(), r#type: "disk".into(), ..BlockDevice::default() };
    let devices = [
        disk("vda", "b1", vec![part("vda2", guid(install, 1), Some("/efi"))]),
        disk("vdb", "b2", vec![part("vdb2", guid(Uuid::from_u128(8), 1), None)]),
        disk("vdc", "b3", vec![part("vdc1", None, Some("/srv/a\u{1b}"))]),
        disk("vdd", "b4", vec![stacked]),
        disk("vde", "b5", vec![]),
        disk("vdf", "b7", vec![swap]),
        disk("vdg", "b8", vec![mirror]),
        disk("loop0", "b6", vec![]),
    ];
    let paths = BTreeMap::from([(PathBuf::from("/dev/vdb"), "pci-0000:00:02.0".to_owned())]);
    let claims = ["/dev/vda", "/dev/vdd", "/dev/vde", "/dev/vdf", "/dev/dm-7"];
    let held = |path: &Path| claims.iter().any(|p| path == Path::new(p));
    let seen = rows(install, &devices, &paths, held);
    let told: Vec<_> = seen
        .iter()
        .map(|d| (kernel_name(&d.device), d.boot, d.held.as_str(), d.slot.path.as_str()))
        .collect();
    let want = [
        ("vda".to_owned(), Some(1), "", ""),
        ("vdb".to_owned(), None, "", "pci-0000:00:02.0"),
        ("vdc".to_owned(), None, "it is mounted on /srv/a?", ""),
        ("vdd".to_owned(), None, "", ""),
        ("vde".to_owned(), None, "another program has it open for itself", ""),
        ("vdf".to_owned(), None, "another program has it open for itself", ""),
        ("vdg".to_owned(), None, "another program has it open for itself", ""),
    ];
    assert_eq!(told, want);
    assert!(seen.iter().all(|d| d.stable && !d.twin && d.transport == "virtio"));
}

#[test]
fn drives_that_say_they_are_one_are_twins() {
    let devices = [disk("vdc", "s1", vec![]), disk("vda", "s1", vec![]), disk("vdb", "s2", vec![])];
    let seen = rows(Uuid::nil(), &devices, &BTreeMap::new(), |_| false);
    let told: Vec<_> = seen.iter().map(|d| (d.id.as_str(), d.twin)).collect();
    assert_eq!(told, [("sn-s1", true), ("sn-s2", false)]);
    let install = Uuid::from_u128(7);
    let boot = part("vdd2", Some(ids::part_guid(install, 1, Part::Esp)), None);
    let devices = [disk("vda", "s1", vec![]), disk("vdd", "s1", vec![boot])];
    let seen = rows(install, &devices, &BTreeMap::new(), |_| false);
    let told: Vec<_> = seen.iter().map(|d| (kernel_name(&d.device), d.boot, d.twin)).collect();
    assert_eq!(told, [("vdd".to_owned(), Some(1), true)], "a clone hides no boot drive");
    let many: Vec<_> = (0..MOST + 5).map(|n| disk(&format!("sd{n}"), &format!("s{n}x"), vec![])).collect();
    assert_eq!(rows(Uuid::nil(), &many, &BTreeMap::new(), |_| false).len(), MOST);
}

proptest::proptest! {
    /// Whatever a drive says of itself: what is told of it is bounded, printable, and good for a key.
    #[test]
    fn drives_say_what_they_like_and_are_told_in_bounds(
        texts in proptest::collection::vec(proptest::option::of(".{0,300}"), 4),
        names in proptest::collection::vec("[a-z/.\\PC]{0,40}", 0..6),
        size in proptest::prelude::any::<u64>(),
    ) {
        let device = |name: &String| BlockDevice {
            wwn: texts[0].clone(),
            serial: texts[1].clone(),
            model: texts[2].clone(),
            tran: texts[3].clone(),
            size,
            ..disk(name, "", vec![part(name, None, texts[3].as_deref())])
        };
        let devices: Vec<_> = names.iter().map(device).collect();
        for seen in rows(Uuid::nil(), &devices, &BTreeMap::new(), |_| true) {
            proptest::prop_assert!(super::super::identity::is_id(&seen.id), "{}", seen.id);
            for text in [&seen.serial, &seen.model, &seen.wwn, &seen.transport, &seen.held] {
                proptest::prop_assert!(text.chars().count() <= 100 && !text.contains(char::is_control));
            }
        }
    }
}

#[test]
fn drives_leave_prints_that_change_with_their_partitions() {
    let dir = tempfile::tempdir().unwrap();
    let sys = dir.path();
    let file = |path: &str, text: &str| {
        let path = sys.join("block").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file("vdb/size", "2048\n");
    file("loop0/size", "8\n");
    assert_eq!(prints(sys), BTreeMap::from([("vdb".to_owned(), "2048".to_owned())]));
    file("vdb/vdb1/start", "64\n");
    file("vdb/vdb1/size", "128\n");
    assert_eq!(prints(sys), BTreeMap::from([("vdb".to_owned(), "2048 vdb1 64 128".to_owned())]));
    assert!(prints(Path::new("/nowhere")).is_empty());
}
