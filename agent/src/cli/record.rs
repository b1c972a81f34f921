//! `record`: the cluster's record as a store, for people.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use maekin_api as api;
use maekin_api::record::{Backup, Backups, Record, Voter};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::{block_on, own};
use crate::app::App;
use crate::clock::now;
use crate::membership::restore;
use crate::membership::restore::plan::{Plan, Refusal, Seen, Source, plan_promotion, plan_restore};
use crate::run;
use crate::settings::Settings;

/// What to do with the record.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// Show its voters, its size, and what is wrong with it.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the copies that this node keeps.
    Backups {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a copy now, on this node, where it has changed.
    Backup,
    /// Put it back on this node when most of its voters are lost for good. Without --yes: say what would be done.
    Restore {
        /// The copy to use instead of what this node has.
        #[arg(long)]
        from: Option<PathBuf>,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Have this node's learner go on alone, when the one node that voted is gone for good. Without --yes: say what would
    /// be lost.
    Promote {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Ask for it at this voter from now on: where it was put back, when this node does not find it.
    Find {
        /// e.g. https://10.77.0.3:2379
        url: String,
    },
}

/// `record`.
pub(crate) fn verb(settings: &Settings, what: What) -> anyhow::Result<()> {
    let target = own(settings);
    match what {
        What::Status { json } => {
            let record: Record = block_on(target.get(api::RECORD))?;
            show(&record, json, |record| text(record, now()))
        }
        What::Backups { json } => {
            let record: Record = block_on(target.get(api::RECORD))?;
            show(&record.backups, json, |backups| backups_text(backups, now()))
        }
        What::Backup => {
            let backups: Backups = block_on(target.post(api::RECORD_BACKUPS, &()))?;
            show(&backups, false, |backups| backups_text(backups, now()))
        }
        What::Restore { from, yes } => put_back(settings, from.as_deref(), yes, plan_restore),
        What::Promote { yes } => put_back(settings, None, yes, plan_promotion),
        What::Find { url } => find(settings, url),
    }
}

/// `record restore` and `record promote`. The agent ends meanwhile, and is started again whatever happens.
fn put_back(
    settings: &Settings,
    from: Option<&Path>,
    yes: bool,
    decide: fn(&Seen, u64) -> Result<Plan, Refusal>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let app = run::offline(settings.clone())?;
    let (seen, _record) = runtime.block_on(restore::look(&app, from))?;
    let plan = decide(&seen, now())?;
    if let Source::Copy { path, .. } = &plan.source {
        let revision = restore::inspect(path)?;
        println!("{} is whole; revision {revision}", path.display());
    }
    println!("{plan}");
    if !yes {
        println!("Nothing was done. If this is what you want, say it again with --yes.");
        return Ok(());
    }
    // A terminal that is closed, or Ctrl-C, in the middle would leave the agent off: from here on it goes to its end.
    let _listening = {
        let _in = runtime.enter();
        [SignalKind::hangup(), SignalKind::interrupt()].map(signal)
    };
    let revision = carry_out(&runtime, &app, &plan)?;
    println!(
        "The record is back, at revision {revision}. This node is its only voter until others join or come back."
    );
    Ok(())
}

/// Does what the plan says; the revision then. The agent ends meanwhile, and is started again whatever happens.
///
/// # Errors
/// Why it was not done, or that the agent does not start.
pub(crate) fn carry_out(runtime: &Runtime, app: &App, plan: &Plan) -> anyhow::Result<i64> {
    restore::agent_service(app, "stop")?;
    let outcome = runtime.block_on(restore::apply(app, plan, now()));
    let started = restore::agent_service(app, "start");
    let revision = outcome?;
    started?;
    Ok(revision)
}

/// `record find`.
fn find(settings: &Settings, url: String) -> anyhow::Result<()> {
    let address = url.strip_prefix("https://").and_then(|rest| rest.parse::<std::net::SocketAddr>().ok());
    anyhow::ensure!(address.is_some(), "{url} is no address of a voter; it is like https://10.77.0.3:2379");
    let app = run::offline(settings.clone())?;
    restore::agent_service(&app, "stop")?;
    let outcome = restore::point(&app, url);
    restore::agent_service(&app, "start")?;
    Ok(outcome?)
}

fn show<T: serde::Serialize>(value: &T, json: bool, text: impl Fn(&T) -> String) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        print!("{}", text(value));
    }
    Ok(())
}

fn text(record: &Record, now: u64) -> String {
    let mut lines = Vec::new();
    if record.quorum {
        lines.push(format!("record    answers, revision {}", record.revision));
    } else {
        lines.push(format!("record    NO QUORUM: {}", record.problem));
    }
    for alarm in &record.alarms {
        lines.push(format!("alarm     {} {}", alarm.what, alarm.remedy));
    }
    lines.extend(record.voters.iter().map(|v| voter(v, record)));
    let newest = record.backups.kept.first();
    let age = record.backups.current_at.map_or("never".to_owned(), |at| age(now, at));
    let size = newest.map_or(String::new(), |b| format!(", {}", bytes(b.size)));
    lines.push(format!("backups   {} on this node, the newest as of {age}{size}", record.backups.kept.len()));
    if !record.backups.problem.is_empty() {
        lines.push(format!("          the last try failed: {}", record.backups.problem));
    }
    if let Some(r) = &record.restored {
        lines.push(format!(
            "restored  {} ago from {}; {} times in all",
            age_of(now, r.at),
            r.source,
            r.count
        ));
    }
    lines.join("\n") + "\n"
}

fn voter(voter: &Voter, record: &Record) -> String {
    let name = if voter.name.is_empty() { &voter.node } else { &voter.name };
    let part = match (voter.learner, record.leader.as_ref() == Some(&voter.node)) {
        (true, _) => "learner",
        (_, true) => "leader",
        _ => "voter",
    };
    let state = match &voter.state {
        Some(s) => {
            let errors = s.errors.join(", ");
            format!("{} of {}, {} used  {errors}", bytes(s.size), bytes(record.quota), bytes(s.used))
        }
        // It answers its own node alone.
        None if voter.learner => "copies the record, and has no vote".to_owned(),
        None => "DOES NOT ANSWER".to_owned(),
    };
    format!("voter     {name:<16} {part:<8} {}  {}", voter.url, state.trim_end())
}

fn backups_text(backups: &Backups, now: u64) -> String {
    let line = |b: &Backup| {
        format!("{:<10} revision {:<10} {:>9}  {}", age(now, b.at), b.revision, bytes(b.size), b.file)
    };
    let mut lines: Vec<_> = backups.kept.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("none yet".to_owned());
    }
    lines.join("\n") + "\n"
}

/// How long ago, in a word or two.
fn age(now: u64, at: u64) -> String {
    format!("{} ago", age_of(now, at))
}

pub(crate) fn age_of(now: u64, at: u64) -> String {
    match now.saturating_sub(at) {
        s @ 0..=119 => format!("{s} s"),
        s @ 120..=7199 => format!("{} min", s / 60),
        s @ 7200..=172_799 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

pub(crate) fn bytes(n: u64) -> String {
    if n < 1 << 20 { format!("{} KiB", n >> 10) } else { format!("{} MiB", n >> 20) }
}

#[cfg(test)]
mod tests {
    use maekin_api::record::VoterState;

    use super::*;

    #[test]
    fn record_status_says_what_a_person_needs() {
        let state = VoterState { size: 3 << 20, used: 500 << 10, ..VoterState::default() };
        let voter = |n: u32, learner, state| Voter {
            node: format!("id{n}"),
            name: format!("node-{n}"),
            url: format!("https://10.77.0.{n}:2380"),
            learner,
            state,
            ..Voter::default()
        };
        let mut record = Record {
            quorum: true,
            revision: 77,
            leader: Some("id1".into()),
            voters: vec![voter(1, false, Some(state)), voter(2, false, None), voter(3, true, None)],
            quota: 256 << 20,
            ..Record::default()
        };
        let said = text(&record, 10_000);
        for want in [
            "answers, revision 77",
            "node-1           leader   https://10.77.0.1:2380  3 MiB of 256 MiB, 500 KiB used\n",
            "node-2           voter    https://10.77.0.2:2380  DOES NOT ANSWER",
            "node-3           learner ",
            "0 on this node, the newest as of never",
        ] {
            assert!(said.contains(want), "{want} in:\n{said}");
        }
        record.quorum = false;
        record.problem = "why".into();
        record.backups.kept = vec![Backup { file: "/f".into(), at: 2800, revision: 70, size: 1 << 20 }];
        record.backups.current_at = Some(2800);
        let said = text(&record, 10_000);
        assert!(said.contains("NO QUORUM: why") && said.contains("as of 2 h ago, 1 MiB"), "{said}");
        assert!(backups_text(&record.backups, 10_000).contains("revision 70"));
    }
}
