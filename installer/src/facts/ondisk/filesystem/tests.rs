use super::*;
use crate::facts::ondisk::bytes::Capture;

/// The superblock and the root directory's inode of an XFS of 320 MiB that xfsprogs 6.13 made.
const XFS: &[u8] = include_bytes!("../../../../fixtures/xfs-head.bin");
const XFS_ROOT: &[u8] = include_bytes!("../../../../fixtures/xfs-root.bin");
/// The first 512 bytes of a container that cryptsetup 2.7 made.
const LUKS: &[u8] = include_bytes!("../../../../fixtures/luks2-head.bin");

fn capture(pieces: &[(u64, &[u8])]) -> Capture {
    let pieces = pieces.iter().map(|(at, bytes)| (*at, bytes.to_vec())).collect();
    Capture { size: 1 << 30, pieces }
}

fn ext(mounted: u32, written: u32, high: u8) -> Capture {
    let mut block = vec![0; 1024];
    block[0x38..0x3a].copy_from_slice(&0xef53u16.to_le_bytes());
    block[0x2c..0x30].copy_from_slice(&mounted.to_le_bytes());
    block[0x30..0x34].copy_from_slice(&written.to_le_bytes());
    block[0x274] = high;
    block[0x78..0x7e].copy_from_slice(b"photos");
    block[0x88..0x8c].copy_from_slice(b"/srv");
    capture(&[(1024, &block)])
}

#[test]
fn an_ext_file_system_says_when_and_where_it_was_used() {
    for (mounted, written, high, used) in
        [(5, 9, 0, Some(9)), (9, 5, 0, Some(9)), (0, 0, 0, None), (1, 2, 1, Some((1 << 32) + 2))]
    {
        let want = Detail::FileSystem {
            fstype: "ext4".to_owned(),
            label: "photos".to_owned(),
            mounted_on: "/srv".to_owned(),
            used,
        };
        assert_eq!(read_ext(&ext(mounted, written, high), "ext4").unwrap(), Some(want));
    }
}

#[test]
fn an_xfs_that_mkfs_made_says_when_it_was_made() {
    let (at, len) = xfs_root(XFS).unwrap();
    assert_eq!(len, XFS_ROOT.len());
    let drive = capture(&[(0, XFS), (at, XFS_ROOT)]);
    let Some(Detail::FileSystem { label, used, .. }) = read_xfs(&drive).unwrap() else { panic!() };
    assert_eq!(
        (label.as_str(), used.map(crate::facts::detail::date).as_deref()),
        ("stuff", Some("2026-11-20"))
    );
    // Times before the days of large ones.
    let mut old = XFS_ROOT.to_vec();
    old[4] = 2;
    old[32..36].copy_from_slice(&1000u32.to_be_bytes());
    old[40..44].copy_from_slice(&900u32.to_be_bytes());
    old[48..52].copy_from_slice(&(-5i32).to_be_bytes());
    assert_eq!(xfs_time(&old), Some(1000));
}

#[test]
fn containers_and_btrfs_are_told_by_their_names() {
    let Some(Detail::Luks { version, label, uuid }) = read_luks(&capture(&[(0, LUKS)])).unwrap() else {
        panic!()
    };
    assert_eq!((version, label.as_str(), uuid.len()), (2, "secrets", 36));
    let mut block = vec![0; 4096];
    block[0x20..0x30].fill(7);
    block[0x40..0x48].copy_from_slice(b"_BHRfS_M");
    block[0x88] = 2;
    block[0x12b..0x12f].copy_from_slice(b"data");
    let want = Detail::Btrfs {
        label: "data".to_owned(),
        uuid: "07070707-0707-0707-0707-070707070707".to_owned(),
        devices: 2,
    };
    assert_eq!(read_btrfs(&capture(&[(64 << 10, &block)])).unwrap(), Some(want));
}

#[test]
fn rubbish_and_short_drives_are_nothing() {
    for drive in
        [Capture::default(), Capture { size: 600, ..Capture::default() }, capture(&[(0, &[0xff; 70000])])]
    {
        assert_eq!(read_ext(&drive, "ext4").unwrap(), None);
        assert_eq!(read_xfs(&drive).unwrap(), None);
        assert_eq!(read_btrfs(&drive).unwrap(), None);
        assert_eq!(read_luks(&drive).unwrap(), None);
    }
    for at in 4..130 {
        let mut head = XFS.to_vec();
        head[at] = 0xff;
        let _ = read_xfs(&capture(&[(0, &head)])).unwrap();
    }
}
