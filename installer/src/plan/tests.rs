use super::*;
use crate::answers::{self, Mirror, Rules, Selector};
use crate::facts::tests::{disk, machine, used};
use maekin_image::ids::Array;
use maekin_image::manifest::{FileEntry, KeyKind, RootImage};

pub(crate) const SEED: Uuid = Uuid::from_u128(0x5eed);

pub(crate) fn manifest() -> Manifest {
    let names = [
        "vmlinuz",
        "initrd",
        "root",
        "boot/bios/boot.img",
        "boot/bios/core.img",
        "boot/efi/shimx64.efi",
        "boot/efi/grubx64.efi",
        "boot/efi/mmx64.efi",
        "drivers",
    ];
    let entry = |name: &&str| ((*name).to_owned(), FileEntry { size: 4096, sha256: "0".repeat(64) });
    Manifest {
        format: 1,
        version: "0.1.0".to_owned(),
        epoch: 0,
        kernel: "6.12".to_owned(),
        key: KeyKind::ThrowAway,
        root: RootImage { hash_offset: 4096, root_hash: "aa".repeat(32) },
        files: names.iter().map(entry).collect(),
    }
}

pub(crate) fn answers(extra: &str) -> Answers {
    let text = format!(
        "version = 1\n[node]\nhostname = \"node-1\"\n[admin]\npassword_hash = \"$argon2id$v=19$x\"\n\
         [cluster]\nmode = \"create\"\nname = \"rack\"\n{extra}"
    );
    answers::parse(&text).unwrap()
}

fn named(names: &str) -> Answers {
    answers(&format!("[disks]\nmirror = [{names}]\n"))
}

/// The answers' own check lets no such thing through; the plan does not rely on it.
#[test]
fn three_drives_are_never_a_boot_mirror() {
    let disks = ["vda", "vdb", "vdc"].map(|name| disk(name, 12)).to_vec();
    let rules = Rules { max: Some(12 << 30), count: 3, ..Rules::default() };
    let answers = Answers { mirror: Mirror::Named(vec![Selector::Rules(Box::new(rules))]), ..answers("") };
    let text = plan(&machine(Firmware::Bios, disks), &answers, &manifest(), SEED).unwrap_err().to_string();
    assert!(text.contains("3 drives are chosen (vda, vdb, vdc), and a boot mirror has 1 or 2"), "{text}");
}

/// No consent makes the medium a drive that can be installed on, and none is asked for.
#[test]
fn the_medium_gets_no_token() {
    let medium = Disk { holds_medium: true, ..used("sdy", 14) };
    let token = consent::token(&medium);
    let facts = machine(Firmware::Bios, vec![medium, used("vda", 12)]);
    let text = plan(&facts, &answers(""), &manifest(), SEED).unwrap_err().to_string();
    assert!(text.contains("started from it") && !text.contains(&token), "{text}");
    assert!(text.contains(&consent::token(&facts.disks[1])), "{text}");
}

#[test]
fn drives_are_chosen_when_there_is_no_doubt() {
    let removable = Disk { removable: true, ..disk("sdz", 12) };
    let medium = Disk { holds_medium: true, ..disk("sdy", 14) };
    let rows: Vec<(&str, Vec<Disk>, Answers, &[&str])> = vec![
        ("two equal blank ones", vec![disk("vda", 12), disk("vdb", 12)], answers(""), &["vda", "vdb"]),
        ("one", vec![disk("vda", 12)], answers(""), &["vda"]),
        (
            "the two small ones, storage left alone",
            vec![disk("sda", 4000), disk("sdb", 240), disk("sdc", 240), disk("sdd", 4000)],
            answers(""),
            &["sdb", "sdc"],
        ),
        (
            "two blank ones beside a used one",
            vec![used("vda", 12), disk("vdb", 12), disk("vdc", 12)],
            answers(""),
            &["vdb", "vdc"],
        ),
        (
            "stick and medium are no candidates",
            vec![removable, medium, disk("vda", 12)],
            answers(""),
            &["vda"],
        ),
        (
            "small ones are no candidates",
            vec![disk("vda", 2), disk("vdb", 12), disk("vdc", 12)],
            answers(""),
            &["vdb", "vdc"],
        ),
        (
            "named, in the order named",
            vec![disk("vda", 12), disk("vdb", 20), disk("vdc", 12)],
            named("\"path:/dev/vdc\", \"serial:S-vdb\""),
            &["vdc", "vdb"],
        ),
    ];
    for (name, disks, answers, want) in rows {
        let plan = plan(&machine(Firmware::Bios, disks), &answers, &manifest(), SEED);
        let plan = plan.unwrap_or_else(|e| panic!("{name}: {e}"));
        let got: Vec<String> = plan.drives.iter().map(|d| d.path.display().to_string()).collect();
        let want: Vec<String> = want.iter().map(|n| format!("/dev/{n}")).collect();
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn refusals_name_drive_reason_and_remedy() {
    let path = |name: &str| named(&format!("\"path:/dev/{name}\""));
    let big_sectors = Disk { sector: 4096, ..disk("vda", 12) };
    let node = || {
        let mut disk = used("vda", 12);
        let label = "maekin-state".to_owned();
        disk.contents.partitions.push(crate::facts::contents::Partition { label, ..Default::default() });
        disk
    };
    let unreadable = || {
        let mut disk = disk("vda", 12);
        disk.contents.unreadable = Some("cable".to_owned());
        disk
    };
    let multipath = |name: &str| Disk { wwn: "0x5".into(), serial: "S".into(), ..disk(name, 12) };
    let rows: Vec<(&str, Vec<Disk>, Answers, &[&str])> = vec![
        ("no drive at all", vec![], answers(""), &["no drive is suitable"]),
        (
            "used",
            vec![used("vda", 12)],
            path("vda"),
            &["vda (QEMU HARDDISK, serial S-vda, 12.0 GiB)", "ext4 file system \"photos\"", "disks.consent"],
        ),
        ("a node", vec![node()], path("vda"), &["a Maekin node", "to start it, boot from this drive"]),
        ("too small", vec![disk("vda", 4)], path("vda"), &["4.0 GiB", "at least 8 GiB", "larger drive"]),
        ("4096 under BIOS", vec![big_sectors], path("vda"), &["BIOS can boot only", "UEFI"]),
        ("520", vec![Disk { sector: 520, ..disk("vda", 12) }], path("vda"), &["520 bytes"]),
        ("medium", vec![Disk { holds_medium: true, ..disk("vda", 12) }], path("vda"), &["started from it"]),
        ("read-only", vec![Disk { read_only: true, ..disk("vda", 12) }], path("vda"), &["write protection"]),
        ("unreadable", vec![unreadable()], path("vda"), &["it cannot be read (cable)", "replace it"]),
        (
            "mounted",
            vec![Disk { mounted: vec!["/mnt".into()], ..disk("vda", 12) }],
            path("vda"),
            &["in use (mounted on /mnt)"],
        ),
        ("not there", vec![disk("vda", 12)], path("vdq"), &["no such drive", "vda serial:S-vda 12.0 GiB"]),
        (
            "twice by two names",
            vec![disk("vda", 12)],
            named("\"path:/dev/vda\", \"serial:S-vda\""),
            &["it is vda again"],
        ),
        (
            "one drive by two paths",
            vec![multipath("sda"), multipath("sdb")],
            named("\"path:/dev/sda\", \"path:/dev/sdb\""),
            &["it is sdb again"],
        ),
        (
            "three equal ones",
            vec![disk("vda", 12), disk("vdb", 12), disk("vdc", 12)],
            answers(""),
            &["not clear: vda serial:S-vda 12.0 GiB, vdb", "name two of them"],
        ),
        (
            "one blank beside a used one",
            vec![used("vda", 12), disk("vdb", 12)],
            answers(""),
            &["vda", "not blank", "only vdb is free", "name it alone in disks.mirror"],
        ),
        ("unequal ones", vec![disk("vda", 12), disk("vdb", 20)], answers(""), &["not clear"]),
        (
            "several reasons at once",
            vec![Disk { read_only: true, sector: 4096, ..used("vda", 4) }],
            path("vda"),
            &["write protection", "UEFI", "at least 8 GiB", "not blank"],
        ),
        (
            "both drives at once",
            vec![used("vda", 12), disk("vdb", 4)],
            named("\"path:/dev/vda\", \"path:/dev/vdb\""),
            &["photos", "at least 8 GiB"],
        ),
    ];
    for (name, disks, answers, want) in rows {
        let err = plan(&machine(Firmware::Bios, disks), &answers, &manifest(), SEED).unwrap_err().to_string();
        for part in want {
            assert!(err.contains(part), "{name}: {part}\n{err}");
        }
    }
}

#[test]
fn a_bad_release_is_refused_before_any_drive_is_touched() {
    let large = |name: &str| {
        let mut manifest = manifest();
        manifest.files.insert(name.to_owned(), FileEntry { size: 2 << 30, sha256: String::new() });
        manifest
    };
    let without = |name: &str| {
        let mut manifest = manifest();
        manifest.files.remove(name);
        manifest
    };
    let rows = [
        ("root too large", large("root"), "a slot holds"),
        ("initrd too large", large("initrd"), "a slot of the ESP holds"),
        ("no root", without("root"), "no file root"),
        ("no shim", without("boot/efi/shimx64.efi"), "boot/efi/shimx64.efi"),
        ("no core", without("boot/bios/core.img"), "boot/bios/core.img"),
    ];
    for (name, manifest, want) in rows {
        let facts = machine(Firmware::Bios, vec![disk("vda", 12)]);
        let err = plan(&facts, &answers(""), &manifest, SEED).unwrap_err().to_string();
        assert!(err.contains(want), "{name}: {err}");
    }
}

#[test]
fn too_little_memory_is_refused_with_both_figures() {
    let with = |memory| Facts { memory, ..machine(Firmware::Bios, vec![disk("vda", 12)]) };
    let err = plan(&with(512 << 20), &answers(""), &manifest(), SEED).unwrap_err().to_string();
    assert!(err.contains("512.0 MiB of memory") && err.contains("needs 1.0 GiB"), "{err}");
    for memory in [0, 950 << 20, 2 << 30] {
        plan(&with(memory), &answers(""), &manifest(), SEED).unwrap();
    }
}

#[test]
fn consent_to_this_very_content_lets_it_go() {
    let old = used("vda", 12);
    let consent =
        |token: &str| answers(&format!("[disks]\nmirror = [\"path:/dev/vda\"]\nconsent = [\"{token}\"]\n"));
    let facts = machine(Firmware::Bios, vec![old.clone()]);
    let planned = plan(&facts, &consent(&consent::token(&old)), &manifest(), SEED).unwrap();
    assert_eq!(describe::losses(&planned), [format!("{}: ext4 file system \"photos\"", old.title())]);
    let mut changed = old.clone();
    changed.contents.ends = "f".repeat(64);
    let facts = machine(Firmware::Bios, vec![changed]);
    assert!(plan(&facts, &consent(&consent::token(&old)), &manifest(), SEED).is_err());
}

#[test]
fn an_interrupted_installation_may_be_repeated_without_consent() {
    let mut half = used("vda", 12);
    half.contents.unfinished = Some(SEED);
    plan(&machine(Firmware::Bios, vec![half]), &answers(""), &manifest(), SEED).unwrap();
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let facts = machine(Firmware::Uefi, vec![disk("vda", 12), disk("vdb", 12)]);
    let make = |seed| plan(&facts, &answers(""), &manifest(), seed).unwrap();
    assert_eq!(make(SEED), make(SEED));
    assert_ne!(make(SEED).node.machine_id, make(Uuid::from_u128(1)).node.machine_id);
}

#[test]
fn a_plain_password_is_hashed() {
    let mut answers = answers("");
    answers.password = Some(Password::Plain("correct horse".to_owned()));
    let facts = machine(Firmware::Bios, vec![disk("vda", 12)]);
    let plan = plan(&facts, &answers, &manifest(), SEED).unwrap();
    let hash = plan.node.admin.password_hash.clone().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(!format!("{:?}", plan.steps).contains("horse"));
}

fn position(plan: &Plan, wanted: impl Fn(&Step) -> bool) -> Vec<usize> {
    plan.steps.iter().enumerate().filter(|(_, step)| wanted(step)).map(|(i, _)| i).collect()
}

#[test]
fn nothing_comes_before_the_mark_and_nothing_but_boot_entries_after_the_commit() {
    let facts = machine(Firmware::Uefi, vec![used("vda", 12), disk("vdb", 12)]);
    let answers = answers(&format!(
        "[disks]\nmirror = [\"path:/dev/vda\", \"path:/dev/vdb\"]\nconsent = [\"{}\"]\n",
        consent::token(&facts.disks[0])
    ));
    let plan = plan(&facts, &answers, &manifest(), SEED).unwrap();
    assert_eq!(position(&plan, |s| matches!(s, Step::Release { .. })), [0, 1]);
    assert_eq!(position(&plan, |s| matches!(s, Step::Mark { .. })), [2, 3]);
    let n = plan.steps.len();
    assert_eq!(position(&plan, |s| matches!(s, Step::CommitEsp { .. })), [n - 8, n - 7]);
    assert_eq!(position(&plan, |s| matches!(s, Step::CommitMbr { .. })), [n - 6, n - 5]);
    assert_eq!(position(&plan, |s| matches!(s, Step::MarkInstalled { .. })), [n - 4, n - 3]);
    assert_eq!(position(&plan, |s| matches!(s, Step::BootEntry { .. })), [n - 2, n - 1]);
}

#[test]
fn halves_are_equal_by_construction_or_by_resync() {
    let slow = |name: &str| Disk { write_zeroes: false, ..disk(name, 12) };
    let rows = [
        ("both zero by themselves", vec![disk("vda", 12), disk("vdb", 12)], [true, true, true, true], (4, 0)),
        ("one does not", vec![disk("vda", 12), slow("vdb")], [true, false, false, false], (0, 1)),
        (
            "a large data half is resynced",
            vec![disk("vda", 480), disk("vdb", 480)],
            [true, true, true, false],
            (3, 0),
        ),
        ("one drive has nothing to be equal to", vec![slow("vda")], [true, true, true, true], (0, 0)),
    ];
    for (name, disks, clean, zeroed) in rows {
        let plan = plan(&machine(Firmware::Bios, disks), &answers(""), &manifest(), SEED).unwrap();
        let arrays = plan.steps.iter().filter_map(|s| match s {
            Step::CreateArray(array) => Some(array.assume_clean),
            _ => None,
        });
        assert_eq!(arrays.collect::<Vec<_>>(), clean, "{name}");
        let count = |wanted: fn(&Step) -> bool| position(&plan, wanted).len();
        let got = (count(|s| matches!(s, Step::Zero { .. })), count(|s| matches!(s, Step::ZeroRest { .. })));
        assert_eq!(got, zeroed, "{name}");
        // Where the data array is not zero by its members, it is zeroed where LVM would find its old group.
        let all = position(&plan, |s| matches!(s, Step::Zero { array, .. } if array == Array::Data.name()));
        let head = position(&plan, |s| matches!(s, Step::ZeroHead { len, .. } if *len >= 65 << 20));
        assert_eq!(all.len() + head.len(), 1, "{name}: nothing that was on it before is shown again");
        let made = |s: &Step| matches!(s, Step::CreateArray(array) if array.name == Array::Data.name());
        assert!(head.iter().all(|at| *at == position(&plan, made)[0] + 1), "{name}");
    }
}

#[test]
fn one_drive_gets_arrays_with_a_missing_half() {
    let plan =
        plan(&machine(Firmware::Bios, vec![disk("vda", 12)]), &answers(""), &manifest(), SEED).unwrap();
    for step in &plan.steps {
        if let Step::CreateArray(array) = step {
            assert_eq!(
                (array.members.len(), array.members[0].is_some(), &array.members[1]),
                (2, true, &None)
            );
        }
    }
}

#[test]
fn drives_with_large_sectors_get_no_bios_loader() {
    let large = |name: &str| Disk { sector: 4096, ..disk(name, 12) };
    let facts = machine(Firmware::Uefi, vec![large("vda"), large("vdb")]);
    let plan = plan(&facts, &answers(""), &manifest(), SEED).unwrap();
    assert!(position(&plan, |s| matches!(s, Step::BiosCore { .. })).is_empty());
    let commits = position(&plan, |s| matches!(s, Step::CommitMbr { core_lba: None, .. }));
    assert_eq!(commits.len(), 2);
}

#[test]
fn erased_ranges_cover_old_and_new_ends_and_spare_the_first_sector() {
    let mut old = used("vda", 12);
    old.contents.partitions.push(crate::facts::contents::Partition {
        number: 1,
        start: 5 << 30,
        size: 1 << 30,
        ..Default::default()
    });
    let answers = answers(&format!("[disks]\nconsent = [\"{}\"]\n", consent::token(&old)));
    let plan = plan(&machine(Firmware::Bios, vec![old]), &answers, &manifest(), SEED).unwrap();
    let ranges = plan.steps.iter().find_map(|s| match s {
        Step::Erase { ranges, .. } => Some(ranges.clone()),
        _ => None,
    });
    let ranges = ranges.unwrap();
    let covers = |at: u64| ranges.iter().any(|(start, len)| (*start..start + len).contains(&at));
    for (name, at) in [
        ("second sector", 512),
        ("last sector", (12 << 30) - 1),
        ("start of the old partition", 5 << 30),
        ("end of the old partition", (6 << 30) - 1),
        ("start of the ESP", plan.layout[1].start),
        ("end of data", plan.layout[5].start + plan.layout[5].size - 1),
    ] {
        assert!(covers(at), "{name}");
    }
    assert!(!covers(0), "first sector");
    assert!(ranges.windows(2).all(|w| w[0].0 + w[0].1 < w[1].0), "sorted, apart");
}

#[test]
fn an_old_system_stops_booting_drive_by_drive_before_anything_else_is_touched() {
    let esp = |number: u32, start: u64, kind: &str| crate::facts::contents::Partition {
        number,
        start,
        size: 512 << 20,
        kind: kind.to_owned(),
        ..Default::default()
    };
    let old = |name: &str| {
        let mut old = used(name, 12);
        old.contents.partitions.push(esp(1, 1 << 20, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"));
        old.contents.partitions.push(esp(2, 600 << 20, "0fc63daf-8483-4772-8e79-3d69d8477de4"));
        old
    };
    let (a, b) = (old("vda"), old("vdb"));
    let consented =
        answers(&format!("[disks]\nconsent = [\"{}\", \"{}\"]\n", consent::token(&a), consent::token(&b)));
    let plan = plan(&machine(Firmware::Uefi, vec![a, b]), &consented, &manifest(), SEED).unwrap();
    let first: Vec<String> = plan.steps.iter().skip(2).take(5).map(Step::label).collect();
    let want = [
        "marking vda as unfinished",
        "making vda unbootable",
        "marking vdb as unfinished",
        "making vdb unbootable",
        "erasing old signatures on vda",
    ];
    assert_eq!(first, want);
    let zeroed = plan.steps.iter().find_map(|s| match s {
        Step::Unboot { ranges, .. } => Some(ranges.clone()),
        _ => None,
    });
    assert_eq!(zeroed.unwrap(), [(1 << 20, 512)], "one sector of the ESP, and of nothing else");
}

#[test]
fn the_printed_plan_tells_losses_and_tokens() {
    let old = used("vda", 12);
    let token = consent::token(&old);
    let answers = answers(&format!("[disks]\nconsent = [\"{token}\"]\n"));
    let plan = plan(&machine(Firmware::Bios, vec![old]), &answers, &manifest(), SEED).unwrap();
    let text = describe::full(&plan);
    for part in ["LOST: ext4 file system \"photos\"", token.as_str(), "maekin-state", "writing the system"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// The whole plan for a captured situation, word by word; `MAEKIN_BLESS=1` takes a change that is meant.
#[test]
fn the_plan_of_a_mirror_is_known_word_by_word() {
    let old = used("vda", 12);
    let facts = machine(Firmware::Uefi, vec![old.clone(), disk("vdb", 12)]);
    let token = consent::token(&old);
    let answers = answers(&format!(
        "[disks]\nmirror = [\"serial:S-vda\", \"serial:S-vdb\"]\nconsent = [\"{token}\"]\n"
    ));
    let text = describe::full(&plan(&facts, &answers, &manifest(), SEED).unwrap());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plan-mirror.txt");
    if std::env::var_os("MAEKIN_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "the plan has changed:\n{text}");
}
