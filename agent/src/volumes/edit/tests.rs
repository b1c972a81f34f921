use maekin_api::volumes::GRAIN;
use serde_json::json;

use super::*;

fn volume() -> VolumeValue {
    VolumeValue {
        id: "1".repeat(32),
        name: "db".into(),
        size: 4 * GRAIN,
        nodes: vec!["n1".into()],
        holders: vec!["n1".into()],
        generation: 7,
        ..VolumeValue::default()
    }
}

fn asked() -> Asked {
    Asked { by: "eva".into(), at: 100 }
}

fn deleting() -> VolumeValue {
    VolumeValue { deleting: Some(DeletingValue { at: 1, by: "eva".into() }), ..volume() }
}

#[test]
fn volumes_grow_and_never_shrink() {
    let patch = |value: Value| serde_json::from_value::<Map<String, Value>>(value).unwrap();
    let limited = VolumeValue {
        limits: Limits { read_iops: Some(5), write_iops: Some(6), ..Limits::default() },
        ..volume()
    };
    // Name; before; patch; size and generation after, or what the error says.
    let rows = [
        ("nothing", volume(), json!({}), Ok((4 * GRAIN, 7))),
        ("the same", volume(), json!({"size": 4 * GRAIN}), Ok((4 * GRAIN, 7))),
        ("larger", volume(), json!({"size": 5 * GRAIN}), Ok((5 * GRAIN, 8))),
        ("a little larger", volume(), json!({"size": 4 * GRAIN + 1}), Ok((5 * GRAIN, 8))),
        ("within the grain", volume(), json!({"size": 4 * GRAIN - 1}), Ok((4 * GRAIN, 7))),
        ("smaller", volume(), json!({"size": 3 * GRAIN}), Err("never shrinks")),
        ("no size", volume(), json!({"size": null}), Err("size")),
        ("limits", volume(), json!({"limits": {"read_iops": 9}}), Err("cannot hold volumes")),
        ("a limit away", limited.clone(), json!({"limits": {"read_iops": null}}), Ok((4 * GRAIN, 8))),
        ("all limits away", limited, json!({"limits": null}), Ok((4 * GRAIN, 8))),
        ("a limit of nothing", volume(), json!({"limits": {"read_iops": 0}}), Err("read_iops")),
        ("a slip", volume(), json!({"sice": 1}), Err("sice")),
        ("another class", volume(), json!({"class": "pool"}), Err("class")),
        ("on its way out", deleting(), json!({"size": 9 * GRAIN}), Err("being deleted")),
    ];
    for (name, old, value, want) in rows {
        let got = change(&old, &patch(value)).map(|new| (new.size, new.generation));
        match want {
            Ok(want) => assert_eq!(got.unwrap(), want, "{name}"),
            Err(text) => assert!(got.unwrap_err().to_string().contains(text), "{name}"),
        }
    }
    let patch = patch(json!({"limits": {"read_iops": null}}));
    let want = Limits { write_bandwidth: Some(8192), ..Limits::default() };
    let old = VolumeValue { limits: Limits { read_iops: Some(5), ..want }, ..volume() };
    assert_eq!(change(&old, &patch).unwrap().limits, want);
}

#[test]
fn volumes_are_attached_to_one_node_at_a_time_with_a_token_that_grows() {
    let name_of = str::to_owned;
    let attach = |old: &VolumeValue, id: &str| attach(old, (id, id), "", &asked(), name_of);
    let one = attach(&volume(), "n1").unwrap();
    assert_eq!((one.fence, one.generation), (1, 8));
    assert_eq!(one.attachment.as_ref().unwrap().token, 1);
    assert_eq!(attach(&one, "n1").unwrap(), one, "it is so already");
    assert!(matches!(attach(&volume(), "n2"), Err(VolumeError::NotThere { .. })));
    let wide = VolumeValue { nodes: vec!["n1".into(), "n2".into()], ..one.clone() };
    assert!(matches!(attach(&wide, "n2"), Err(VolumeError::Attached { token: 1, .. })));
    assert!(matches!(attach(&deleting(), "n1"), Err(VolumeError::Deleting(_))));

    let rows = [
        ("whichever", None, Ending::Asked, Some(true)),
        ("that one", Some(1), Ending::Asked, Some(true)),
        ("another one", Some(2), Ending::Asked, None),
        ("by force", Some(1), Ending::Forced, Some(false)),
        ("another one by force", Some(2), Ending::Forced, None),
    ];
    for (name, token, ending, want) in rows {
        let after = detach(&one, token, ending);
        let still = after.as_ref().ok().map(|new| new.attachment.is_some());
        assert_eq!(still, want, "{name}: {after:?}");
    }
    let going = detach(&one, None, Ending::Asked).unwrap();
    assert_eq!(detach(&going, None, Ending::Asked).unwrap(), going, "it is asked once");
    assert!(matches!(attach(&going, "n1"), Err(VolumeError::Attached { .. })), "nobody gets it before");
    let free = detach(&going, None, Ending::Forced).unwrap();
    assert_eq!(attach(&free, "n1").unwrap().attachment.unwrap().token, 2, "no token comes twice");
    assert_eq!(detach(&volume(), None, Ending::Asked).unwrap(), volume(), "nobody has it");
}

#[test]
fn volumes_snapshots_and_ends_are_planned() {
    let name_of = str::to_owned;
    let one = snapshot(&volume(), &"2".repeat(32), "monday", &asked()).unwrap();
    assert_eq!(one.snapshots.len(), 1);
    assert!(matches!(snapshot(&one, "3", "monday", &asked()), Err(VolumeError::Exists { .. })));
    assert!(matches!(snapshot(&one, "3", "No", &asked()), Err(VolumeError::Invalid(_))));
    let many: Vec<SnapshotValue> =
        (0..SNAPSHOTS).map(|n| SnapshotValue { name: format!("s{n}"), ..Default::default() }).collect();
    let full = VolumeValue { snapshots: many, ..volume() };
    assert!(matches!(snapshot(&full, "3", "x", &asked()), Err(VolumeError::Full { .. })));

    let gone = drop_snapshot(&one, "monday").unwrap();
    assert!(gone.snapshots[0].deleting);
    assert_eq!(drop_snapshot(&gone, "monday").unwrap(), gone, "once");
    assert!(matches!(drop_snapshot(&one, "friday"), Err(VolumeError::NoSnapshot { .. })));

    assert_eq!(origin(&one, None).unwrap().snapshot, None);
    assert_eq!(origin(&one, Some("monday")).unwrap().snapshot, Some("2".repeat(32)));
    assert!(matches!(origin(&gone, Some("monday")), Err(VolumeError::NoSnapshot { .. })));
    assert!(matches!(origin(&deleting(), None), Err(VolumeError::Deleting(_))));

    assert!(matches!(delete(&one, false, &asked(), name_of), Err(VolumeError::HasSnapshots { .. })));
    assert!(delete(&one, true, &asked(), name_of).unwrap().deleting.is_some());
    assert!(delete(&gone, false, &asked(), name_of).unwrap().deleting.is_some(), "those go anyway");
    let used = attach(&volume(), ("n1", "n1"), "", &asked(), name_of).unwrap();
    assert!(matches!(delete(&used, true, &asked(), name_of), Err(VolumeError::Attached { .. })));
    assert_eq!(delete(&deleting(), false, &asked(), name_of).unwrap(), deleting(), "once");

    let holders = |value: VolumeValue| without_gone(value, |id| id != "n1").holders;
    assert_eq!(holders(deleting()), Vec::<String>::new(), "its node was removed: nobody is asked");
    assert_eq!(holders(volume()), ["n1"], "one that is to stay keeps what it had");
}
