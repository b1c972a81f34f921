use super::*;
use maekin_host::block::parse_lsblk;

const GIB: u64 = 1 << 30;

/// A drive as a plan meets it: blank, 512-byte sectors.
pub(crate) fn disk(name: &str, gib: u64) -> Disk {
    Disk {
        name: name.to_owned(),
        path: format!("/dev/{name}").into(),
        size: gib * GIB,
        sector: 512,
        physical_sector: 512,
        serial: format!("S-{name}"),
        model: "QEMU HARDDISK".to_owned(),
        write_zeroes: true,
        ..Disk::default()
    }
}

/// A drive with an ext4 file system on it.
pub(crate) fn used(name: &str, gib: u64) -> Disk {
    let mut disk = disk(name, gib);
    disk.contents.signatures.push(Signature {
        offset: "0x438".to_owned(),
        r#type: "ext4".to_owned(),
        uuid: Some("u".to_owned()),
        label: Some("photos".to_owned()),
        usage: Some("filesystem".to_owned()),
    });
    disk.contents.ends = "e".repeat(64);
    disk
}

/// A machine with these drives.
pub(crate) fn machine(firmware: Firmware, disks: Vec<Disk>) -> Facts {
    let nic = Nic { name: "enp1s0".to_owned(), mac: "52:54:00:00:00:01".to_owned(), ..Nic::default() };
    Facts {
        kernel: "6.12".to_owned(),
        firmware,
        secure_boot: None,
        boot: Default::default(),
        memory: 2 * GIB,
        cpu: Cpu::default(),
        dmi: Dmi::default(),
        receipt: None,
        disks,
        nics: vec![nic],
    }
}

#[test]
fn a_stick_with_the_medium_is_recognised_and_pseudo_disks_are_no_drives() {
    let devices = parse_lsblk(include_str!("../../fixtures/lsblk-stick.json")).unwrap();
    let drives: Vec<Disk> = devices.iter().filter(|d| d.is_drive()).map(Disk::from_lsblk).collect();
    let names: Vec<&str> = drives.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "sda"]);
    assert!(drives[1].holds_medium && drives[1].removable && !drives[0].holds_medium);
    let parts = &drives[0].contents.partitions;
    assert_eq!((parts[0].number, parts[0].start, parts[0].label.as_str()), (1, 1 << 20, "maekin-bios"));
}

#[test]
fn contents_are_told_in_words() {
    let rows = [
        ("blank", disk("vda", 12).contents, "blank"),
        ("ext4", used("vda", 12).contents, "ext4 file system \"photos\""),
        (
            "unknown bytes",
            Contents { ends: "x".to_owned(), ..Contents::default() },
            "data of an unknown kind",
        ),
        (
            "control characters in a label",
            Contents {
                signatures: vec![Signature {
                    offset: "0".to_owned(),
                    r#type: "LVM2_member".to_owned(),
                    uuid: None,
                    label: Some("a\x1b[2J".to_owned()),
                    usage: None,
                }],
                ..Contents::default()
            },
            "LVM physical volume \"a?[2J\"",
        ),
    ];
    for (name, contents, words) in rows {
        assert_eq!(contents.words().join("; "), words, "{name}");
    }
}

#[test]
fn a_line_tells_the_most_important_things_once() {
    let mut disk = used("vda", 12);
    let twice = disk.contents.signatures[0].clone();
    disk.contents.signatures.push(twice);
    assert_eq!(disk.contents.brief(), "ext4 file system \"photos\"");
    let part = |number| contents::Partition {
        number,
        size: GIB,
        label: "maekin-state".into(),
        ..Default::default()
    };
    disk.contents.partitions = (1..=6).map(part).collect();
    let brief = disk.contents.brief();
    assert!(brief.starts_with("a Maekin node") && brief.ends_with("; and 5 more"), "{brief}");
}

#[test]
fn sizes_are_told_in_the_largest_fitting_unit() {
    for (bytes, text) in
        [(0, "0 B"), (1536, "1.5 KiB"), (12 * GIB, "12.0 GiB"), (30_000_000_000_000, "27.2 TiB")]
    {
        assert_eq!(size_text(bytes), text);
    }
}

#[test]
fn facts_survive_json() {
    let facts = machine(Firmware::Uefi, vec![used("vda", 12)]);
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
}
