//! Tasks against a real record: several nodes, hands that do what the test says, owners that die.

mod bounds;
mod maintenance;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::join::{Invite, NewInvite};
use maekin_api::tasks::{LogLine, State, Task};
use maekin_rootfs::node::ClusterIntent;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::claim::{Claim, Pace, Stop};
use super::plan::Work;
use super::run::{Did, Hands, StepError, Tell};
use super::values::{OwnerValue, StepValue, TaskValue};
use super::{engine, store};
use crate::app::App;
use crate::http::client::Target;
use crate::leader;
use crate::record::{Change, Record, keys};
use crate::testing::{EndEtcd, PASSWORD, Reply, agent, ask, become_member, have_etcd, serve_while};

/// How long a task may take to come to where it shall be: the shortest lease that the record gives, and some.
const SETTLE: Duration = Duration::from_secs(60);

/// What the hands of several nodes did, and what they are let do.
#[derive(Default)]
struct Stage {
    /// Node and step, in order.
    did: Mutex<Vec<(String, String)>>,
    /// Steps that are done as soon as they are begun; others go on until they are let.
    free: Mutex<BTreeSet<String>>,
    turn: Notify,
}

impl Stage {
    fn let_do(&self, step: &str) {
        self.free.lock().unwrap().insert(step.to_owned());
        self.turn.notify_waiters();
    }

    fn did(&self) -> Vec<(String, String)> {
        self.did.lock().unwrap().clone()
    }

    fn begun(&self, step: &str) -> Option<String> {
        self.did().into_iter().rev().find(|(_, name)| *name == format!("begin {step}")).map(|(node, _)| node)
    }
}

/// Hands that have three steps: `one`, `two` (which is done once), `three`.
struct Fake {
    name: String,
    stage: Arc<Stage>,
}

impl Hands for Fake {
    async fn plan(&self, _: &Work) -> Result<Vec<StepValue>, StepError> {
        let step = |name: &str, once| StepValue { name: name.into(), what: format!("do {name}"), once };
        Ok(vec![step("one", false), step("two", true), step("three", false)])
    }

    async fn step(&self, _: &Work, step: &StepValue, tell: &Tell) -> Result<Did, StepError> {
        let note = |what: &str| {
            self.stage.did.lock().unwrap().push((self.name.clone(), format!("{what} {}", step.name)));
        };
        note("begin");
        tell.say(50, format!("half of {}", step.name));
        tell.log(format!("in the middle of {}", step.name));
        loop {
            let turn = self.stage.turn.notified();
            if self.stage.free.lock().unwrap().contains(&step.name) {
                break;
            }
            turn.await;
        }
        if step.name == "three" && self.stage.free.lock().unwrap().contains("fail") {
            return Err(StepError::failed("it broke", "mend it"));
        }
        note("end");
        Ok(Did::well(format!("{} is done", step.name)))
    }
}

const PACE: Pace = Pace { ttl: 5, margin: Duration::from_secs(1), report: Duration::from_millis(200) };

/// A node that works at tasks.
struct Node {
    app: Arc<App>,
    tasks: JoinSet<()>,
    _etcd: EndEtcd,
}

impl Node {
    async fn start(dir: &Path, seed: u128, cluster: ClusterIntent, stage: &Arc<Stage>) -> Self {
        let etcd = EndEtcd(dir.to_owned());
        let app = agent(dir, seed, cluster);
        let mut tasks = serve_while(&app).await;
        let member = become_member(&app).await;
        tasks.spawn(leader::keep(Arc::clone(&app), Arc::clone(&member)));
        let hands = Fake { name: app.config.hostname.clone(), stage: Arc::clone(stage) };
        tasks.spawn(engine::keep(Arc::clone(&app), member, Arc::new(hands), PACE));
        Self { app, tasks, _etcd: etcd }
    }

    fn record(&self) -> Record {
        self.app.member().expect("is a member").record.clone()
    }

    async fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let admin = format!("authorization: Basic {}", STANDARD.encode(format!("admin:{PASSWORD}")));
        let headers: Vec<&str> = [&*admin].into_iter().chain(headers.iter().copied()).collect();
        ask(&self.app, method, path, &headers, body).await
    }

    async fn make(&self, body: &str) -> Task {
        let reply = self.ask("POST", "/v1/tasks", &[], body).await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        let task: Task = reply.json();
        assert_eq!(reply.header("location"), Some(format!("/v1/tasks/{}", task.id)));
        task
    }

    async fn see(&self, id: &str) -> Task {
        self.ask("GET", &format!("/v1/tasks/{id}"), &[], "").await.json()
    }
}

async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(value) = ready().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(SETTLE, poll).await.unwrap_or_else(|_| panic!("gave up waiting for {what}"))
}

/// Two nodes of one cluster; the first has the record.
async fn two(dirs: &[tempfile::TempDir; 2], stage: &Arc<Stage>) -> [Node; 2] {
    let create = ClusterIntent::Create { name: "rack".into() };
    let first = Node::start(dirs[0].path(), 1, create, stage).await;
    until("the first node to lead", async || first.app.leads().then_some(())).await;
    let second = Node::start(dirs[1].path(), 2, join(&first).await, stage).await;
    [first, second]
}

/// How another node joins the cluster of `node`.
async fn join(node: &Node) -> ClusterIntent {
    let own = Target::Socket(node.app.settings.socket());
    let Invite { masters, secret, ca_sha256, .. } =
        own.post(maekin_api::INVITES, &NewInvite { minutes: 5 }).await.unwrap();
    ClusterIntent::Join { masters, secret, ca_sha256 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_task_goes_on_where_its_dead_owner_left_it() {
    if !have_etcd("record_a_task_goes_on_where_its_dead_owner_left_it") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let stage = Arc::new(Stage::default());
    let [first, mut second] = two(&dirs, &stage).await;
    // The node that was asked takes it, and a drain is rather not done by the node that it is about.
    let task = second.make(r#"{"kind":"drain","node":"node-1","reason":"a fan"}"#).await;
    stage.let_do("one");
    stage.let_do("two");
    let owner = until("the last step to begin", async || stage.begun("three")).await;
    assert_eq!(owner, "node-2");
    let seen = until("progress to be told", async || {
        Some(first.see(&task.id).await).filter(|task| task.doing == "half of three")
    })
    .await;
    assert_eq!((seen.state, seen.progress, seen.taken_over), (State::Running, 83, 0), "{seen:?}");
    assert_eq!((&*seen.subject, &*seen.reason), ("node-1", "a fan"));
    assert!(seen.steps[1].done.is_some() && seen.steps[2].done.is_none());

    second.tasks.shutdown().await;
    let again =
        until("the other node to go on", async || stage.begun("three").filter(|node| node == "node-1"));
    again.await;
    stage.let_do("three");
    let ended =
        until("the task to end", async || Some(first.see(&task.id).await).filter(|task| task.state.over()))
            .await;
    assert_eq!((ended.state, ended.progress, ended.taken_over), (State::Succeeded, 100, 1), "{ended:?}");
    let ends: Vec<_> = stage.did().into_iter().filter(|(_, what)| what.starts_with("end")).collect();
    let want = [("node-2", "end one"), ("node-2", "end two"), ("node-1", "end three")];
    assert_eq!(ends, want.map(|(node, what)| (node.to_owned(), what.to_owned())), "no step is done twice");
    let lines: Vec<LogLine> = first.ask("GET", &format!("/v1/tasks/{}/log", task.id), &[], "").await.json();
    let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    assert!(texts[0].starts_with("asked for by admin"), "{texts:?}");
    assert!(texts.contains(&"node-1 goes on where node-2 left it"), "{texts:?}");
    assert!(texts.contains(&"in the middle of three"), "{texts:?}");
    let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
    assert!(numbers.is_sorted() && numbers[0] == 0, "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_a_task_whose_owner_died_in_a_step_that_is_done_once_is_lost() {
    if !have_etcd("record_a_task_whose_owner_died_in_a_step_that_is_done_once_is_lost") {
        return;
    }
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let stage = Arc::new(Stage::default());
    let [first, mut second] = two(&dirs, &stage).await;
    let task = second.make(r#"{"kind":"drain","node":"node-1"}"#).await;
    stage.let_do("one");
    until("the step to begin", async || stage.begun("two")).await;
    second.tasks.shutdown().await;
    let ended =
        until("the task to end", async || Some(first.see(&task.id).await).filter(|task| task.state.over()))
            .await;
    assert_eq!(ended.state, State::Lost, "{ended:?}");
    let outcome = ended.outcome.unwrap();
    assert!(outcome.text.contains("node-2 was gone in the middle of: do two"), "{}", outcome.text);
    assert!(!outcome.remedy.is_empty());
    let begun = stage.did().iter().filter(|(_, what)| what == "begin two").count();
    assert_eq!(begun, 1, "it was not begun again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_what_an_owner_writes_holds_only_while_the_task_is_its_own() {
    if !have_etcd("record_what_an_owner_writes_holds_only_while_the_task_is_its_own") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _end = EndEtcd(dir.path().to_owned());
    let app = agent(dir.path(), 1, ClusterIntent::Create { name: "rack".into() });
    let record = become_member(&app).await.record.clone();
    let task = TaskValue { kind: "backup".into(), by: "eva".into(), ..TaskValue::default() };
    let store::Made::New(task) = store::create(&record, &task, "node-1", None).await.unwrap() else {
        panic!("made before")
    };
    let owner = |n: u8| OwnerValue { id: format!("id-{n}"), name: format!("node-{n}"), since: 1 };
    let old = Claim::take(&record, PACE, &task.id, &owner(1)).await.unwrap().unwrap();
    assert!(Claim::take(&record, PACE, &task.id, &owner(2)).await.unwrap().is_none(), "it is taken");
    old.write(&["a line".into()], |task| task.progress = 10).await.unwrap();
    // Its lease ran out while it was stopped.
    let claim = keys::under(keys::TASK_CLAIMS, &task.id);
    assert!(record.commit(Change::default().delete(&claim)).await.unwrap());
    let new = Claim::take(&record, PACE, &task.id, &owner(2)).await.unwrap().unwrap();
    let late = old.write(&["too late".into()], |task| task.progress = 99).await;
    assert!(matches!(late, Err(Stop::LostClaim)), "{late:?}");
    assert!(matches!(old.reread().await, Err(Stop::LostClaim)));
    new.write(&[], |task| task.progress = 20).await.unwrap();
    let (found, claimed) = store::get(&record, &task.id).await.unwrap();
    assert_eq!((found.value.progress, found.value.turns, claimed), (20, 2, true));
    // Somebody cancels between two writes of the owner: neither is lost.
    store::cancel(&record, &task.id, "eva", "node-1").await.unwrap();
    new.write(&[], |task| task.progress = 30).await.unwrap();
    let known = new.task().await;
    assert_eq!((known.progress, known.cancel.as_str()), (30, "eva"));
    // A log keeps its newest lines.
    for n in 0..12 {
        let lines: Vec<String> = (0..25).map(|m| format!("line {n} {m}\n\u{1b}[31m")).collect();
        new.write(&lines, |_| ()).await.unwrap();
    }
    let lines = store::log(&record, &task.id, None).await.unwrap();
    assert_eq!(lines.len(), 200);
    assert_eq!(lines.last().unwrap().text, "line 11 24  [31m", "in one line, and harmless");
    let behind = lines[190].number;
    assert_eq!(store::log(&record, &task.id, Some(behind)).await.unwrap().len(), 9);
    // What is over is dropped with its log.
    new.write(&[], |task| task.end(&super::plan::cancelled(task), 5)).await.unwrap();
    assert!(!store::claimed(&record, &task.id).await.unwrap());
    assert_eq!(store::trim_to(&record, 0, 6).await.unwrap(), 1);
    assert_eq!(record.count(keys::TASK_LOGS).await.unwrap(), 0);
    assert_eq!(record.count(keys::TASKS).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_tasks_are_made_once_listed_and_cancelled() {
    if !have_etcd("api_tasks_are_made_once_listed_and_cancelled") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let stage = Arc::new(Stage::default());
    let node = Node::start(dir.path(), 1, ClusterIntent::Create { name: "rack".into() }, &stage).await;
    until("the node to lead", async || node.app.leads().then_some(())).await;
    hostile_wishes_make_no_task(&node).await;
    assert_eq!(node.record().count(keys::TASKS).await.unwrap(), 0);

    let key = "idempotency-key: 7f3c";
    let body = r#"{"kind":"backup"}"#;
    let one: Task = node.ask("POST", "/v1/tasks", &[key, "x-request-id: r-1"], body).await.json();
    assert_eq!((one.request_id.as_str(), one.kind.as_str()), ("r-1", "backup"));
    let two = node.ask("POST", "/v1/tasks", &[key], body).await;
    assert_eq!(two.status, 202);
    assert_eq!(two.json::<Task>().id, one.id, "the same request makes one task");
    let other = node.ask("POST", "/v1/tasks", &[key], r#"{"kind": "backup"}"#).await;
    assert_eq!((other.status, other.kind()), (422, "idempotency-key-reused".into()));
    let race = async || node.ask("POST", "/v1/tasks", &["idempotency-key: race"], body).await;
    let (a, b, c, d) = tokio::join!(race(), race(), race(), race());
    let ids: BTreeSet<String> = [a, b, c, d].iter().map(|reply| reply.json::<Task>().id).collect();
    assert_eq!(ids.len(), 1, "also at the same time: {ids:?}");
    let raced = ids.into_iter().next().unwrap();

    until("the step to begin", async || stage.begun("one")).await;
    let open: Vec<Task> = node.ask("GET", "/v1/tasks?state=running,waiting", &[], "").await.json();
    assert_eq!(open.len(), 2);
    assert!(open[0].id > open[1].id, "the newest first");
    let page = node.ask("GET", "/v1/tasks?limit=1&state=running,waiting", &[], "").await;
    let listed: Vec<Task> = page.json();
    assert_eq!((listed.len(), &listed[0].id), (1, &open[0].id));
    let next = format!("</v1/tasks?after={}&limit=1&state=running,waiting>; rel=\"next\"", open[0].id);
    assert_eq!(page.header("link"), Some(next));
    let rest = format!("/v1/tasks?limit=1&state=running,waiting&after={}", open[0].id);
    assert_eq!(node.ask("GET", &rest, &[], "").await.json::<Vec<Task>>()[0].id, open[1].id);

    for id in [&one.id, &raced] {
        let cancelled = node.ask("POST", &format!("/v1/tasks/{id}/cancel"), &[], "").await;
        assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    }
    let ended =
        until("the task to end", async || Some(node.see(&one.id).await).filter(|task| task.state.over()))
            .await;
    assert_eq!(ended.state, State::Cancelled, "{ended:?}");
    assert!(ended.cancelled_by.unwrap().starts_with("admin"), "who did it");
    let again = node.ask("POST", &format!("/v1/tasks/{}/cancel", one.id), &[], "").await;
    assert_eq!((again.status, again.kind()), (409, "task-over".into()));

    // One that fails says why.
    for step in ["one", "two", "three", "fail"] {
        stage.let_do(step);
    }
    let failing = node.make(body).await;
    let failed =
        until("the task to end", async || Some(node.see(&failing.id).await).filter(|task| task.state.over()))
            .await;
    let outcome = failed.outcome.unwrap();
    assert_eq!((failed.state, &*outcome.text, &*outcome.remedy), (State::Failed, "it broke", "mend it"));
    let metrics = node.ask("GET", "/metrics", &[], "").await.body;
    assert!(metrics.contains("maekin_tasks_ended_total{state=\"failed\"} 1"), "{metrics}");
    // Who is idle asks nothing.
    let record = node.record();
    until("all to be over", async || (!node.app.tasks.counts().contains_key(&State::Running)).then_some(()))
        .await;
    assert!(record.list::<super::values::ClaimValue>(keys::TASK_CLAIMS).await.unwrap().is_empty());
}

async fn hostile_wishes_make_no_task(node: &Node) {
    let long = format!(r#"{{"kind":"drain","node":"{}"}}"#, "n".repeat(5000));
    let rows = [
        ("nothing", "", 400),
        ("no kind", "{}", 400),
        ("no such kind", r#"{"kind":"explode"}"#, 400),
        ("a field that there is not", r#"{"kind":"backup","shell":"rm"}"#, 400),
        ("a parameter of another kind", r#"{"kind":"backup","node":"node-1"}"#, 400),
        ("nobody", r#"{"kind":"drain","node":"node-9"}"#, 404),
        ("a name of five thousand letters", &long, 404),
        ("a place in the record", r#"{"kind":"compare-boot-drives","node":"../window"}"#, 404),
        ("a machine that is none", r#"{"kind":"power-cycle","machine":"../window"}"#, 400),
        ("a machine that cannot be switched", r#"{"kind":"power-cycle","machine":"52:54:00:00:00:01"}"#, 404),
        ("a node for a machine", r#"{"kind":"power-cycle","node":"node-1"}"#, 400),
        ("lines in a reason", r#"{"kind":"drain","node":"node-1","reason":"a\nb"}"#, 400),
    ];
    for (name, body, status) in rows {
        let reply = node.ask("POST", "/v1/tasks", &[], body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        assert!(reply.body.len() < 2000, "{name}: {}", reply.body);
    }
    let wrong_key = node.ask("POST", "/v1/tasks", &["idempotency-key: a b"], r#"{"kind":"backup"}"#).await;
    assert_eq!(wrong_key.status, 400);
    for (name, method, path, status) in [
        ("no such task", "GET", "/v1/tasks/0-0", 404),
        ("another place", "GET", "/v1/tasks/..%2Fwindow", 404),
        ("its log", "GET", "/v1/tasks/x/log", 404),
        ("a line that is no number", "GET", "/v1/tasks/0-0/log?after=x", 400),
        ("cancel nothing", "POST", "/v1/tasks/0-0/cancel", 404),
        ("no such state", "GET", "/v1/tasks?state=tired", 400),
        ("states without end", "GET", &format!("/v1/tasks?state={}", "lost,".repeat(100)), 400),
    ] {
        assert_eq!(node.ask(method, path, &[], "").await.status, status, "{name}");
    }
}
