//! What holds for every plan, whatever the machine and the answers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use maekin_host::block::{Signature, partition_path};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::tests::{SEED, answers, manifest};
use super::{Plan, Step, consent, plan};
use crate::answers::{Answers, Mirror, Rules, Selector, Transport};
use crate::facts::contents::Partition;
use crate::facts::tests::machine;
use crate::facts::{Contents, Detail, Disk, Facts, Firmware, Health, Osd, PreviousNode};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const NAMES: [&str; 6] = ["sda", "sdb", "sdc", "nvme0n1", "nvme0n2", "vda"];

fn signature() -> impl Strategy<Value = Signature> {
    let kinds = select(vec!["ext4", "gpt", "linux_raid_member", "LVM2_member", "ceph_bluestore"]);
    (kinds, option::of("[a-z]{0,3}")).prop_map(|(kind, label)| Signature {
        offset: "0x0".to_owned(),
        r#type: kind.to_owned(),
        uuid: None,
        label,
        usage: None,
    })
}

fn detail() -> impl Strategy<Value = Detail> {
    let osd = Osd { id: Some(3), uuid: "u".into(), cluster: "c".into(), part: "block".into() };
    prop_oneof![
        Just(Detail::Osd(osd)),
        (0..9u64).prop_map(|at| Detail::FileSystem {
            fstype: "ext4".into(),
            label: "x".into(),
            mounted_on: String::new(),
            used: Some(at),
        }),
        (any::<bool>(), any::<bool>()).prop_map(|(primary, backup)| Detail::Gpt { primary, backup }),
    ]
}

/// Old partitions lie anywhere, also where a drive cannot have any.
fn partition() -> impl Strategy<Value = Partition> {
    let place = prop_oneof![0..64 * GIB, any::<u64>()];
    let size = prop_oneof![0..64 * GIB, any::<u64>()];
    let label = select(vec!["", "data", "maekin-state"]);
    (1..9u32, place, size, label, vec(signature(), 0..2)).prop_map(
        |(number, start, size, label, signatures)| Partition {
            number,
            start,
            size,
            label: label.to_owned(),
            signatures,
            ..Partition::default()
        },
    )
}

fn contents() -> impl Strategy<Value = Contents> {
    let odd = (
        vec(signature(), 0..3),
        vec(partition(), 0..4),
        vec(detail(), 0..2),
        "[0-9a-f]{0,4}",
        option::weighted(0.1, Just(SEED)),
        option::weighted(0.1, Just("cable".to_owned())),
        option::weighted(0.1, Just(PreviousNode { hostname: "old".into(), ..PreviousNode::default() })),
    );
    let odd = odd.prop_map(|(signatures, partitions, details, ends, unfinished, unreadable, previous)| {
        Contents { signatures, partitions, details, ends, unfinished, unreadable, previous }
    });
    prop_oneof![2 => Just(Contents::default()), 3 => odd]
}

fn disk() -> impl Strategy<Value = Disk> {
    let size = prop_oneof![
        4 => select(vec![12 * GIB, 12 * GIB + 512, 240 * GIB, 30_724_715_847_680]),
        1 => any::<u64>().prop_map(|n| n / 512 * 512),
        1 => 0..16 * GIB,
    ];
    let rare = || proptest::bool::weighted(0.1);
    let words = (
        select(vec!["", "S1", "S2"]),
        select(vec!["", "0x5", "0x6"]),
        select(vec!["nvme", "sata", "usb", ""]),
    );
    (
        size,
        select(vec![512u64, 512, 4096, 520]),
        words,
        (rare(), rare(), rare(), rare(), rare()),
        any::<bool>(),
        contents(),
    )
        .prop_map(|(size, sector, (serial, wwn, transport), flags, write_zeroes, contents)| Disk {
            size,
            sector,
            physical_sector: sector,
            serial: serial.to_owned(),
            wwn: wwn.to_owned(),
            transport: transport.to_owned(),
            removable: flags.0,
            read_only: flags.1,
            holds_medium: flags.2,
            mounted: if flags.3 { vec!["/mnt".to_owned()] } else { Vec::new() },
            virtual_media: flags.4.then(|| "a management controller".to_owned()),
            health: flags.0.then(Health::default),
            write_zeroes,
            contents,
            ..Disk::default()
        })
}

fn facts() -> impl Strategy<Value = Facts> {
    let firmware = select(vec![Firmware::Bios, Firmware::Uefi]);
    (firmware, vec(disk(), 0..6)).prop_map(|(firmware, mut disks)| {
        for (disk, name) in disks.iter_mut().zip(NAMES) {
            disk.name = name.to_owned();
            disk.path = format!("/dev/{name}").into();
        }
        machine(firmware, disks)
    })
}

fn selector() -> impl Strategy<Value = Selector> {
    let rules =
        (option::of(select(vec![Transport::Nvme, Transport::Sata])), option::of(0..300 * GIB), 1..3usize);
    prop_oneof![
        4 => select(NAMES.to_vec()).prop_map(|name| Selector::Path(format!("/dev/{name}"))),
        1 => select(vec!["S1", "S2"]).prop_map(|serial| Selector::Serial(serial.to_owned())),
        1 => select(vec!["0x5", "0x6"]).prop_map(|wwn| Selector::Wwn(wwn.to_owned())),
        2 => rules.prop_map(|(transport, max, count)| {
            Selector::Rules(Box::new(Rules { transport, max, count, ..Rules::default() }))
        }),
    ]
}

/// Answers that consent to the contents of some of the drives.
fn case() -> impl Strategy<Value = (Facts, Answers)> {
    let mirror = prop_oneof![Just(Mirror::Auto), vec(selector(), 1..3).prop_map(Mirror::Named)];
    (facts(), mirror, vec(any::<bool>(), 6)).prop_map(|(facts, mirror, given)| {
        let mut answers = answers("");
        answers.mirror = mirror;
        answers.consent = facts
            .disks
            .iter()
            .zip(given)
            .filter(|(_, given)| *given)
            .map(|(disk, _)| consent::token(disk))
            .collect();
        (facts, answers)
    })
}

/// Every path under `/dev` that a step names, whatever kind of step it is.
fn devices(step: &Step) -> BTreeSet<PathBuf> {
    let text = format!("{step:?}");
    let starts = text.match_indices("\"/dev/").map(|(at, _)| at + 1);
    starts.map(|at| PathBuf::from(text[at..].split('"').next().unwrap_or_default())).collect()
}

/// Byte ranges of a step that names them, of drive `disk`.
fn ranges<'a>(plan: &'a Plan, disk: &'a Path) -> impl Iterator<Item = Vec<(u64, u64)>> + 'a {
    plan.steps.iter().filter_map(move |step| match step {
        Step::Erase { disk: d, ranges } | Step::Unboot { disk: d, ranges } if d == disk => {
            Some(ranges.clone())
        }
        Step::Table { disk: d, parts, .. } if d == disk => {
            Some(parts.iter().map(|p| (p.start, p.size)).collect())
        }
        _ => None,
    })
}

fn check(facts: &Facts, answers: &Answers, plan: &Plan) {
    let chosen: Vec<&Disk> =
        plan.drives.iter().map(|d| facts.disks.iter().find(|disk| disk.path == d.path).unwrap()).collect();
    assert!((1..=2).contains(&chosen.len()));
    if let [a, b] = chosen.as_slice() {
        assert!(!a.is_same_drive(b), "one drive twice");
    }
    for disk in &chosen {
        assert!(!disk.read_only && !disk.holds_medium && disk.virtual_media.is_none(), "{}", disk.title());
        assert!(disk.mounted.is_empty() && disk.contents.unreadable.is_none(), "{}", disk.title());
        assert!(disk.sector == 512 || (disk.sector == 4096 && facts.firmware == Firmware::Uefi));
        assert!(disk.contents.is_free() || answers.consent.contains(&consent::token(disk)), "no consent");
        let told = plan.drives.iter().find(|d| d.path == disk.path).unwrap();
        assert_eq!(told.dies.is_empty(), disk.contents.is_free(), "what dies is told");
        for list in ranges(plan, &disk.path) {
            let mut sorted = list.clone();
            sorted.sort_unstable();
            for (start, len) in &sorted {
                assert!(start % disk.sector == 0 && len % disk.sector == 0, "whole sectors: {start} {len}");
                assert!(*start >= disk.sector, "the first sector is not erased");
                // A drive's end that is no whole sector does not exist.
                assert!(
                    start + len <= disk.size.next_multiple_of(disk.sector),
                    "within the drive: {start} {len}"
                );
            }
            assert!(sorted.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "apart: {sorted:?}");
        }
    }
    let allowed: BTreeSet<PathBuf> = chosen
        .iter()
        .flat_map(|disk| (1..=6).map(|n| partition_path(&disk.path, n)).chain([disk.path.clone()]))
        .collect();
    for step in &plan.steps {
        for device in devices(step) {
            assert!(allowed.contains(&device), "{} is touched by {}", device.display(), step.label());
        }
    }
    let smallest = chosen.iter().map(|d| d.size).min().unwrap();
    for pair in plan.layout.windows(2) {
        assert!(pair[0].start + pair[0].size <= pair[1].start, "partitions overlap");
    }
    assert!(plan.layout.iter().all(|e| e.start % MIB == 0 && e.start + e.size < smallest));
    for disk in &facts.disks {
        let is_chosen = chosen.iter().any(|c| c.is_same_drive(disk));
        let is_kept = plan.kept.iter().any(|k| k.path == disk.path);
        assert!(!(is_chosen && is_kept), "{} is both", disk.title());
        let osd = !disk.contents.osds().is_empty() && !disk.holds_medium && disk.virtual_media.is_none();
        assert!(!osd || is_chosen || is_kept, "an OSD is not told of");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_touches_only_what_was_chosen_and_may_be_touched((facts, answers) in case()) {
        match plan(&facts, &answers, &manifest(), SEED) {
            Ok(made) => {
                check(&facts, &answers, &made);
                prop_assert_eq!(Ok(made), plan(&facts, &answers, &manifest(), SEED));
            }
            Err(refusals) => {
                prop_assert!(!refusals.0.is_empty());
                prop_assert!(refusals.0.iter().all(|r| !r.reason.is_empty() && !r.remedy.is_empty()));
            }
        }
    }

    #[test]
    fn a_token_fits_only_the_contents_that_it_was_printed_for(old in disk(), new in contents()) {
        let changed = Disk { contents: new.clone(), ..old.clone() };
        // What a probe found out about them is all that can tell contents apart; whether an installation was interrupted
        // there, and what could not be read, is no content.
        let content = |c: &Contents| Contents { unfinished: None, unreadable: None, previous: None, ..c.clone() };
        let same = content(&old.contents) == content(&new);
        prop_assert_eq!(consent::token(&old) == consent::token(&changed), same);
    }

    #[test]
    fn a_token_fits_only_the_drive_that_it_was_printed_for(old in disk(), serial in "[A-Z]{3}", more in 1..9u64) {
        prop_assert_ne!(consent::token(&old), consent::token(&Disk { serial, ..old.clone() }));
        let size = old.size.wrapping_add(more);
        prop_assert_ne!(consent::token(&old), consent::token(&Disk { size, ..old }));
    }
}

/// The strategy above is of use only if it makes plans: of every kind, and not only refusals.
#[test]
fn many_of_the_cases_are_plans() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut plans, mut pairs, mut losses) = (0, 0, 0);
    for _ in 0..2000 {
        let (facts, answers) = case().new_tree(&mut runner).unwrap().current();
        if let Ok(made) = plan(&facts, &answers, &manifest(), SEED) {
            plans += 1;
            pairs += usize::from(made.drives.len() == 2);
            losses += usize::from(made.drives.iter().any(|d| !d.dies.is_empty()));
        }
    }
    assert!(plans > 150 && pairs > 20 && losses > 50, "{plans} {pairs} {losses}");
}
