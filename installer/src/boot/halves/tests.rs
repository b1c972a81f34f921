use super::*;

const INSTALL: Uuid = Uuid::from_u128(7);
const SPARE: u16 = 0xffff;

/// The superblock of the half on `drive`, which sees the other half or not.
fn block(array: Array, drive: u8, events: u64, sees_other: bool) -> Superblock {
    let role = u16::from(drive);
    let mut roles = vec![SPARE; 8];
    roles[usize::from(drive)] = role;
    if sees_other {
        roles[usize::from(1 - drive)] = 1 - role;
    }
    Superblock {
        features: 0,
        set_uuid: ids::md_uuid(INSTALL, array),
        set_name: format!("any:{}", array.name()),
        ctime: 1_700_000_000,
        level: 1,
        size: 1 << 20,
        raid_disks: 2,
        bitmap_offset: None,
        data_offset: 0,
        data_size: 1 << 20,
        super_offset: 8,
        recovery_offset: None,
        dev_number: u32::from(drive),
        device_uuid: Uuid::from_u128(100 + u128::from(drive)),
        utime: 1_700_000_000 + events,
        events,
        resync_offset: None,
        bad_blocks: false,
        roles,
    }
}

fn half(array: Array, block: Superblock) -> Half {
    let drive = u8::try_from(block.dev_number & 1).unwrap();
    let name = if drive == 0 { "vda" } else { "vdb" };
    Half { drive, path: format!("/dev/{name}{}", array.part().number()).into(), block: Ok(block) }
}

/// A half that sees the other one, and one that does not.
fn both(array: Array, drive: u8, events: u64) -> Half {
    half(array, block(array, drive, events, true))
}

fn alone(array: Array, drive: u8, events: u64) -> Half {
    half(array, block(array, drive, events, false))
}

fn recovering(array: Array, drive: u8, events: u64) -> Half {
    half(array, Superblock { recovery_offset: Some(4096), ..block(array, drive, events, true) })
}

fn found(halves: Vec<(Array, Vec<Half>)>) -> Found {
    Found { install: INSTALL, halves: halves.into_iter().collect() }
}

/// A decision in few words: what is taken of each array, what is stale, whose ESP is believed.
fn words(found: &Found, keep: Option<u8>) -> String {
    match decide(found, keep) {
        Ok(decision) => {
            let drives = |paths: &Vec<PathBuf>| -> String {
                paths
                    .iter()
                    .map(|p| if p.display().to_string().starts_with("/dev/vda") { '0' } else { '1' })
                    .collect()
            };
            let take: Vec<String> = decision
                .take
                .iter()
                .map(|(array, paths)| format!("{}:{}", &array.name()[7..], drives(paths)))
                .collect();
            let stale: Vec<String> =
                decision.stale.iter().map(|s| format!("{}:{}", &s.array[7..], s.drive)).collect();
            format!("take {} stale {} believe {}", take.join(" "), stale.join(" "), decision.believed[0])
        }
        Err(split) => {
            let reasons: Vec<_> =
                split.reasons.iter().map(|(a, why)| format!("{}: {why}", &a.name()[7..])).collect();
            format!("refused, {}", reasons.join(", "))
        }
    }
}

/// One array, the settings.
fn state(halves: Vec<Half>) -> Found {
    found(vec![(Array::State, halves)])
}

#[test]
fn halves_of_one_array() {
    let s = Array::State;
    let rows: Vec<(&str, Vec<Half>, &str)> = vec![
        ("whole", vec![both(s, 0, 8), both(s, 1, 8)], "take state:01 stale  believe 0"),
        (
            "power cut between the superblocks",
            vec![both(s, 0, 8), both(s, 1, 9)],
            "take state:01 stale  believe 0",
        ),
        ("one missing", vec![both(s, 1, 8)], "take state:1 stale  believe 1"),
        ("one missing since long", vec![alone(s, 0, 8)], "take state:0 stale  believe 0"),
        (
            "the second ran on alone",
            vec![both(s, 0, 8), alone(s, 1, 30)],
            "take state:1 stale state:0 believe 1",
        ),
        (
            "the first ran on alone",
            vec![alone(s, 0, 30), both(s, 1, 8)],
            "take state:0 stale state:1 believe 0",
        ),
        // The count went down when the array came to rest, which the pulled drive did not see any more.
        (
            "pulled in the moment of rest",
            vec![alone(s, 0, 9), both(s, 1, 9)],
            "take state:0 stale state:1 believe 0",
        ),
        // A third drive had the place of the second meanwhile, and is away now.
        (
            "stale, put back for a third drive",
            vec![both(s, 0, 30), both(s, 1, 8)],
            "take state:0 stale state:1 believe 0",
        ),
        (
            "the same, the other way",
            vec![both(s, 0, 8), both(s, 1, 30)],
            "take state:1 stale state:0 believe 1",
        ),
        (
            "each ran alone",
            vec![alone(s, 0, 30), alone(s, 1, 90)],
            "refused, state: each half was used without the other",
        ),
        (
            "each ran alone as long",
            vec![alone(s, 0, 30), alone(s, 1, 30)],
            "refused, state: each half was used without the other",
        ),
        (
            "alone, yet with less life than the one that was given up",
            vec![alone(s, 0, 8), both(s, 1, 30)],
            "refused, state: the halves contradict each other",
        ),
        ("resync interrupted", vec![both(s, 0, 8), recovering(s, 1, 8)], "take state:01 stale  believe 0"),
        (
            "resync interrupted, the other way",
            vec![recovering(s, 0, 9), both(s, 1, 8)],
            "take state:01 stale  believe 0",
        ),
        (
            "resync interrupted long ago",
            vec![both(s, 0, 80), recovering(s, 1, 8)],
            "take state:0 stale state:1 believe 0",
        ),
        // The whole half was pulled while the other was resynced: md goes on writing superblocks, but not data.
        (
            "resync, source pulled",
            vec![both(s, 0, 8), recovering(s, 1, 12)],
            "take state:0 stale state:1 believe 0",
        ),
        (
            "only the one that was being resynced",
            vec![recovering(s, 1, 8)],
            "refused, state: the only half that is here was not brought up to date completely, the other has to come back",
        ),
        (
            "both being resynced",
            vec![recovering(s, 0, 8), recovering(s, 1, 8)],
            "refused, state: the only half that is here was not brought up to date completely, the other has to come back",
        ),
        ("nothing", vec![], "take  stale  believe 0"),
    ];
    for (name, halves, want) in rows {
        assert_eq!(words(&state(halves), None), want, "{name}");
    }
}

#[test]
fn members_that_are_none_are_left_out_and_told() {
    let s = Array::State;
    let bad = |change: fn(&mut Superblock)| {
        let mut block = block(s, 1, 500, true);
        change(&mut block);
        half(s, block)
    };
    let rows: Vec<(&str, Half, &str)> = vec![
        ("another array", bad(|b| b.set_uuid = Uuid::from_u128(1)), "belongs to another array"),
        ("another level", bad(|b| b.level = 5), "no mirror of two"),
        ("three halves", bad(|b| b.raid_disks = 3), "no mirror of two"),
        ("given up", bad(|b| b.roles[1] = 0xfffe), "given it up"),
        ("spare", bad(|b| b.roles[1] = SPARE), "not part of the array yet"),
        ("a third role", bad(|b| b.roles[1] = 2), "does not have"),
        (
            "damaged",
            Half { block: Err("its md superblock is damaged".to_owned()), ..both(s, 1, 500) },
            "/dev/vdb5 is not taken for maekin-state: its md superblock is damaged",
        ),
    ];
    for (name, half, want) in rows {
        let found = state(vec![both(s, 0, 8), half]);
        assert_eq!(words(&found, None), "take state:0 stale  believe 0", "{name}");
        let notes = decide(&found, None).unwrap().notes;
        assert!(notes.len() == 1 && notes[0].contains(want), "{name}: {notes:?}");
    }
    let copy =
        half(s, Superblock { dev_number: 0, roles: block(s, 0, 9, true).roles, ..block(s, 1, 9, true) });
    let copy = Half { drive: 1, path: "/dev/vdb5".into(), ..copy };
    assert_eq!(
        words(&state(vec![both(s, 0, 8), copy]), None),
        "refused, state: one half is a copy of the other"
    );
}

#[test]
fn all_arrays_are_judged_together() {
    use Array::{Data, State, SystemA, SystemB};
    let whole = |array| (array, vec![both(array, 0, 3), both(array, 1, 3)]);
    type Row = (&'static str, Vec<(Array, Vec<Half>)>, &'static str);
    let rows: Vec<Row> = vec![
        (
            "what was not written to while the second ran alone is equal on both",
            vec![whole(SystemA), whole(SystemB), (State, vec![both(State, 0, 8), alone(State, 1, 40)])],
            "take a:01 b:01 state:1 stale state:0 believe 1",
        ),
        (
            "one array is newer on each drive: bad sectors in two places",
            vec![
                (State, vec![alone(State, 0, 9), both(State, 1, 8)]),
                (Data, vec![both(Data, 0, 5), alone(Data, 1, 9)]),
            ],
            "take state:0 data:1 stale state:1 data:0 believe 0",
        ),
        (
            "the newer half of the settings cannot be read: no way back to older ones",
            vec![
                (
                    State,
                    vec![Half { block: Err("damaged".to_owned()), ..both(State, 0, 9) }, both(State, 1, 8)],
                ),
                (Data, vec![alone(Data, 0, 9), both(Data, 1, 5)]),
            ],
            "refused, state: only a half of the drive that is older elsewhere is usable",
        ),
        (
            "... but a system image is checked by its digest anyway",
            vec![(SystemA, vec![both(SystemA, 1, 1)]), (State, vec![alone(State, 0, 9), both(State, 1, 8)])],
            "take a:1 state:0 stale state:1 believe 0",
        ),
        (
            "one split array is enough",
            vec![
                whole(SystemA),
                (State, vec![alone(State, 0, 9), alone(State, 1, 8)]),
                (Data, vec![both(Data, 0, 5), alone(Data, 1, 9)]),
            ],
            "refused, state: each half was used without the other",
        ),
    ];
    for (name, halves, want) in rows {
        assert_eq!(words(&found(halves), None), want, "{name}");
    }
}

#[test]
fn a_person_chooses_only_what_cannot_be_decided() {
    use Array::{Data, State, SystemA};
    let split = || {
        found(vec![
            (SystemA, vec![both(SystemA, 0, 1), both(SystemA, 1, 1)]),
            (State, vec![alone(State, 0, 9), alone(State, 1, 8)]),
            (Data, vec![both(Data, 0, 5), alone(Data, 1, 9)]),
        ])
    };
    assert_eq!(words(&split(), Some(0)), "take a:01 state:0 data:0 stale state:1 data:1 believe 0");
    assert_eq!(words(&split(), Some(1)), "take a:01 state:1 data:1 stale state:0 data:0 believe 1");
    let stale = state(vec![both(State, 0, 8), alone(State, 1, 30)]);
    assert_eq!(
        words(&stale, Some(0)),
        words(&stale, None),
        "the newer one wins, whatever the command line says"
    );
    let half =
        found(vec![(State, vec![alone(State, 0, 9), alone(State, 1, 8)]), (Data, vec![both(Data, 1, 9)])]);
    assert!(words(&half, Some(0)).starts_with("refused"), "drive 0 has no half of data");
    assert_eq!(words(&half, Some(1)), "take state:1 data:1 stale state:0 believe 1");
    let copied = state(vec![both(State, 0, 9), recovering(State, 1, 9), recovering(State, 1, 9)]);
    assert_eq!(words(&copied, Some(1)), "take state:01 stale  believe 0", "nothing is open");
    let lone = state(vec![recovering(State, 1, 9)]);
    assert!(words(&lone, Some(1)).starts_with("refused"), "half a copy is not chosen");
}

#[test]
fn every_mixture_of_views_gives_one_source_or_a_refusal() {
    // However two halves see each other, an array never gets an older half beside a newer one, and exchanging the
    // drives exchanges the decision.
    let s = Array::State;
    for events in 1..6u64 {
        for other in 1..6u64 {
            for (sees_0, sees_1) in [(true, true), (true, false), (false, true), (false, false)] {
                let make = |swap: bool| {
                    let (e0, e1, s0, s1) =
                        if swap { (other, events, sees_1, sees_0) } else { (events, other, sees_0, sees_1) };
                    state(vec![half(s, block(s, 0, e0, s0)), half(s, block(s, 1, e1, s1))])
                };
                let name = format!("{events} {sees_0} and {other} {sees_1}");
                match (decide(&make(false), None), decide(&make(true), None)) {
                    (Ok(one), Ok(two)) => {
                        let (one, two) = (&one.take[&s], &two.take[&s]);
                        assert_eq!(one.len(), two.len(), "{name}");
                        if let ([one], [two]) = (one.as_slice(), two.as_slice()) {
                            assert_ne!(one, two, "{name}");
                            let newer = one == Path::new("/dev/vda5");
                            assert!(if newer { events >= other } else { other >= events }, "{name}");
                        } else {
                            assert!(sees_0 && sees_1 && events.abs_diff(other) <= 1, "{name}");
                        }
                    }
                    (Err(_), Err(_)) => assert!(!(sees_0 && sees_1), "{name}"),
                    (one, two) => panic!("{name}: {one:?} but exchanged {two:?}"),
                }
            }
        }
    }
}

#[test]
fn a_refusal_says_all_that_a_person_needs() {
    let found = state(vec![alone(Array::State, 0, 30), alone(Array::State, 1, 7_200)]);
    let text = decide(&found, None).unwrap_err().text(&[Some("vda (serial A1, 10.0 GiB)".to_owned()), None]);
    for want in [
        "nothing was touched",
        "maekin-state: each half was used without the other",
        "drive 0, vda (serial A1, 10.0 GiB): in use until 2023-11-14 22:13 UTC",
        "drive 1, which cannot be described: in use until 2023-11-15 00:13 UTC",
        "maekin-installer keep 0",
        "take out",
    ] {
        assert!(text.contains(want), "{want}: {text}");
    }
    assert_eq!(moment(0), "an unknown time");
    assert_eq!(moment(u64::MAX), "an unknown time");
}

#[test]
fn the_kept_drive_is_named_by_place_or_serial() {
    let serials = |a: &str, b: &str| [Some(a.to_owned()), Some(b.to_owned())];
    for (word, pair, want) in [
        ("0", serials("A", "B"), Some(0)),
        ("1", serials("A", "B"), Some(1)),
        ("B", serials("A", "B"), Some(1)),
        ("C", serials("A", "B"), None),
        ("A", serials("A", "A"), None),
        ("A", [None, Some("A".to_owned())], Some(1)),
    ] {
        assert_eq!(keep(word, &pair), want, "{word} of {pair:?}");
    }
}
