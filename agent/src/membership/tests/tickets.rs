//! Machines that wait: from the first question to the retired ticket, over the agent's own socket.

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use maekin_api::boot::{self, ANSWER, INVENTORY, REPORT, VERDICT};
use maekin_api::install::{Deny, Disks, Install, MachineDetail, Rule, SeenMachine, Standing, Terms, What};
use maekin_api::machine::{Verdict, code};
use maekin_api::problem::Problem;
use maekin_api::{
    APPROVALS, APPROVALS_CSV, INSTALL, INSTALLS, MACHINE, MACHINE_APPROVE, MACHINE_DENY, MACHINES,
};

use super::*;
use crate::http::client::ClientError;
use crate::install::inventory::{MOST, note};

fn facts(n: usize, serial: &str) -> serde_json::Value {
    serde_json::json!({
        "firmware": "uefi", "memory": 1_u64 << 32,
        "dmi": {"vendor": "QEMU", "product": "Q35", "serial": format!("M{n:03}")},
        "disks": [{"name": "sda", "model": "HARDDISK", "serial": serial, "size": 1_u64 << 40}],
        "nics": [{"name": "eth0", "mac": machine(n).mac}, {"name": "eth1", "mac": format!("52:54:00:00:01:{n:02x}")}],
    })
}

fn told(n: usize, facts: serde_json::Value) -> boot::Inventory {
    boot::Inventory { machine: machine(n), facts }
}

/// Status and body of a question whose answer is no JSON, or a refusal.
async fn raw(own: &Target, method: Method, path: &str, body: Bytes) -> (StatusCode, String) {
    let (status, body) = own.exchange(method, path, body).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn answer(own: &Target, ticket: &str, told: &boot::Inventory) -> (StatusCode, String) {
    let body = serde_json::to_vec(told).unwrap();
    raw(own, Method::POST, &ANSWER.replace("{ticket}", ticket), body.into()).await
}

async fn report(own: &Target, ticket: &str, report: &Report) -> StatusCode {
    let body = serde_json::to_vec(report).unwrap();
    raw(own, Method::POST, &REPORT.replace("{ticket}", ticket), body.into()).await.0
}

fn refused(outcome: Result<impl std::fmt::Debug, ClientError>) -> Problem {
    match outcome {
        Err(ClientError::Problem(problem)) => problem,
        other => panic!("it is not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_waits_is_denied_approved_installed_once_and_retired() {
    if !have_etcd("a_machine_waits_is_denied_approved_installed_once_and_retired") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    serve(&app).await;
    let record = become_member(&app).await.record.clone();
    let own = Target::Socket(app.settings.socket());
    let verdict = async |n: usize| own.post::<Verdict>(VERDICT, &machine(n)).await.unwrap();

    it_tells_what_it_is(&own).await;
    let Verdict::Wait { code: shown, tell: false, .. } = verdict(1).await else { panic!("it waits") };
    assert_eq!(shown, code(&machine(1).mac, None));
    let ticket = persons_decide(&own, &shown).await;
    let heard = async |want: &dyn Fn(&Verdict) -> bool| {
        let hearing = async {
            loop {
                let verdict = verdict(1).await;
                if want(&verdict) {
                    return;
                }
                tokio::task::yield_now().await; // what is told is up to a second old
            }
        };
        tokio::time::timeout(LIMIT, hearing).await.expect("it hears what was decided");
    };
    let let_in = Verdict::Install { ticket: ticket.clone() };
    heard(&|verdict| *verdict == let_in).await;
    only_its_own_machine_gets_the_answers(&own, &ticket).await;
    reports_count_once(&own, &ticket).await;
    heard(&|verdict| *verdict == Verdict::Local).await;
    let decided = store::decide(&record, &machine(1), now()).await.unwrap();
    assert_eq!(decided, Decision::Local, "it goes to its disk unless a new ticket is cut");
    its_story_is_told(&own, &ticket).await;

    // Cut anew: a person's word, and the old ticket is no more.
    let path = |path: &str| path.replace("{machine}", &machine(1).mac);
    let anew: Install = own.post(&path(MACHINE_APPROVE), &Terms::default()).await.unwrap();
    assert_ne!(anew.ticket, ticket);
    assert!(store::ticket(&record, &ticket).await.is_err(), "one machine has one ticket");
    own.post::<SeenMachine>(&path(MACHINE_DENY), &Deny::default()).await.unwrap();
    heard(&|verdict| matches!(verdict, Verdict::Denied { .. })).await;
    assert_eq!(
        answer(&own, &anew.ticket, &told(1, facts(1, "S1"))).await.0,
        StatusCode::CONFLICT,
        "taken back"
    );

    lists_let_machines_in(&own, &record).await;
    strangers_do_not_fill_the_record(&own, &record).await;
}

async fn it_tells_what_it_is(own: &Target) {
    let first = own.post::<Verdict>(VERDICT, &machine(1)).await.unwrap();
    assert!(matches!(first, Verdict::Wait { tell: true, .. }), "{first:?}");
    for (name, bad) in [("garbage", serde_json::json!("x")), ("no ports", serde_json::json!({"nics": []}))] {
        let problem = refused(own.post::<()>(INVENTORY, &told(1, bad)).await);
        assert_eq!(problem.status, 422, "{name}");
    }
    let mut stranger = told(1, facts(1, "S1"));
    stranger.machine.mac = "../../cluster".to_owned();
    assert_eq!(refused(own.post::<()>(INVENTORY, &stranger).await).status, 400, "never into a key");
    let huge = serde_json::to_vec(&told(1, serde_json::json!("x".repeat(2 << 20)))).unwrap();
    match own.exchange(Method::POST, INVENTORY, huge.into()).await {
        Ok((status, _)) => assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE),
        Err(ClientError::Broken { .. }) => {} // it hangs up on whoever goes on sending
        Err(e) => panic!("{e:?}"),
    }

    let good = serde_json::to_vec(&told(1, facts(1, "S1"))).unwrap();
    for _ in 0..2 {
        assert_eq!(raw(own, Method::POST, INVENTORY, good.clone().into()).await.0, StatusCode::OK);
    }
    let machines: Vec<SeenMachine> = own.get(MACHINES).await.unwrap();
    let inventory = machines[0].inventory.as_ref().unwrap();
    assert_eq!((inventory.dmi.serial.as_str(), inventory.disks[0].serial.as_str()), ("M001", "S1"));
    assert!(matches!(machines[0].standing, Standing::Waiting { .. }));
    let detail: MachineDetail = own.get(&MACHINE.replace("{machine}", &machines[0].code)).await.unwrap();
    assert_eq!(detail.facts, facts(1, "S1"), "by its code, in full");
}

/// A no, then a yes; returns the ticket.
async fn persons_decide(own: &Target, shown: &str) -> String {
    for (name, wrong, status) in [
        ("wrong code", "000-000", 404),
        ("no code", "12", 404),
        ("another address", "52:54:00:00:00:77", 404),
        ("rubbish", "..%2f..%2fcluster", 404),
    ] {
        let path = MACHINE_APPROVE.replace("{machine}", wrong);
        assert_eq!(refused(own.post::<Install>(&path, &Terms::default()).await).status, status, "{name}");
    }
    let path = |path: &str| path.replace("{machine}", shown);
    let deny = Deny { reason: "not in this rack".into(), minutes: 0 };
    let seen: SeenMachine = own.post(&path(MACHINE_DENY), &deny).await.unwrap();
    let Standing::Denied { reason } = seen.standing else { panic!("{seen:?}") };
    assert_eq!(reason, "root on node-1 said no: not in this rack");

    let bad = Terms { hostname: "X{y}".into(), roles: vec!["A".into()], ..Terms::default() };
    let problem = refused(own.post::<Install>(&path(MACHINE_APPROVE), &bad).await);
    assert!(
        problem.status == 400 && problem.detail.contains("hostname: ") && problem.detail.contains("roles: ")
    );
    let terms = Terms {
        hostname: "rack1-{n:02}".into(),
        roles: vec!["compute".into()],
        disks: Disks { mirror: vec!["serial:S1".into()], consent: vec![] },
        minutes: 60,
    };
    let install: Install = own.post(&path(MACHINE_APPROVE), &terms).await.unwrap();
    assert_eq!((install.hostname.as_str(), install.by.as_str()), ("rack1-01", "root on node-1"));
    assert_eq!(install.identity.unwrap().macs.len(), 2, "bound to all its ports");
    install.ticket
}

async fn only_its_own_machine_gets_the_answers(own: &Target, ticket: &str) {
    let another = told(1, facts(1, "S9"));
    let (status, text) = answer(own, ticket, &another).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text.contains("drive S1 is missing; drive S9 is new") && !text.contains("secret"), "{text}");
    assert_eq!(answer(own, ticket, &told(2, facts(2, "S1"))).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        answer(own, ticket, &told(1, serde_json::json!([]))).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    for guess in [&"f".repeat(32), &ticket.to_uppercase(), "..%2fx"] {
        assert_eq!(answer(own, guess, &another).await.0, StatusCode::NOT_FOUND, "{guess}");
    }
    let (status, text) = answer(own, ticket, &told(1, facts(1, "S1"))).await;
    assert!(status == StatusCode::OK && text.contains("hostname = \"rack1-01\""), "{text}");
    assert!(text.contains("mirror = [\"serial:S1\"]"), "{text}");
}

async fn reports_count_once(own: &Target, ticket: &str) {
    let step = Report::Progress { step: "writing system".into(), percent: 40 };
    let done = Report::Done { receipt: serde_json::json!({"receipt": "{}"}) };
    assert_eq!(report(own, &"f".repeat(32), &done).await, StatusCode::NOT_FOUND, "nobody's");
    for (name, told, want) in [
        ("a step", &step, StatusCode::OK),
        ("the end", &done, StatusCode::OK),
        ("the end, replayed", &done, StatusCode::OK),
        ("a step, replayed", &step, StatusCode::CONFLICT),
        ("a failure that comes too late", &Report::Failed { reason: "x".into() }, StatusCode::CONFLICT),
    ] {
        assert_eq!(report(own, ticket, told).await, want, "{name}");
    }
    let late = answer(own, ticket, &told(1, facts(1, "S1"))).await;
    assert_eq!(late.0, StatusCode::CONFLICT, "a ticket installs once");
}

async fn its_story_is_told(own: &Target, ticket: &str) {
    let install: Install = own.get(&INSTALL.replace("{ticket}", ticket)).await.unwrap();
    let what: Vec<What> = install.story.iter().map(|e| e.what).collect();
    use What::{Approved, Booting, Refused, Reported, Retired, Seen, Step, Waiting};
    let want = [Seen, Waiting, Approved, Booting, Refused, Refused, Step, Reported, Retired];
    assert_eq!(what, want, "{:#?}", install.story);
    assert!(install.story.is_sorted_by_key(|e| e.at));
    let all: Vec<Install> = own.get(INSTALLS).await.unwrap();
    assert_eq!(all, [install]);
}

async fn lists_let_machines_in(own: &Target, record: &Record) {
    let put = async |text: &str| raw(own, Method::PUT, APPROVALS_CSV, text.to_owned().into()).await;
    let (status, text) = put("mac,hostname\nxx,a\n52:54:00:00:00:02,B\n").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("line 2: mac: ") && text.contains("line 3: hostname: "), "{text}");
    assert_eq!(own.get::<Vec<Rule>>(APPROVALS).await.unwrap(), [], "all or nothing");
    let (status, _) =
        put("mac,serial,hostname,roles\n52-54-00-00-00-02,,db,\n,m00*,rack2-{n:02},compute\n").await;
    assert_eq!(status, StatusCode::OK);
    let rules: Vec<Rule> = own.get(APPROVALS).await.unwrap();
    assert_eq!((rules.len(), rules[0].mac.as_str()), (2, "52:54:00:00:00:02"));
    let (_, text) = raw(own, Method::GET, APPROVALS_CSV, Bytes::new()).await;
    assert!(text.contains("52:54:00:00:00:02,,,db,,auto,\r\n"), "{text}");

    let by_mac = store::decide(record, &machine(2), now()).await.unwrap();
    let Decision::Install { ticket } = by_mac else { panic!("{by_mac:?}") };
    let value = store::ticket(record, &ticket).await.unwrap().value;
    assert_eq!((value.hostname.as_str(), value.by.as_str()), ("db", "rule 1 of the list"));
    assert!(value.identity.is_none(), "it has not told what it is");
    assert_eq!(answer(own, &ticket, &told(2, facts(2, "S2"))).await.0, StatusCode::OK, "and now it has");
    let again = answer(own, &ticket, &told(2, facts(2, "S3"))).await;
    assert_eq!(again.0, StatusCode::UNPROCESSABLE_ENTITY, "bound to what it told first");

    // Two that ask at the same time do not get one name.
    for n in [3, 4] {
        let first = store::decide(record, &machine(n), now()).await.unwrap();
        assert!(matches!(first, Decision::Wait { .. }), "its serial number is not known: {first:?}");
        let body = serde_json::to_vec(&told(n, facts(n, "S"))).unwrap();
        assert_eq!(raw(own, Method::POST, INVENTORY, body.into()).await.0, StatusCode::OK);
    }
    let (three, four) = (machine(3), machine(4));
    let (a, b) = tokio::join!(store::decide(record, &three, now()), store::decide(record, &four, now()));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    let installs: Vec<Install> = own.get(INSTALLS).await.unwrap();
    let names: BTreeSet<_> = installs.iter().map(|i| i.hostname.as_str()).collect();
    assert!(names.is_superset(&["rack2-01", "rack2-02"].into()), "{names:?}");
}

async fn strangers_do_not_fill_the_record(own: &Target, record: &Record) {
    let strangers: Vec<_> = (0..MOST + 30)
        .map(|n| Machine { mac: format!("02:00:00:00:{:02x}:{:02x}", n / 256, n % 256), ..machine(9) })
        .collect();
    for some in strangers.chunks(64) {
        let asking: Vec<_> = some
            .iter()
            .map(|stranger| {
                let (record, stranger) = (record.clone(), stranger.clone());
                tokio::spawn(async move { note(&record, &stranger, now() + 1).await.map(drop) })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap().unwrap();
        }
    }
    let machines: Vec<SeenMachine> = own.get(MACHINES).await.unwrap();
    assert!(machines.len() <= MOST + 64, "as many as asked at once above the limit: {}", machines.len());
    for n in [2, 3, 4] {
        let mac = machine(n).mac;
        assert!(machines.iter().any(|m| m.mac == mac), "{mac} has a ticket and stays");
    }
}
