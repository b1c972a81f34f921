//! Volumes: made, grown, copied, used, deleted; and storage on a page.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use maekin_api as api;
use serde_json::{Map, Value, json};

use super::{delete, get};
use crate::fault::{Code, Fault};
use crate::resource::{Resource, fill, plain};
use crate::session::Session;
use crate::show::{self, Form, Look, clean::clean, table::Table, time, yaml};
use crate::size;
use crate::stage::Stage;
use crate::wire::client::Ask;

/// How long `--wait` waits, and how often it looks.
const LIMIT: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(1);
/// Media type of a merge patch, RFC 7386.
const MERGE: &str = "application/merge-patch+json";

/// What to do with volumes.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Volume {
    /// List them.
    #[command(alias = "list")]
    Get {
        /// Which; none: all.
        names: Vec<String>,
    },
    /// Show all that is known of some.
    Describe {
        /// Which.
        names: Vec<String>,
    },
    /// Make one: `maekin volume create db --size 20G --class local`.
    Create {
        /// Its name.
        name: String,
        /// How large, e.g. 20G.
        #[arg(long, value_parser = size::parse)]
        size: u64,
        /// Where and how often it is kept: local, mirror or pool.
        #[arg(long, default_value = "local")]
        class: String,
        /// The node that shall have it; else the one with most room.
        #[arg(long, value_name = "NODE")]
        on: Option<String>,
        #[command(flatten)]
        limits: Limits,
        /// Wait until it is there.
        #[arg(short, long)]
        wait: bool,
    },
    /// Make one larger; none ever shrinks.
    Grow {
        /// Which.
        name: String,
        /// How large it is then, e.g. 40G.
        #[arg(long, value_parser = size::parse)]
        size: u64,
        /// Wait until it is.
        #[arg(short, long)]
        wait: bool,
    },
    /// Say how fast one may be used; what is not said stays.
    Limit {
        /// Which.
        name: String,
        #[command(flatten)]
        limits: Limits,
        /// Take all other limits away.
        #[arg(long)]
        none: bool,
    },
    /// Keep what one has now, by a name; without a name: list its snapshots.
    Snapshot {
        /// The volume.
        name: String,
        /// The snapshot.
        snapshot: Option<String>,
        /// Delete that snapshot.
        #[arg(long, requires = "snapshot")]
        delete: bool,
        /// Wait until it is there.
        #[arg(short, long, conflicts_with = "delete")]
        wait: bool,
    },
    /// Make one that begins with what another one has.
    Clone {
        /// The volume that it begins with.
        name: String,
        /// Its own name.
        new: String,
        /// A snapshot of the volume, in place of what it has now.
        #[arg(long)]
        snapshot: Option<String>,
        /// How large, where it shall be larger.
        #[arg(long, value_parser = size::parse)]
        size: Option<u64>,
        /// Wait until it is there.
        #[arg(short, long)]
        wait: bool,
    },
    /// Let one node use it, and no other.
    Attach {
        /// Which.
        name: String,
        /// The node; else the one that has it.
        #[arg(long, value_name = "NODE")]
        on: Option<String>,
        /// What for, for others.
        #[arg(long, default_value = "", hide_default_value = true)]
        purpose: String,
        /// Wait until it can be used.
        #[arg(short, long)]
        wait: bool,
    },
    /// Have it used no longer.
    Detach {
        /// Which.
        name: String,
        /// Without the word of its node, which must be gone.
        #[arg(long)]
        force: bool,
        /// Wait until it is free.
        #[arg(short, long)]
        wait: bool,
    },
    /// Delete some, with what is on them.
    Delete {
        /// Which.
        #[arg(required = true)]
        names: Vec<String>,
        /// With their snapshots.
        #[arg(long)]
        snapshots: bool,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

/// How fast a volume may be used, in each second.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Limits {
    /// Most reads, and most writes.
    #[arg(long, value_name = "N")]
    pub(crate) iops: Option<u64>,
    /// Most reads.
    #[arg(long, value_name = "N")]
    pub(crate) read_iops: Option<u64>,
    /// Most writes.
    #[arg(long, value_name = "N")]
    pub(crate) write_iops: Option<u64>,
    /// Most bytes read, and most written, e.g. 100M.
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) bandwidth: Option<u64>,
    /// Most bytes read.
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) read_bandwidth: Option<u64>,
    /// Most bytes written.
    #[arg(long, value_name = "BYTES", value_parser = size::parse)]
    pub(crate) write_bandwidth: Option<u64>,
}

impl Limits {
    /// What was said; what stands for one way goes before what stands for both.
    fn body(&self) -> Map<String, Value> {
        let rows = [
            ("read_iops", self.read_iops.or(self.iops)),
            ("write_iops", self.write_iops.or(self.iops)),
            ("read_bandwidth", self.read_bandwidth.or(self.bandwidth)),
            ("write_bandwidth", self.write_bandwidth.or(self.bandwidth)),
        ];
        rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
    }

    /// The same as a merge patch; with `none` what was not said is taken away.
    fn patch(&self, none: bool) -> Map<String, Value> {
        let mut patch = self.body();
        if none {
            for name in ["read_iops", "write_iops", "read_bandwidth", "write_bandwidth"] {
                patch.entry(name).or_insert(Value::Null);
            }
        }
        patch
    }
}

/// `volume`.
pub(super) fn volume(
    session: &Session,
    what: &Volume,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    match what {
        Volume::Get { names } => get::get(session, "volumes", names, None, look, stage),
        Volume::Describe { names } => get::describe(session, "volumes", names, look, stage),
        Volume::Create { name, size, class, on, limits, wait } => {
            let mut body = json!({"name": name, "size": size, "class": class});
            if let Some(node) = on {
                body["node"] = node.as_str().into();
            }
            let limits = limits.body();
            if !limits.is_empty() {
                body["limits"] = limits.into();
            }
            let ask = Ask::with("POST", api::VOLUMES, &body);
            let then = Then { said: "is being made", done: "is there", is: ready };
            change(session, name, &ask, wait.then_some(then), "is being made", look, stage)
        }
        Volume::Grow { name, size, wait } => {
            let then = Then { said: "is growing", done: "has grown", is: ready };
            let ask = patch(name, &json!({ "size": size }));
            change(session, name, &ask, wait.then_some(then), "is growing", look, stage)
        }
        Volume::Limit { name, limits, none } => {
            let limits = limits.patch(*none);
            if limits.is_empty() {
                let reason = "say --iops, --bandwidth or one of their parts, or --none";
                return Err(Fault::usage("no limit was said", reason));
            }
            let ask = patch(name, &json!({ "limits": limits }));
            change(session, name, &ask, None, "has other limits", look, stage)
        }
        Volume::Snapshot { name, snapshot, delete, wait } => {
            snapshots(session, (name, snapshot.as_deref()), *delete, *wait, look, stage)
        }
        Volume::Clone { name, new, snapshot, size, wait } => {
            let mut body = json!({ "name": new });
            if let Some(snapshot) = snapshot {
                body["snapshot"] = snapshot.as_str().into();
            }
            if let Some(size) = size {
                body["size"] = (*size).into();
            }
            let ask = Ask::with("POST", fill("/v1/volumes/{}/clone", name), &body);
            let then = Then { said: "is being made", done: "is there", is: ready };
            change(session, new, &ask, wait.then_some(then), "is being made", look, stage)
        }
        Volume::Attach { name, on, purpose, wait } => {
            let mut body = json!({ "purpose": purpose });
            if let Some(node) = on {
                body["node"] = node.as_str().into();
            }
            let ask = Ask::with("POST", fill("/v1/volumes/{}/attach", name), &body);
            let then = Then { said: "is being attached", done: "is attached", is: attached };
            change(session, name, &ask, wait.then_some(then), "is being attached", look, stage)
        }
        Volume::Detach { name, force, wait } => {
            let ask = Ask::with("POST", fill("/v1/volumes/{}/detach", name), &json!({ "force": force }));
            let then = Then { said: "is being detached", done: "is free", is: detached };
            change(session, name, &ask, wait.then_some(then), "is being detached", look, stage)
        }
        Volume::Delete { names, snapshots: false, yes } => {
            delete::delete(session, "volumes", names, (*yes, false), stage)
        }
        Volume::Delete { names, snapshots: true, yes } => {
            if !yes {
                let what = names.join(", ");
                stage.confirm(&format!(
                    "delete volume {what} and their snapshots? what is on them is gone for good."
                ))?;
            }
            for name in names {
                let path = fill("/v1/volumes/{}?snapshots=delete", name);
                session.ask(&Ask::new("DELETE", path), &format!("volume {name}"), stage)?;
                writeln!(stage.out, "volumes/{} deleted", clean(name))?;
            }
            Ok(())
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy)]
struct Then {
    said: &'static str,
    done: &'static str,
    is: fn(&Value) -> bool,
}

fn patch(name: &str, body: &Value) -> Ask {
    Ask { media: MERGE, ..Ask::with("PATCH", fill("/v1/volumes/{}", name), body) }
}

/// Asks for a change, says what becomes of it, and waits for that where it was said.
fn change(
    session: &Session,
    name: &str,
    ask: &Ask,
    then: Option<Then>,
    said: &str,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (mut volume, _) = session.ask(ask, &format!("volume {name}"), stage)?;
    let mut said = said;
    if let Some(Then { said: doing, done, is }) = then {
        let path = fill("/v1/volumes/{}", name);
        volume = wait(session, &path, name, doing, volume, is, stage)?;
        said = done;
    }
    match look.form {
        Form::Json => stage.out.write_all(show::json(&volume).as_bytes())?,
        Form::Yaml => stage.out.write_all(yaml::render(&volume).as_bytes())?,
        _ => writeln!(stage.out, "volumes/{} {said}", clean(name))?,
    }
    Ok(())
}

/// Waits until the thing at `path` is as `is` says, and returns it.
fn wait(
    session: &Session,
    path: &str,
    name: &str,
    doing: &str,
    mut now: Value,
    is: fn(&Value) -> bool,
    stage: &mut Stage<'_>,
) -> Result<Value, Fault> {
    let begun = Instant::now();
    loop {
        if is(&now) {
            return Ok(now);
        }
        if begun.elapsed() >= LIMIT {
            let what = format!("{name} {doing} still, after {} s", LIMIT.as_secs());
            return Err(Fault::new(Code::Failed, what, why(&now))
                .remedy("it goes on by itself; `maekin describe volume NAME` says how"));
        }
        session.unless_interrupted(async { tokio::time::sleep(LOOK).await })?;
        now = match session.get(path, name, stage) {
            // The node that is asked may be on its way.
            Err(fault) if matches!(fault.code, Code::Unreachable | Code::Server) => now,
            other => other?,
        };
    }
}

/// What stands in the way, as the volume says it.
fn why(volume: &Value) -> String {
    let conditions = volume["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wrong = conditions.iter().find(|c| c["type"] == "Ready" && c["status"] != "True");
    match wrong {
        Some(ready) => format!("{}: {}", plain(&ready["reason"]), plain(&ready["message"])),
        None => volume.pointer("/health/text").map(plain).unwrap_or_default(),
    }
}

fn ready(volume: &Value) -> bool {
    let conditions = volume["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let holds = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    holds && volume["generation"] == volume["observed_generation"]
}

fn attached(volume: &Value) -> bool {
    volume.pointer("/attachment/state").is_some_and(|state| state == "attached")
}

fn detached(volume: &Value) -> bool {
    volume["attachment"].is_null()
}

fn snapshots(
    session: &Session,
    (name, snapshot): (&str, Option<&str>),
    delete: bool,
    waits: bool,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let path = fill("/v1/volumes/{}/snapshots", name);
    let what = format!("snapshots of {name}");
    let Some(snapshot) = snapshot else {
        let all = session.get(&path, &what, stage)?;
        return listed(&all, look, stage);
    };
    let one = format!("{path}/{}", fill("{}", snapshot));
    if delete {
        session.ask(&Ask::new("DELETE", one), &what, stage)?;
        writeln!(stage.out, "snapshot {} of {} deleted", clean(snapshot), clean(name))?;
        return Ok(());
    }
    let (mut made, _) = session.ask(&Ask::with("POST", path, &json!({ "name": snapshot })), &what, stage)?;
    let mut said = "is being made";
    if waits {
        let is = |snapshot: &Value| snapshot["state"] == "ready";
        made = wait(session, &one, snapshot, said, made, is, stage)?;
        said = "is there";
    }
    match look.form {
        Form::Json => stage.out.write_all(show::json(&made).as_bytes())?,
        Form::Yaml => stage.out.write_all(yaml::render(&made).as_bytes())?,
        _ => writeln!(stage.out, "snapshot {} of {} {said}", clean(snapshot), clean(name))?,
    }
    Ok(())
}

fn listed(all: &Value, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let things = all.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = match look.form {
        Form::Json => show::json(all),
        Form::Yaml => yaml::render(all),
        Form::Name => things.iter().map(|one| format!("{}\n", clean(&plain(&one["name"])))).collect(),
        Form::Table | Form::Wide => {
            let now = (stage.now)();
            let row = |one: &Value| {
                let number = |field: &str| one[field].as_u64();
                vec![
                    plain(&one["name"]),
                    plain(&one["state"]),
                    number("size").map(time::bytes).unwrap_or_default(),
                    number("used").map(time::bytes).unwrap_or_default(),
                    number("taken").map(|at| time::distance(at, now)).unwrap_or_default(),
                    plain(&one["created_by"]),
                ]
            };
            let heads = ["SNAPSHOT", "STATE", "SIZE", "USED", "TAKEN", "BY"];
            Table::of(&heads, things.iter().map(row).collect()).render(!look.headless, stage.columns)
        }
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}

/// `storage`: classes, nodes, and what is wrong, on one page.
pub(super) fn storage(session: &Session, look: Look, stage: &mut Stage<'_>) -> Result<(), Fault> {
    let answer = session.get(api::STORAGE, "storage", stage)?;
    let text = match look.form {
        Form::Json => show::json(&answer),
        Form::Yaml => yaml::render(&answer),
        _ => page(&answer, look, (stage.now)(), stage.columns)?,
    };
    Ok(stage.out.write_all(text.as_bytes())?)
}

fn page(answer: &Value, look: Look, now: u64, width: Option<usize>) -> Result<String, Fault> {
    let classes = answer["classes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wide = look.form == Form::Wide;
    let mut text = Table::new(Resource::find("storage")?, classes, wide, now).render(!look.headless, width);
    let nodes: Vec<Vec<String>> = classes
        .iter()
        .flat_map(|class| {
            let nodes = class["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.iter().map(|node| node_row(&plain(&class["class"]), node, now))
        })
        .collect();
    if !nodes.is_empty() {
        let heads =
            ["NODE", "CLASS", "POOL", "CAPACITY", "USED", "TABLES", "PROMISED", "VOLUMES", "COPIES", "TOLD"];
        text.push('\n');
        text.push_str(&Table::of(&heads, nodes).render(!look.headless, width));
    }
    let alarms = answer["alarms"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !alarms.is_empty() {
        let row = |alarm: &Value| ["node", "severity", "what"].map(|field| plain(&alarm[field])).to_vec();
        text.push('\n');
        let table = Table::of(&["NODE", "SEVERITY", "WHAT"], alarms.iter().map(row).collect());
        text.push_str(&table.render(!look.headless, width));
    }
    Ok(text)
}

fn node_row(class: &str, node: &Value, now: u64) -> Vec<String> {
    let bytes = |field: &str| node[field].as_u64().map(time::bytes).unwrap_or_default();
    let percent =
        |field: &str| node[field].as_u64().map(|share| format!("{}%", share / 100)).unwrap_or_default();
    let copies = node.pointer("/copies/wanted").and_then(Value::as_u64).filter(|wanted| *wanted > 0);
    let copies = copies.map(|wanted| {
        let have = node.pointer("/copies/have").map(plain).unwrap_or_default();
        format!("{have} of {wanted}")
    });
    let pool = match node.pointer("/pool/state").map(plain).unwrap_or_default().as_str() {
        "ready" => plain(&node["mode"]),
        other => other.to_owned(),
    };
    vec![
        plain(&node["name"]),
        class.to_owned(),
        pool,
        bytes("capacity"),
        percent("used_share"),
        percent("metadata_share"),
        bytes("promised"),
        plain(&node["volumes"]),
        copies.unwrap_or_default(),
        node["told"].as_u64().map(|at| time::distance(at, now)).unwrap_or_default(),
    ]
}
