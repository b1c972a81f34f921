use proptest::prelude::*;

use super::super::batch;
use super::*;

fn event(at: u64, node: u8, n: usize) -> AuditEvent {
    AuditEvent { id: format!("{at:010x}-{node:08x}-{n:08x}"), at, ..AuditEvent::default() }
}

/// The batches that a page may need, as they are read.
fn read(batches: &[(String, Batch)], after: Option<&str>, limit: usize) -> Vec<AuditEvent> {
    let mut merged = Merged::new(after, limit);
    let before = after.and_then(before);
    for (name, batch) in batches.iter().rev() {
        if before.as_ref().is_none_or(|before| name < before) && !merged.take(batch.clone()) {
            break;
        }
    }
    merged.page()
}

#[test]
fn api_audit_places_to_read_on_from_are_ids() {
    let rows = [
        ("an id", "0000000007-01234567-00000001", Some("000000000c")),
        ("the last second that there is", "ffffffffff-01234567-00000001", None),
        ("upper case is behind all ids of its time", "000000000A-01234567-00000001", None),
        ("a sign", "+000000007-01234567-00000001", None),
        ("short", "7-01234567-00000001", None),
        ("something else", "zzz", None),
        ("empty", "", None),
    ];
    for (name, after, want) in rows {
        assert_eq!(before(after).as_deref(), want, "{name}");
    }
}

proptest! {
    /// Whatever nodes wrote at the same time, pages show each event once, the newest first.
    #[test]
    fn api_audit_pages_of_batches_that_overlap_are_the_whole_log_once(
        nodes in proptest::collection::vec(proptest::collection::vec((0_u64..6, 1_u64..8), 0..60), 0..4),
        limit in 1_usize..50,
    ) {
        let mut batches = Vec::new();
        let mut all = Vec::new();
        for (node, steps) in nodes.iter().enumerate() {
            let mut at = 0;
            let mut events = Vec::new();
            for (n, (step, burst)) in steps.iter().enumerate() {
                at += step / 2;
                for more in 0..*burst {
                    let n = n * 10 + usize::try_from(more).unwrap();
                    events.push(event(at, u8::try_from(node).unwrap(), n));
                }
            }
            all.extend(events.clone());
            let mut rest = &events[..];
            while !rest.is_empty() {
                for count in batch::plan(rest) {
                    let (these, others) = rest.split_at(count);
                    let batch = Batch { events: these.to_vec() };
                    batches.push((batch.key().rsplit('/').next().unwrap().to_owned(), batch));
                    rest = others;
                }
            }
        }
        batches.sort_by(|a, b| a.0.cmp(&b.0));
        all.sort_by(|a, b| b.id.cmp(&a.id));
        let (mut seen, mut after) = (Vec::new(), None::<String>);
        for _ in 0..=all.len() / limit {
            let page = read(&batches, after.as_deref(), limit);
            prop_assert!(page.len() <= limit);
            after = page.last().map(|event| event.id.clone());
            seen.extend(page);
        }
        prop_assert_eq!(seen, all.clone());
        prop_assert_eq!(read(&batches, Some("zzz"), all.len() + 1), all, "a place that is no id");
    }
}
