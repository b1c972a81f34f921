//! Long work: begun, followed, ended early; and a node's maintenance, which begins with such work.

use std::time::Duration;

use clap::{Args, Subcommand};
use maekin_api as api;
use maekin_api::tasks::{Kind, State};
use serde_json::{Value, json};

use crate::fault::{Code, Fault};
use crate::resource::{Resource, fill, plain};
use crate::session::Session;
use crate::show::{self, Look, clean::clean, time};
use crate::stage::Stage;
use crate::wire::client::Ask;
use crate::wire::sse::SseParser;

/// Where word of changes comes from.
const EVENTS: &str = "/v1/watch?kinds=tasks";
/// How long a silent stream is believed: servers send a comment now and then.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two questions where there are no events.
const PAUSE: Duration = Duration::from_secs(2);
/// Questions in a row that may fail, while the node that is asked goes away and another one answers.
const FAILURES: u32 = 15;

/// What to do with a task.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Task {
    /// Have long work done.
    Run {
        /// What kind: backup, compare-boot-drives, drain, power-cycle or retire-drive.
        #[arg(value_parser = kind)]
        kind: Kind,
        /// Host name of the node that it is about.
        #[arg(long, default_value = "", hide_default_value = true)]
        of: String,
        /// Hardware address of the machine that it is about.
        #[arg(long, default_value = "", hide_default_value = true)]
        machine: String,
        /// Id or serial number of the drive that it is about.
        #[arg(long, default_value = "", hide_default_value = true)]
        drive: String,
        /// Why, for others.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        /// Also where it would be refused.
        #[arg(long)]
        force: bool,
        /// Wait until it has ended, and tell its log meanwhile.
        #[arg(short, long)]
        wait: bool,
    },
    /// Show the log of a task.
    Log {
        /// Its id.
        id: String,
        /// Go on until it has ended.
        #[arg(short, long)]
        follow: bool,
    },
    /// Wait until a task has ended; fails where it did not succeed.
    Wait {
        /// Its id.
        id: String,
    },
    /// Have a task end early.
    Cancel {
        /// Its id.
        id: String,
    },
}

/// A node that is prepared for being switched off.
#[derive(Debug, Clone, Args)]
pub(crate) struct Drain {
    /// Its host name.
    #[arg(value_name = "NODE")]
    pub(crate) name: String,
    /// Why, for others.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Also where the cluster can decide nothing while it is off.
    #[arg(long)]
    pub(crate) force: bool,
    /// Wait until it may be switched off, and tell what is done meanwhile.
    #[arg(short, long)]
    pub(crate) wait: bool,
}

/// Whether a node is in maintenance.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Maintenance {
    /// It is: it leaves to others what they can do as well, and its absence is no fault.
    On {
        /// Its host name.
        #[arg(value_name = "NODE")]
        name: String,
        /// Why, for others.
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// It is not any more.
    Off {
        /// Its host name.
        #[arg(value_name = "NODE")]
        name: String,
    },
}

fn kind(text: &str) -> Result<Kind, String> {
    let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
    let found = Kind::ALL.into_iter().find(|kind| kind.word() == text);
    found.ok_or_else(|| format!("there is no such kind; there are {}", words.join(", ")))
}

/// `task`.
pub(super) fn task(session: &Session, what: &Task, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    match what {
        Task::Run { kind, of, machine, drive, reason, force, wait } => {
            let mut wish = json!({ "kind": kind.word() });
            for (name, text) in [("node", of), ("machine", machine), ("drive", drive), ("reason", reason)] {
                if !text.is_empty() {
                    wish[name] = Value::String(text.clone());
                }
            }
            if *force {
                wish["force"] = Value::Bool(true);
            }
            begin(session, &wish, *wait, look, stage)
        }
        Task::Log { id, follow: false } => {
            let mut told = None;
            log(session, id, &mut told, true, stage)
        }
        Task::Log { id, follow: true } => {
            follow(session, id, true, stage)?;
            Ok(())
        }
        Task::Wait { id } => wait_for(session, id, false, stage),
        Task::Cancel { id } => {
            let path = fill(api::TASK_CANCEL.replace("{id}", "{}").as_str(), id);
            let (task, _) =
                session.ask(&Ask::with("POST", path, &Value::Null), &format!("task {id}"), stage)?;
            let state = if over(&task) { "is cancelled" } else { "is told to end" };
            writeln!(stage.out, "task {} {state}", clean(id))?;
            Ok(())
        }
    }
}

/// `drain`.
pub(super) fn drain(session: &Session, args: &Drain, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let mut wish = json!({ "kind": Kind::Drain.word(), "node": args.name });
    if !args.reason.is_empty() {
        wish["reason"] = Value::String(args.reason.clone());
    }
    if args.force {
        wish["force"] = Value::Bool(true);
    }
    begin(session, &wish, args.wait, look, stage)
}

/// `maintenance`.
pub(super) fn maintenance(session: &Session, what: &Maintenance, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let (node, patch, said) = match what {
        Maintenance::On { name: node, reason } => {
            (node, json!({ "maintenance": { "reason": reason } }), "is in maintenance")
        }
        Maintenance::Off { name: node } => (node, json!({ "maintenance": null }), "is not in maintenance"),
    };
    let path = fill("/v1/nodes/{}/settings", node);
    let ask = Ask { media: "application/merge-patch+json", ..Ask::with("PATCH", path, &patch) };
    session.ask(&ask, &format!("settings of {node}"), stage)?;
    writeln!(stage.out, "{} {said}", clean(node))?;
    Ok(())
}

fn begin(
    session: &Session,
    wish: &Value,
    wait: bool,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (task, _) = session.ask(&Ask::with("POST", api::TASKS, wish), "a new task", stage)?;
    begun(session, &task, wait, look, stage)
}

/// Says of a task that was made where it is told of, or waits until it has ended.
pub(super) fn begun(
    session: &Session,
    task: &Value,
    wait: bool,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let id = plain(&task["id"]);
    if wait {
        return wait_for(session, &id, true, stage);
    }
    show::things(Resource::find("tasks")?, std::slice::from_ref(task), task, look, stage)?;
    writeln!(stage.err, "it goes on by itself; `maekin task log -f {}` tells how", clean(&id))?;
    Ok(())
}

/// Waits until a task has ended, and says how.
fn wait_for(session: &Session, id: &str, log: bool, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let task = follow(session, id, log, stage)?;
    let text = |at: &str| task.pointer(at).map(plain).unwrap_or_default();
    let state = text("/state");
    if state == State::Succeeded.word() {
        if !log {
            writeln!(stage.out, "{state}: {}", clean(&text("/outcome/text")))?;
        }
        return Ok(());
    }
    let fault = Fault::new(Code::Failed, format!("task {id} {state}"), text("/outcome/text"));
    let remedy = text("/outcome/remedy");
    Err(if remedy.is_empty() { fault } else { fault.remedy(remedy) })
}

fn over(task: &Value) -> bool {
    task["ended"].as_u64().is_some()
}

/// Follows a task until it has ended; with its log where that is wanted. The task as it was then.
fn follow(session: &Session, id: &str, tell: bool, stage: &mut Stage<'_>) -> Result<Value, Fault> {
    let mut told = None;
    let mut failures = 0;
    loop {
        // The events are listened to before it is looked: so nothing falls in between.
        let mut open = match session.open(&Ask::new("GET", EVENTS), stage) {
            Ok(open) if open.status == 200 => Some(open),
            Ok(_) => None,
            Err(fault) if fault.code == Code::Unreachable => None,
            Err(fault) => return Err(fault),
        };
        let mut parser = SseParser::default();
        loop {
            match look(session, id, &mut told, tell, stage) {
                Ok(task) if over(&task) => return Ok(task),
                Ok(_) => failures = 0,
                // A node that is away may come back, or another one answer: the task goes on meanwhile.
                Err(fault)
                    if matches!(fault.code, Code::Unreachable | Code::Server) && failures < FAILURES =>
                {
                    failures += 1;
                }
                Err(fault) => return Err(fault),
            }
            let Some(stream) = &mut open else { break };
            if !changed(session, stream, &mut parser, id)? {
                break;
            }
        }
        session.unless_interrupted(async { tokio::time::sleep(PAUSE).await })?;
    }
}

/// Waits for word of the task; false where there will be none.
fn changed(
    session: &Session,
    open: &mut crate::wire::client::Open,
    parser: &mut SseParser,
    id: &str,
) -> Result<bool, Fault> {
    loop {
        let next = async { tokio::time::timeout(SILENCE, open.next()).await };
        let Ok(Ok(Some(bytes))) = session.unless_interrupted(next)? else { return Ok(false) };
        let Ok(events) = parser.push(&bytes) else { return Ok(false) };
        let name = |data: &str| serde_json::from_str::<Value>(data).ok().map(|data| plain(&data["name"]));
        let about = |data: &str| name(data).is_none_or(|name| name.is_empty() || name == id);
        if events.iter().any(|event| about(&event.data)) {
            return Ok(true);
        }
    }
}

/// Looks at a task, and tells what its log has more.
fn look(
    session: &Session,
    id: &str,
    told: &mut Option<u64>,
    tell: bool,
    stage: &mut Stage<'_>,
) -> Result<Value, Fault> {
    let path = fill(api::TASK.replace("{id}", "{}").as_str(), id);
    let task = session.get(&path, &format!("task {id}"), stage)?;
    if tell {
        log(session, id, told, false, stage)?;
    }
    Ok(task)
}

/// Tells the lines behind those that were told.
fn log(
    session: &Session,
    id: &str,
    told: &mut Option<u64>,
    whole: bool,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let mut path = fill(api::TASK_LOG.replace("{id}", "{}").as_str(), id);
    if let Some(told) = told.filter(|_| !whole) {
        path.push_str(&format!("?after={told}"));
    }
    let lines = session.get(&path, &format!("the log of task {id}"), stage)?;
    for line in lines.as_array().map(Vec::as_slice).unwrap_or_default() {
        let at = line["at"].as_u64().map(time::utc).unwrap_or_default();
        let (node, text) = (plain(&line["node"]), plain(&line["text"]));
        writeln!(stage.out, "{at}  {}  {}", clean(&node), clean(&text))?;
        *told = line["number"].as_u64().or(*told);
    }
    Ok(())
}
