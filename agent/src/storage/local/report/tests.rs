use proptest::prelude::*;

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn local_reports_of_lvm_are_understood() {
    // As LVM 2.03.31 writes it.
    let text = format!(
        r#"{{"report":[{{"lv":[
            {{"vg_name":"maekin","lv_name":"local","lv_size":"5368709120","pool_lv":"","data_percent":"12.34","metadata_percent":"1.5",
              "lv_metadata_size":"8388608","lv_when_full":"error","lv_active":"active","lv_device_open":"",
              "lv_health_status":"","vg_free":"603979776","vg_extent_size":"4194304","vg_mda_size":"1044480"}},
            {{"vg_name":"maekin","lv_name":"vol-{ID}","lv_size":"1073741824","pool_lv":"local","data_percent":"50.00","lv_active":"active",
              "lv_device_open":"open"}},
            {{"vg_name":"maekin","lv_name":"snap-{ID}","lv_size":"1073741824","pool_lv":"local","data_percent":"","lv_active":""}},
            {{"vg_name":"maekin","lv_name":"vol-short","lv_size":"1","pool_lv":"local"}},
            {{"vg_name":"maekin","lv_name":"vol-{ID}x","lv_size":"1","pool_lv":"local"}},
            {{"vg_name":"maekin","lv_name":"scratch","lv_size":"1","pool_lv":""}},
            {{"vg_name":"ceph-1","lv_name":"local","lv_size":"1","pool_lv":""}}]}}],"log":[]}}"#
    );
    let report = parse_report(text.as_bytes()).unwrap();
    let pool = report.pool.clone().unwrap();
    assert_eq!((pool.size, pool.used_share, pool.metadata_share), (5_368_709_120, 1234, 150));
    assert!(pool.errors_when_full && pool.active);
    assert_eq!((pool.mode, pool.free, pool.extent), (PoolMode::Writable, 603_979_776, 4 << 20));
    assert_eq!(report.names.len(), 6);
    let seen = report.seen();
    let volume = &seen.volumes[ID];
    assert_eq!((volume.size, volume.used, volume.open), (1 << 30, Some(1 << 29), true));
    assert_eq!(volume.device.as_deref(), Some(format!("/dev/maekin/vol-{ID}").as_str()));
    assert_eq!(seen.snapshots[ID], SeenSnapshot { size: 1 << 30, used: None });
    assert_eq!((seen.volumes.len(), seen.snapshots.len()), (1, 1), "names of others are others'");
    assert_eq!((seen.storage.used, seen.storage.most), (662_498_705, 508));

    let empty = parse_report(br#"{"report":[{"lv":[]}]}"#).unwrap();
    assert_eq!(empty, Report::default());
    assert!(parse_report(b"").is_err() && parse_report(br#"{"report":[{"lv":[{"lv_size":5}]}]}"#).is_err());
}

#[test]
fn local_the_kernels_word_on_the_pool_is_understood() {
    let some = |used_share, metadata_share, mode| Some(Status { used_share, metadata_share, mode });
    let tail = "discard_passdown error_if_no_space - 1024";
    let rows = [
        (
            "usual",
            format!("maekin-local-tpool: 0 10485760 thin-pool 1 21/1024 1200/81920 - rw {tail}"),
            some(146, 205, PoolMode::Writable),
        ),
        (
            "no volumes",
            format!("maekin-local: 0 10485760 thin-pool 0 10/1024 0/81920 - rw {tail}"),
            some(0, 97, PoolMode::Writable),
        ),
        (
            "behind another pool",
            format!(
                "x-y: 0 8 thin-pool 0 9/9 9/9 - rw {tail}\nmaekin-local-tpool: 0 8 thin-pool 0 1/4 1/2 - ro {tail}"
            ),
            some(5000, 2500, PoolMode::ReadOnly),
        ),
        (
            "full",
            format!("maekin-local-tpool: 0 8 thin-pool 1 21/1024 81920/81920 - out_of_data_space {tail}"),
            some(10_000, 205, PoolMode::Full),
        ),
        ("failed", "maekin-local-tpool: 0 8 thin-pool Fail".to_owned(), some(0, 0, PoolMode::Failed)),
        ("another target", "maekin-local-tpool: 0 8 linear".to_owned(), None),
        ("another pool", format!("x-y: 0 8 thin-pool 0 9/9 9/9 - rw {tail}"), None),
        ("nothing", "No devices found\n".to_owned(), None),
        ("cut off", "maekin-local-tpool: 0 8 thin-pool 1 21/1024".to_owned(), None),
        ("no fraction", "maekin-local-tpool: 0 8 thin-pool 1 x/y 1/2 - rw".to_owned(), None),
        (
            "of nothing",
            "maekin-local: 0 8 thin-pool 1 1/0 1/0 - rw".to_owned(),
            some(10_000, 10_000, PoolMode::Writable),
        ),
    ];
    for (name, text, want) in rows {
        assert_eq!(parse_status(&text), want, "{name}");
    }
}

#[test]
fn local_shares_are_hundredths_of_a_percent() {
    let rows = [
        ("0.00", Some(0)),
        ("12.34", Some(1234)),
        ("12.3", Some(1230)),
        ("7", Some(700)),
        ("100.00", Some(10_000)),
        ("101.00", Some(10_000)),
        (" 5.00 ", Some(500)),
        ("", None),
        ("-1.00", None),
        ("x", None),
        ("1.x", None),
        ("12,34", None),
    ];
    for (text, want) in rows {
        assert_eq!(share(text), want, "{text:?}");
    }
    assert_eq!(part_of(u64::MAX, 10_000), u64::MAX);
}

proptest! {
    #[test]
    fn local_parsers_take_anything(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_report(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let _ = (parse_status(&text), share(&text), number(&text));
    }

    #[test]
    fn local_a_hostile_report_gives_shares_of_a_whole_and_ids_only(
        name in "(vol-|snap-|\\[)?[0-9a-fA-F./ -]{0,40}", size in "[0-9]{0,30}", percent in "[0-9.,-]{0,12}",
        status in "[ -~]{0,80}",
    ) {
        let row = serde_json::json!({"vg_name": GROUP, "lv_name": name, "lv_size": size, "pool_lv": POOL, "data_percent": percent});
        let pool = serde_json::json!({"vg_name": GROUP, "lv_name": POOL, "lv_size": size, "data_percent": percent,
            "metadata_percent": percent, "lv_active": "active", "vg_free": size, "vg_extent_size": size});
        let text = serde_json::json!({"report": [{"lv": [row, pool]}]}).to_string();
        let report = parse_report(text.as_bytes()).unwrap();
        for id in report.volumes.keys().chain(report.snapshots.keys()) {
            prop_assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        let pool = report.pool.clone().unwrap();
        prop_assert!(pool.used_share <= 10_000 && pool.metadata_share <= 10_000);
        let told = report.seen().storage;
        prop_assert!(told.used <= told.capacity);
        if let Some(status) = parse_status(&format!("maekin-local: 0 8 thin-pool {status}")) {
            prop_assert!(status.used_share <= 10_000 && status.metadata_share <= 10_000);
        }
    }
}
