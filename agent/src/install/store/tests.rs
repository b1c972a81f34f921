use super::*;

fn ticket(progress: Progress) -> TicketValue {
    TicketValue {
        ticket: "t".into(),
        hostname: "node-2".into(),
        mac: "a".into(),
        uuid: None,
        address: None,
        secret: Some("s".into()),
        progress,
        created_at: 1,
        updated_at: 1,
        receipt: serde_json::Value::Null,
        replaces: None,
    }
}

#[test]
fn reports_move_an_installation_on_and_never_back() {
    let progress = |percent| Report::Progress { step: "write\u{1b}[2J".into(), percent };
    let done = || Report::Done { receipt: serde_json::json!({"ok": true}) };
    let failed = || Report::Failed { reason: "x".repeat(1000) };
    let installing = |percent| Progress::Installing { step: "write[2J".into(), percent };
    // None: refused; Some(None): nothing to write; Some(Some(p)): becomes p
    type Row = (&'static str, Progress, Report, Option<Option<Progress>>);
    let rows: Vec<Row> = vec![
        ("first sign", Progress::Booting, progress(5), Some(Some(installing(5)))),
        ("same again", installing(5), progress(5), Some(None)),
        ("beyond a hundred", Progress::Booting, progress(255), Some(Some(installing(100)))),
        ("done", installing(99), done(), Some(Some(Progress::Installed))),
        ("done, told twice", Progress::Installed, done(), Some(None)),
        ("done after joining", Progress::Joined, done(), Some(None)),
        ("failed", installing(7), failed(), Some(Some(Progress::Failed { reason: "x".repeat(300) }))),
        ("progress after the end", Progress::Installed, progress(5), None),
        ("failure after the end", Progress::Joined, failed(), None),
    ];
    for (name, before, report, want) in rows {
        let got = plan_report(ticket(before), &report, 9).ok().map(|t| t.map(|t| t.progress));
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn a_receipt_that_is_too_long_does_not_keep_a_machine_from_being_installed() {
    let receipt = serde_json::json!({ "log": "x".repeat(2 << 20) });
    let done = Report::Done { receipt };
    let installed = plan_report(ticket(Progress::Booting), &done, 9).unwrap().unwrap();
    assert_eq!(installed.progress, Progress::Installed);
    assert!(installed.receipt.to_string().len() < RECEIPT);
}
