use std::collections::BTreeMap;

use maekin_api::drives::DrivePolicy;

use super::*;

fn drive(node: &str, id: &str, serial: &str, state: State) -> Drive {
    Drive { node: node.into(), id: id.into(), serial: serial.into(), state, ..Drive::default() }
}

#[test]
fn drives_that_were_moved_are_where_they_are() {
    let all = merge(vec![
        drive("node-2", "sn-b", "B", State::Spare),
        drive("node-1", "sn-b", "B", State::Gone),
        drive("node-1", "sn-c", "C", State::Gone),
        drive("node-1", "sn-a", "A", State::InUse),
        drive("node-1", "../x", "X", State::InUse),
    ]);
    let told: Vec<_> = all.iter().map(|drive| (drive.node.as_str(), drive.id.as_str())).collect();
    assert_eq!(told, [("node-1", "sn-a"), ("node-1", "sn-c"), ("node-2", "sn-b")]);
}

#[test]
fn drives_are_found_by_what_is_on_their_label() {
    let all = [
        drive("node-1", "sn-a1", "A1", State::Spare),
        drive("node-1", "wwn-5000", "S3Y9", State::Spare),
        drive("node-2", "sn-m-twin", "TWIN", State::Spare),
        drive("node-3", "sn-n-twin", "TWIN", State::Spare),
        drive("node-4", "sn-none", "", State::Spare),
    ];
    let rows = [
        ("id", "sn-a1", Ok("sn-a1")),
        ("serial number", "s3y9", Ok("wwn-5000")),
        ("nothing", "", Err("no drive has")),
        ("unknown", "x\u{1b}", Err("number x?;")),
        ("several", "TWIN", Err("sn-m-twin in node-2, sn-n-twin in node-3")),
    ];
    for (name, wanted, want) in rows {
        match (find(&all, wanted).map(|drive| drive.id), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{name}"),
            (Err(e), Err(part)) => assert!(e.to_string().contains(part), "{name}: {e}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }
}

#[test]
fn drives_policies_follow_nodes_through_their_names() {
    let node = |id: &str, name: &str| NodeValue { id: id.into(), name: name.into(), ..NodeValue::default() };
    let nodes = [node("i1", "node-1"), node("i2", "node-2")];
    let said = StoragePolicy {
        drives: DrivePolicy::Ask,
        nodes: BTreeMap::from([("node-2".to_owned(), DrivePolicy::Never)]),
    };
    let value = meant(&said, &nodes).unwrap();
    assert_eq!(
        (value.of("i1"), value.of("i2"), value.of("i3")),
        (DrivePolicy::Ask, DrivePolicy::Never, DrivePolicy::Ask)
    );
    assert_eq!(shown(&value, nodes.clone().into_iter()), said);
    let renamed = [node("i1", "node-1"), node("i2", "left")];
    assert_eq!(
        shown(&value, renamed.into_iter()).nodes,
        BTreeMap::from([("left".to_owned(), DrivePolicy::Never)])
    );
    assert!(shown(&value, nodes.into_iter().take(1)).nodes.is_empty(), "a member no more");
    let wrong = StoragePolicy { nodes: BTreeMap::from([("node-9".to_owned(), DrivePolicy::Ask)]), ..said };
    assert!(meant(&wrong, &[]).unwrap_err().to_string().contains("node-9"));
}
