use maekin_api::audit::Outcome;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::record::decode_value;

fn event(at: u64, text: &str) -> AuditEvent {
    AuditEvent { id: format!("{at:010x}-01234567-00000000"), at, text: text.into(), ..AuditEvent::default() }
}

#[test]
fn api_audit_is_written_in_few_values_of_bounded_size() {
    let times = |times: &[u64]| times.iter().map(|at| event(*at, "")).collect::<Vec<_>>();
    let long = "\"".repeat(12_000);
    let rows: [(&str, Vec<AuditEvent>, &[usize]); 8] = [
        ("nothing", vec![], &[]),
        ("one", times(&[7]), &[1]),
        ("a few of the same moment", times(&[7, 7, 8]), &[3]),
        ("as far apart as they may be", times(&[7, 7 + SPAN]), &[2]),
        ("further apart", times(&[7, 8 + SPAN, 8 + SPAN]), &[1, 2]),
        ("the clock was set back", times(&[100, 7, 101]), &[1, 1, 1]),
        ("more than go together", times(&[7; TOGETHER + 1]), &[TOGETHER, 1]),
        ("long ones", vec![event(7, &long), event(7, &long), event(7, &long)], &[2, 1]),
    ];
    for (name, events, want) in rows {
        assert_eq!(plan(&events), want, "{name}");
    }
    assert_eq!(plan(&[event(7, &"x".repeat(WRITE))]), [1], "one that is too long is written all the same");
    let apart: Vec<_> = (0..200).map(|n| event(n * 10, "")).collect();
    assert_eq!(plan(&apart), vec![1; VALUES], "the others next time");
}

#[test]
fn api_audit_keys_tell_how_many_there_are_and_are_in_order() {
    let batch = |times: &[u64]| Batch { events: times.iter().map(|at| event(*at, "")).collect() };
    let rows = [
        ("one", batch(&[7]), "0000000007-01234567-00000000.01", 1),
        ("the greatest of several", batch(&[7, 9, 8]), "0000000009-01234567-00000000.03", 3),
        ("as many as go", batch(&[7; TOGETHER]), "0000000007-01234567-00000000.40", TOGETHER),
    ];
    for (name, batch, want, events) in rows {
        assert_eq!(batch.key(), format!("{}{want}", keys::AUDIT), "{name}");
        assert_eq!(count(want), events, "{name}");
    }
    for (name, text) in [
        ("an earlier release", "0000000007-01234567-00000000"),
        ("none at all", "x.00"),
        ("no number", "x.y"),
        ("empty", ""),
    ] {
        assert_eq!(count(text), 1, "{name}");
    }
    assert_eq!(count("x.ffffffff"), TOGETHER, "more than there can be");
}

#[test]
fn api_audit_goes_from_the_oldest_on_and_never_below_the_number() {
    let names: Vec<String> = ["a", "b.10", "c.20", "d", "e.40"].map(str::to_owned).into(); // 1, 16, 32, 1, 64: 114
    let rows = [
        ("all may stay", 114, 0, None),
        ("a few more are let be", 100, 14, None),
        ("too many by one", 113, 0, Some("a")),
        ("a value goes as a whole or not", 100, 0, Some("a")),
        ("two of them", 97, 0, Some("b.10")),
        ("down to the last", 64, 0, Some("d")),
        ("the last has more", 10, 0, Some("d")),
        ("none stays", 0, 0, Some("e.40")),
    ];
    for (name, most, slack, want) in rows {
        assert_eq!(plan_trim(&names, most, slack), want, "{name}");
    }
    assert_eq!(plan_trim(&[], 0, 0), None, "there are none");
}

#[test]
fn api_audit_of_earlier_releases_is_read_and_they_leave_out_what_is_new() {
    let old = AuditEvent {
        who: "eva".into(),
        status: 200,
        outcome: Outcome::Done,
        ..event(7, "an earlier release wrote this")
    };
    let mut value = serde_json::to_value(&old).unwrap();
    value["v"] = json!(1);
    let key = under(keys::AUDIT, &old.id);
    let read: Batch = decode_value(&key, value.to_string().as_bytes()).unwrap();
    assert_eq!(read.events, std::slice::from_ref(&old));
    assert_eq!(apart(&key, value.to_string().as_bytes()), Some(vec![key.clone()]));

    let batch = Batch { events: vec![old, event(8, "")] };
    let written = crate::record::encode(&batch.key(), &batch).unwrap();
    let value: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(value["v"], 2, "an earlier release knows that it does not know this");
    let keys_of_both: Vec<_> = batch.events.iter().map(|event| under(keys::AUDIT, &event.id)).collect();
    assert_eq!(apart(&batch.key(), &written), Some(keys_of_both));
    let next = br#"{"v":3,"events":"of a newer release"}"#;
    let rows: [(&str, String, &[u8]); 3] = [
        ("another kind", under(keys::NODES, "a"), &written),
        ("a newer release", batch.key(), next),
        ("nothing that could be", batch.key(), b"{"),
    ];
    for (name, key, value) in rows {
        assert_eq!(apart(&key, value), None, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn api_audit_writes_leave_nothing_out_and_are_bounded(
        rows in proptest::collection::vec((0_u64..20, 0_usize..20_000), 0..80)
    ) {
        let all: Vec<_> = rows.iter().map(|(at, long)| event(*at, &"\u{e4}".repeat(*long / 2))).collect();
        let (mut rest, mut turns) = (&all[..], 0);
        while !rest.is_empty() {
            let values = plan(rest);
            prop_assert!(!values.is_empty() && values.len() <= VALUES && !values.contains(&0));
            let mut bytes = 0;
            for count in values {
                let (events, others) = rest.split_at(count);
                let batch = Batch { events: events.to_vec() };
                let text = serde_json::to_vec(&batch).unwrap();
                prop_assert!(events.len() <= TOGETHER && (events.len() == 1 || text.len() <= BYTES));
                let times = || events.iter().map(|event| event.at);
                prop_assert!(times().max().unwrap() - times().min().unwrap() <= SPAN);
                bytes += text.len();
                rest = others;
            }
            prop_assert!(bytes <= WRITE);
            turns += 1;
            prop_assert!(turns <= all.len());
        }
    }
}
