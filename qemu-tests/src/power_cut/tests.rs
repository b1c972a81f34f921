use super::*;
use crate::recorder::log::Writer;

fn log(dir: &Path, entries: &[(u8, Op, u64, &[u8], bool)]) -> Log {
    let mut writer = Writer::create(dir).unwrap();
    for (drive, op, offset, bytes, fua) in entries {
        let len = bytes.len() as u64;
        let entry = Entry { drive: *drive, op: *op, offset: *offset, len, fua: *fua, data: 0, at: 0 };
        writer.append(&entry, if *op == Op::Write { bytes } else { &[] }).unwrap();
    }
    writer.sync().unwrap();
    Log::open(dir).unwrap()
}

fn image(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, [9; 8192]).unwrap();
    path
}

#[test]
fn what_was_flushed_stays_and_what_was_not_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two, three) = ([1; 1024], [2; 1024], [3; 512]);
    let log = log(
        dir.path(),
        &[
            (0, Op::Write, 0, &one, false),
            (1, Op::Write, 0, &one, false),
            (0, Op::Flush, 0, &[], false),
            (0, Op::Write, 0, &two, false),
            (0, Op::Write, 4096, &three, true),
        ],
    );
    let images = [image(dir.path(), "a"), image(dir.path(), "b")];
    let mut replay = Replay::start(&log, &images).unwrap();
    replay.advance(5).unwrap();
    assert_eq!(replay.volatile(), 3);
    let at = |i: usize, place: usize| std::fs::read(&images[i]).unwrap()[place];
    let rows = [
        ("nothing lost", Loss::Nothing, [2, 1, 3]),
        ("everything lost but what is durable by itself", Loss::Everything, [1, 9, 3]),
    ];
    for (name, loss, want) in rows {
        let seen = replay.cut(loss, || [at(0, 0), at(1, 0), at(0, 4096)]).unwrap();
        assert_eq!(seen, want, "{name}");
        assert_eq!([at(0, 0), at(1, 0), at(0, 4096)], [1, 9, 9], "{name}: and back");
    }
    replay.stop(Loss::Nothing).unwrap();
    assert_eq!([at(0, 0), at(1, 0), at(0, 4096), at(0, 2048)], [2, 1, 3, 9]);
}

#[test]
fn torn_writes_are_torn_between_sectors() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), &[(0, Op::Write, 512, &[5; 4096], false)]);
    let images = [image(dir.path(), "a")];
    let mut replay = Replay::start(&log, &images).unwrap();
    replay.advance(1).unwrap();
    let seed = (0..).find(|seed| matches!(Loss::Some(*seed).fate(0), Fate::Torn(_))).unwrap();
    let seen = replay.cut(Loss::Some(seed), || std::fs::read(&images[0]).unwrap()).unwrap();
    let sectors: Vec<u8> =
        seen.chunks(512).map(|s| if s.iter().all(|b| *b == s[0]) { s[0] } else { 0 }).collect();
    assert!(sectors.iter().all(|s| [5, 9].contains(s)), "{sectors:?}");
    assert!(sectors.contains(&5) && sectors[1..9].contains(&9) && sectors[0] == 9, "{sectors:?}");
}

#[test]
fn zeroing_is_replayed_and_undone() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path(), &[(0, Op::Zero, 512, &[0; 2048], false)]);
    let images = [image(dir.path(), "a")];
    let mut replay = Replay::start(&log, &images).unwrap();
    replay.advance(1).unwrap();
    let sum = || std::fs::read(&images[0]).unwrap().iter().map(|b| u64::from(*b)).sum::<u64>();
    assert_eq!(replay.cut(Loss::Nothing, sum).unwrap(), 9 * (8192 - 2048));
    assert_eq!(sum(), 9 * 8192);
}
