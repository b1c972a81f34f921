use super::*;

fn part(name: &str, fstype: &str, label: &str) -> BlockDevice {
    BlockDevice {
        name: name.to_owned(),
        path: PathBuf::from("/dev").join(name),
        r#type: "part".to_owned(),
        size: 8_000_000_000,
        fstype: (!fstype.is_empty()).then(|| fstype.to_owned()),
        label: (!label.is_empty()).then(|| label.to_owned()),
        ..BlockDevice::default()
    }
}

fn disk(name: &str, tran: &str, children: Vec<BlockDevice>) -> BlockDevice {
    BlockDevice {
        r#type: "disk".to_owned(),
        tran: Some(tran.to_owned()),
        model: Some("Cruzer_Blade".to_owned()),
        children,
        ..part(name, "", "")
    }
}

#[test]
fn console_support_only_unused_removable_file_systems_are_written_to() {
    type Row = (&'static str, BlockDevice, Result<&'static str, &'static str>);
    let esp = || BlockDevice { parttype: Some(ESP[0].to_ascii_uppercase()), ..part("sdb1", "vfat", "ESP") };
    let mounted =
        || BlockDevice { mountpoints: vec![None, Some("/mnt".into())], ..part("sdb1", "vfat", "X") };
    let stacked = BlockDevice { r#type: "raid1".into(), ..part("md127", "ext4", "") };
    let rows: Vec<Row> = vec![
        ("a stick", disk("sdb", "usb", vec![part("sdb1", "vfat", "PHOTOS")]), Ok("/dev/sdb1")),
        (
            "without partitions",
            BlockDevice { fstype: Some("exfat".into()), ..disk("sdb", "usb", vec![]) },
            Ok("/dev/sdb"),
        ),
        (
            "removable, not USB",
            BlockDevice { rm: true, ..disk("sdb", "sata", vec![part("sdb1", "ext4", "")]) },
            Ok("/dev/sdb1"),
        ),
        ("a fixed drive", disk("sda", "sata", vec![part("sda1", "vfat", "MAEKIN")]), Err("")),
        ("what firmware boots from", disk("sdb", "usb", vec![esp()]), Err("firmware")),
        ("mounted", disk("sdb", "usb", vec![mounted()]), Err("in use at /mnt")),
        (
            "write-protected",
            BlockDevice { ro: true, ..disk("sdb", "usb", vec![part("sdb1", "vfat", "X")]) },
            Err("protected"),
        ),
        ("of another system", disk("sdb", "usb", vec![part("sdb1", "ntfs", "X")]), Err("ntfs")),
        (
            "a boot drive on USB: its mirror",
            disk("sdb", "usb", vec![part("sdb1", "vfat", "X"), part("sdb3", "linux_raid_member", "")]),
            Err("linux_raid_member"),
        ),
        ("an OSD", disk("sdb", "usb", vec![part("sdb1", "ceph_bluestore", "")]), Err("ceph")),
        (
            "LVM",
            BlockDevice { fstype: Some("LVM2_member".into()), ..disk("sdb", "usb", vec![]) },
            Err("lvm2"),
        ),
        ("encrypted", disk("sdb", "usb", vec![part("sdb1", "crypto_LUKS", "")]), Err("crypto")),
        (
            "something is stacked on it",
            disk("sdb", "usb", vec![BlockDevice { children: vec![stacked], ..part("sdb1", "vfat", "X") }]),
            Err("stacked"),
        ),
        (
            "named as ours are",
            disk(
                "sdb",
                "usb",
                vec![BlockDevice { partlabel: Some("maekin-esp".into()), ..part("sdb1", "vfat", "MAEKIN") }],
            ),
            Err("boot drive"),
        ),
        ("blank", disk("sdb", "usb", vec![]), Err("")),
        (
            "a CD drive",
            BlockDevice {
                r#type: "rom".into(),
                rm: true,
                fstype: Some("iso9660".into()),
                ..disk("sr0", "usb", vec![])
            },
            Err(""),
        ),
    ];
    for (name, device, want) in rows {
        let devices = [device];
        match (choose(&devices, None), want) {
            (Ok(stick), Ok(path)) => assert_eq!(stick.device, Path::new(path), "{name}"),
            (Err(e), Err(reason)) => {
                let text = e.to_string();
                assert!(text.contains(reason) && text.contains("put in a stick"), "{name}: {text}");
            }
            (got, want) => panic!("{name}: {got:?} instead of {want:?}"),
        }
    }
}

#[test]
fn console_support_ours_comes_first_and_a_named_one_is_taken_or_refused_with_its_reason() {
    let devices = [
        disk("sdb", "usb", vec![part("sdb1", "vfat", "PHOTOS")]),
        disk("sdc", "usb", vec![part("sdc3", "vfat", "MAEKIN")]),
        disk("sdd", "usb", vec![part("sdd1", "linux_raid_member", "")]),
    ];
    let named = |path: Option<&str>| {
        choose(&devices, path.map(Path::new)).map(|s| s.title()).map_err(|e| e.to_string())
    };
    assert_eq!(named(None).unwrap(), "/dev/sdc3 (MAEKIN, Cruzer Blade, 8.0 GB)");
    assert_eq!(named(Some("/dev/sdb1")).unwrap(), "/dev/sdb1 (PHOTOS, Cruzer Blade, 8.0 GB)");
    let refused = named(Some("/dev/sdd1")).unwrap_err();
    assert!(refused.contains("/dev/sdd1 is not written to: it sdd1 has a part"), "{refused}");
    let unknown = named(Some("/dev/sda1")).unwrap_err();
    assert!(unknown.contains("/dev/sda1 is no stick"), "{unknown}");
}
