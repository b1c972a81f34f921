//! What becomes of good and bad answers.

use serde_json::{Value, json};

use super::{Bench, NOW};
use crate::fake::{Asked, Fake, Reply, TestCa, no_path, ok, problem};

pub(super) fn cluster() -> Value {
    let node = |name: &str, state: &str| {
        json!({"id": format!("id-{name}"), "name": name, "address": "10.0.0.1", "url": "https://10.0.0.1:8443",
               "state": state, "version": "0.1.0", "voter": true, "joined_at": NOW - 7500, "key_sha256": "", "roles": ["compute"]})
    };
    json!({"id": "c1", "name": "rack", "ca_sha256": "ab", "created_at": NOW - 90_000, "leader": "id-node-1",
           "install_window": {"open": true, "until": NOW + 600, "left": 3},
           "nodes": [node("node-1", "ready"), node("evil\u{1b}[2J\nnode-3", "unreachable")]})
}

fn machines() -> Value {
    json!([{"mac": "52:54:00:00:00:01", "uuid": null, "arch": 7, "code": "123-456", "first_seen": NOW - 100,
            "last_seen": NOW - 20, "standing": {"standing": "waiting", "reason": "no rule \u{9b}fits"},
            "inventory": {"dmi": {"vendor": "QEMU", "product": "Standard PC (Q35 + ICH9, 2009)", "serial": "M1"},
                          "memory": 8_589_934_592_u64, "disks": [{"size": 64_000_000_000_u64}, {"size": 1, "removable": true}]}}])
}

/// The agent of today, as far as tests ask it.
pub(super) fn agent(asked: &Asked) -> Reply {
    match asked.line.as_str() {
        "GET /v1/cluster" => ok(&cluster()),
        "GET /v1/machines" => ok(&machines()),
        "GET /v1/machines/123-456" => {
            ok(&json!({"machine": machines()[0], "facts": {"cpu": {"model": "x"}}}))
        }
        "GET /v1/node" => ok(&json!({"name": "node-1", "version": "0.1.0", "uptime_s": 7500,
            "membership": {"state": "member", "cluster": "rack"}, "boot_drives": {"state": "degraded"},
            "alarms": [{"id": "boot-drive-1-missing", "severity": "critical", "since": NOW - 60, "what": "gone.", "remedy": "put one in"}]})),
        "GET /v1/provision" => problem(404, "Nothing is handed out", "set it with PUT /v1/provision"),
        "GET /v1/installs" => ok(
            &json!([{"ticket": "t1", "hostname": "node-7", "mac": "m1", "progress": {"stage": "failed", "reason": "no disk"}, "created_at": NOW - 9},
                                         {"ticket": "t2", "hostname": "node-8", "mac": "m2", "progress": {"stage": "installing", "percent": 40, "step": "copying"}, "created_at": NOW - 9}]),
        ),
        "DELETE /v1/installs/t1" => ok(&Value::Null),
        "POST /v1/install-window" => ok(&json!({"open": true, "until": NOW + 3600, "left": 16})),
        _ => no_path(),
    }
}

pub(super) fn bench(answers: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Bench, Fake) {
    let (bench, fake) = (Bench::new(), Fake::new(answers));
    let socket = fake.socket(bench.home.path());
    (bench.on(&socket), fake)
}

#[test]
fn cli_things_are_listed_on_todays_paths() {
    let (mut bench, _fake) = bench(agent);
    let rows = [
        (
            "get nodes",
            None,
            "NAME                   STATE         SINCE   ADDRESS    VOTER   VERSION\n\
             node-1                 ready         -       10.0.0.1   yes     0.1.0\n\
             evil\\x1b[2J\\nnode-3   unreachable   -       10.0.0.1   yes     0.1.0\n",
        ),
        (
            "get machines",
            Some(80),
            "CODE      MAC                 STANDING   SEEN   MODEL             ABOUT\n\
             123-456   52:54:00:00:00:01   waiting    20s    QEMU Standard …    no rule \\u{9b…\n",
        ),
        ("get no/node-1 -o name", None, "nodes/node-1\n"),
        ("get nodes node-1 --no-headers", None, "node-1   ready   -   10.0.0.1   yes   0.1.0\n"),
        (
            "get installs",
            None,
            "HOSTNAME   MAC   PROGRESS          AGE\nnode-7     m1    FAILED: no disk   9s\nnode-8     m2    40 % copying      9s\n",
        ),
        (
            "get cluster",
            None,
            "NAME   READY   LEADER   WINDOW   AGE\nrack   1/2     node-1   yes      1d1h\n",
        ),
        ("create window", None, "OPEN   UNTIL     LEFT\nyes    in 1h0m   16\n"),
        ("get provision", None, ""),
    ];
    for (line, columns, want) in rows {
        bench.columns = columns;
        let ended = bench.run(line, &[]);
        // The columns' widths have tests of their own; what they hold is what counts here.
        let tidy = |text: &str| {
            text.lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
                .collect::<String>()
        };
        let (want, out) = (tidy(want), tidy(&ended.out));
        assert_eq!((ended.code, out.as_str()), (0, want.as_str()), "{line}: {}", ended.err);
    }
}

#[test]
fn cli_answers_are_given_on_as_json_and_yaml() {
    let (bench, _fake) = bench(agent);
    let json_out = bench.run("get machines -o json", &[]).out;
    assert_eq!(serde_json::from_str::<Value>(&json_out).unwrap(), machines());
    let yaml = bench.run("get machines -o yaml", &[]).out;
    assert_eq!(crate::read::documents(&yaml).unwrap(), [machines()]);
    let one = bench.run("get cluster -o json", &[]).out;
    assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), cluster());
    for text in [json_out, yaml, one] {
        assert!(!text.chars().any(|c| crate::show::clean::acts(c) && c != '\n'));
    }
}

#[test]
fn cli_one_thing_is_described_with_what_the_api_says_of_it_alone() {
    let (bench, fake) = bench(agent);
    let ended = bench.run("describe machine 52:54:00:00:00:01", &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    for part in
        ["Machine:\n", "Facts:\n  Cpu:\n    Model: x", "Reason:   no rule \\u{9b}fits", "Memory: 8 GiB"]
    {
        assert!(ended.out.contains(part), "{part}:\n{}", ended.out);
    }
    assert_eq!(fake.lines(), ["GET /v1/machines", "GET /v1/machines/123-456"]);
    let ended = bench.run("describe provision", &[]);
    assert_eq!((ended.code, ended.err.as_str()), (0, "nothing is set\n"));
}

#[test]
fn cli_the_cluster_fits_on_a_page() {
    let (mut bench, _fake) = bench(agent);
    bench.columns = Some(80);
    let want = "\
cluster   rack: 1/2 nodes ready, led by node-1
window    OPEN for 10m, 3 machines
asked     node-1: version 0.1.0, boot drives degraded, up 2h5m

NAME                  STATE         SINCE   ADDRESS    VOTER   VERSION
node-1                ready         -       10.0.0.1   yes     0.1.0
evil\\x1b[2J\\nnode-3   unreachable   -       10.0.0.1   yes     0.1.0

ALARM                  SEVERITY   SINCE   WHAT
boot-drive-1-missing   critical   1m0s    gone.
";
    assert_eq!(bench.run("status", &[]).out, want);
}

#[test]
fn cli_deleting_asks_first_and_takes_only_what_is_there() {
    let (mut bench, fake) = bench(agent);
    let deleted = |fake: &Fake| fake.lines().iter().filter(|line| line.starts_with("DELETE")).count();
    let rows: [(&str, bool, &[&str], u8, &str); 6] = [
        ("delete install node-7", true, &["n"], 130, ""),
        ("delete install node-7", true, &[], 130, ""),
        ("delete install node-7", false, &[], 2, ""),
        ("delete install node-7 node-99 --yes", true, &[], 3, ""),
        ("delete installs --yes", true, &[], 2, ""),
        ("delete machine 123-456 --yes", true, &[], 2, ""),
    ];
    for (line, person, typed, code, out) in rows {
        bench.person = person;
        let ended = bench.run(line, typed);
        assert_eq!((ended.code, ended.out.as_str()), (code, out), "{line}: {}", ended.err);
        assert_eq!(deleted(&fake), 0, "{line}");
    }
    bench.person = true;
    let ended = bench.run("delete install node-7", &["y"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "installs/t1 deleted\n"));
    assert!(ended.prompts[0].contains("the ticket is forgotten"), "{:?}", ended.prompts);
    assert_eq!(deleted(&fake), 1);
}

#[test]
fn cli_bad_answers_are_told_apart_by_their_exit_code() {
    let truncated = b"HTTP/1.1 200 X\r\ncontent-length: 900\r\n\r\n[{\"mac\":".to_vec();
    let rows: [(&str, Reply, u8, &str); 11] = [
        ("unauthorized", problem(401, "Who asks is not known", "wrong"), 4, "maekin login"),
        ("forbidden", problem(403, "Not allowed", "viewer"), 4, "role"),
        ("not found", problem(404, "There is no such thing", "x"), 3, "There is no such thing"),
        ("an older release", no_path(), 8, "this node's release does not know machines"),
        ("not ours", Reply::Whole(404, String::new(), "<html>".into()), 8, "upgrade"),
        ("changed meanwhile", problem(412, "It was changed", "etag"), 5, "read it again"),
        ("cut off", problem(503, "The cluster's record cannot be used", "no quorum"), 7, "no quorum"),
        ("broken", Reply::Whole(500, String::new(), "oops".into()), 7, "HTTP status 500"),
        ("no JSON", Reply::Whole(200, String::new(), "<html>".into()), 7, "no JSON"),
        ("truncated", Reply::Bytes(truncated), 6, "broke off"),
        ("hung up", Reply::Bytes(Vec::new()), 6, "broke off"),
    ];
    for (name, reply, code, text) in rows {
        let (bench, _fake) = bench(move |_| reply.clone());
        let ended = bench.run("get machines", &[]);
        assert_eq!(ended.code, code, "{name}: {}", ended.err);
        assert!(ended.err.starts_with("error:  ") && ended.err.contains(text), "{name}: {}", ended.err);
        assert_eq!(ended.out, "", "{name}");
    }
}

#[test]
fn cli_a_slow_server_has_a_limit_and_an_endless_one_too() {
    let (slow, _fake) = bench(|_| Reply::Silence);
    let ended = slow.run("get machines --timeout 1", &[]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("no whole answer within 1 s"), "{}", ended.err);
    let (endless, _fake) = bench(|_| {
        let head = b"HTTP/1.1 200 X\r\ncontent-length: 40000000\r\n\r\n".to_vec();
        Reply::Bytes([head, vec![b' '; 40_000_000]].concat())
    });
    let ended = endless.run("get machines", &[]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("larger than 32 MiB"), "{}", ended.err);
}

#[test]
fn cli_without_a_cluster_the_way_to_one_is_told() {
    let ended = Bench::new().run("get nodes --socket /nowhere/agent.sock", &[]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("/nowhere/agent.sock does not answer"), "{}", ended.err);
    let ended = Bench::new().run("get pods --socket /nowhere/agent.sock", &[]);
    assert_eq!(ended.code, 2);
    let ended = Bench::new().run("get nodes --context rack", &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("maekin login"), "{}", ended.err);
}

/// A bench with a context for servers of these CAs and addresses.
pub(super) fn logged_in(ca: &TestCa, addresses: &[&str], token: &str) -> Bench {
    let mut env = Bench::new();
    env.env.insert("MAEKIN_CONTEXT", "rack".to_owned());
    let context = crate::context::Context {
        cluster: "rack".into(),
        ca_sha256: ca.fingerprint(),
        endpoints: addresses.iter().map(|address| format!("https://{address}")).collect(),
        user: "admin".into(),
        token: token.into(),
        ..crate::context::Context::default()
    };
    let config =
        crate::context::Config { current: "rack".into(), contexts: [("rack".to_owned(), context)].into() };
    config.save(&env.home.path().join(".config/maekin/config.toml")).unwrap();
    env
}

#[test]
fn cli_nodes_are_asked_in_turn_when_one_is_away_or_cut_off() {
    let ca = TestCa::new();
    let well = Fake::new(agent);
    let cut_off = Fake::new(|_| problem(503, "The cluster's record cannot be used", "no quorum"));
    let (well_at, cut_at) = (well.tls(&ca), cut_off.tls(&ca));
    let bench = logged_in(&ca, &["127.0.0.1:1", &cut_at, &well_at], "secret");
    let ended = bench.run("get nodes -o name", &[]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(well.asked()[0].header("authorization"), "Bearer secret");
    // What changes something is not tried elsewhere once a node has answered, or may have done it.
    let ended = bench.run("create window", &[]);
    assert_eq!((ended.code, cut_off.lines().last().unwrap().as_str()), (7, "POST /v1/install-window"));
    let hangs_up = Fake::new(|_| Reply::Bytes(Vec::new()));
    let bench = logged_in(&ca, &[&hangs_up.tls(&ca), &well_at], "secret");
    let before = well.lines().len();
    let ended = bench.run("create window", &[]);
    assert_eq!(ended.code, 6);
    assert!(ended.err.contains("not known whether it was done"), "{}", ended.err);
    assert_eq!(well.lines().len(), before);
}

#[test]
fn cli_a_node_of_another_cluster_is_told_nothing() {
    let (ours, other) = (TestCa::new(), TestCa::new());
    let stranger = Fake::new(agent);
    let bench = logged_in(&ours, &[&stranger.tls(&other)], "secret");
    let ended = bench.run("get nodes", &[]);
    assert_eq!(ended.code, 4, "{}", ended.err);
    assert!(ended.err.contains("a certificate of another CA"), "{}", ended.err);
    assert!(ended.err.contains("maekin login"), "what to do where it is the same cluster: {}", ended.err);
    assert!(stranger.asked().is_empty(), "not a byte of a request went out");
}

#[test]
fn cli_a_member_whose_certificate_ran_out_is_told_nothing() {
    let ca = TestCa::until(2020);
    let removed = Fake::new(agent);
    let bench = logged_in(&ca, &[&removed.tls(&ca)], "secret");
    let ended = bench.run("get nodes", &[]);
    assert_eq!(ended.code, 6, "{}", ended.err);
    assert!(ended.err.contains("its certificate does not hold now"), "{}", ended.err);
    assert!(removed.asked().is_empty(), "not a byte of a request went out");
}

#[test]
fn cli_a_password_is_asked_for_once_and_kept_nowhere() {
    let ca = TestCa::new();
    let server = Fake::new(agent);
    let bench = logged_in(&ca, &[&server.tls(&ca)], "");
    let ended = bench.run("status", &["hunter2"]);
    assert_eq!((ended.code, ended.prompts), (0, vec!["password of admin: ".to_owned()]));
    assert_eq!(server.asked()[0].header("authorization"), "Basic YWRtaW46aHVudGVyMg==");
    let kept = std::fs::read_to_string(bench.home.path().join(".config/maekin/config.toml")).unwrap();
    assert!(!kept.contains("hunter2"));
}
