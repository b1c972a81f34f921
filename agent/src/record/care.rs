//! How the record is as a store: watched by every member, told in its API and as alarms, and looked after by the one
//! that leads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use maekin_api::alarm::{Alarm, Severity};
use maekin_api::record as api;
use maekin_api::watch::RECORD;

use super::snapshot::{Status, StoreAlarm};
use super::values::{NodeValue, RestoredValue};
use super::voters::Voter;
use super::{Record, backup, housekeeping, keys};
use crate::app::{App, Member};
use crate::boot_drives::alarms::{Found, follow};
use crate::clock::now;
use crate::errors::chain;
use crate::membership;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(60);
/// How old the newest copy may be, seconds, before a person is told; the same for a member that has none yet.
const OLD: u64 = 3 * 3600;

/// What is known of it.
#[derive(Debug)]
pub(crate) struct Care {
    born: Instant,
    shared: RwLock<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    since: BTreeMap<String, u64>,
    alarms: Vec<Alarm>,
    /// Why the last backup failed.
    backup: String,
}

impl Default for Care {
    fn default() -> Self {
        Self { born: Instant::now(), shared: RwLock::default() }
    }
}

impl Care {
    /// What is wrong.
    pub(crate) fn alarms(&self) -> Vec<Alarm> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).alarms.clone()
    }

    /// Why the last backup failed; empty where it did not.
    pub(super) fn backup_failed(&self, why: &str) {
        why.clone_into(&mut self.shared.write().unwrap_or_else(PoisonError::into_inner).backup);
    }

    fn backup_problem(&self) -> String {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).backup.clone()
    }

    /// Says whether other alarms are on now.
    fn found(&self, found: Vec<Found>, now: u64) -> bool {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let change = follow(&mut shared.since, found, now);
        for alarm in change.alarms.iter().filter(|a| change.raised.contains(&a.id)) {
            tracing::warn!(alarm = alarm.id, what = alarm.what, remedy = alarm.remedy, "record");
        }
        for id in &change.cleared {
            tracing::info!(alarm = id, "cleared");
        }
        shared.alarms = change.alarms;
        !change.raised.is_empty() || !change.cleared.is_empty()
    }
}

/// What is wrong. `backup` is how many seconds ago the newest copy was as the record is, else for how long there has
/// been none. Pure.
fn judge(alarms: &BTreeSet<StoreAlarm>, backup: Result<u64, u64>, problem: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut add = |id: &str, severity, what: String, remedy: &str| {
        found.push(Found { id: id.to_owned(), severity, what, remedy: remedy.to_owned() });
    };
    if alarms.iter().any(|a| matches!(a, StoreAlarm::NoSpace(_))) {
        let what = "The cluster's record is full and takes no change.".to_owned();
        add(
            "record-full",
            Severity::Critical,
            what,
            "Old values are dropped by themselves; if this stays, see `maekin-agent record status`.",
        );
    }
    for alarm in alarms {
        if let StoreAlarm::Corrupt(id) = alarm {
            let what = format!("Voter {id:016x} of the cluster's record has other content than the others.");
            add("record-corrupt", Severity::Critical, what, "Install its node anew; see docs/cluster.md.");
        }
    }
    let (age, what) = match backup {
        Ok(age) => (age, format!("This node's newest copy of the cluster's record is {} h old.", age / 3600)),
        Err(age) => (age, "This node has no copy of the cluster's record.".to_owned()),
    };
    if age > OLD {
        let why =
            if problem.is_empty() { String::new() } else { format!(" The last try failed: {problem}.") };
        add("record-backup-old", Severity::Warning, what + &why, "See `maekin-agent record status`.");
    }
    found
}

/// Where the record was put back while our own voter went on with the old one: two of the old voters that were taken for
/// lost came back together. Pure.
fn plan_superseded<'a>(own: &str, counts: &'a [(String, u64)]) -> Option<&'a str> {
    let (_, ours) = counts.iter().find(|(url, _)| url == own)?;
    let (newest, count) = counts.iter().max_by_key(|(_, count)| *count)?;
    (count > ours).then_some(newest.as_str())
}

/// Gives our voter up where the record was put back elsewhere meanwhile.
pub(crate) async fn yield_to_restored(app: &App, record: &Record) {
    let local = format!("https://127.0.0.1:{}", app.settings.record_port);
    let counts = record.restored_at_each().await;
    let elsewhere = alone(record, &local, &counts).await;
    let elsewhere = match elsewhere {
        // A voter that is alone knows no other to compare with: the members' APIs do.
        Some(own) => match membership::restore::went_on::ask(app, own).await {
            Err(membership::MembershipError::Anew) => return app.trust.ca.anew.notify_one(),
            told => told.unwrap_or_default(),
        },
        None => None,
    };
    if let Some(url) = plan_superseded(&local, &counts).or(elsewhere.as_deref()) {
        tracing::error!(
            url,
            "the record was put back there; this node's old one is given up, and kept as etcd.before"
        );
        if let Err(e) = membership::restore::give_up(app, record, url).await {
            tracing::error!(error = %chain(&e), "this node's old record was not given up");
        }
    }
}

/// How often our record was put back, where our voter is its only one.
async fn alone(record: &Record, local: &str, counts: &[(String, u64)]) -> Option<u64> {
    let [(url, own)] = counts else { return None };
    let voters = record.members_as_known().await.ok().filter(|_| url == local)?;
    (voters.iter().filter(|v| !v.learner).count() == 1).then_some(*own)
}

/// Watches, tells, and looks after it where this member leads, for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let statuses = look(&app, &member.record, now()).await;
        yield_to_restored(&app, &member.record).await;
        // A full record lets nobody become the leading member: then the one at the voters' leader does it.
        let local = format!("https://127.0.0.1:{}", app.settings.record_port);
        let full = !housekeeping::store_alarms(&statuses).is_empty();
        let at_leader = statuses.iter().any(|(url, s)| *url == local && s.id == s.leader);
        if (app.leads() || (full && at_leader))
            && let Err(e) = tidy(&app, &member.record).await
        {
            tracing::info!(error = %chain(&e), "housekeeping of the record");
        }
    }
}

/// One look at what may be wrong.
async fn look(app: &App, record: &Record, now: u64) -> Vec<(String, Status)> {
    let statuses = record.statuses().await;
    let alarms = housekeeping::store_alarms(&statuses);
    let problem = app.record_care.backup_problem();
    let current = backup::report(&app.settings.state, &problem).current_at;
    let age = current.map(|at| now.saturating_sub(at)).ok_or(app.record_care.born.elapsed().as_secs());
    if app.record_care.found(judge(&alarms, age, &problem), now) {
        app.news.tell(RECORD, "alarms", false);
    }
    statuses
}

async fn tidy(app: &App, record: &Record) -> Result<(), super::RecordError> {
    let voters = record.members().await?.iter().filter(|v| !v.learner).count();
    housekeeping::turn(record, voters, app.settings.record_quota).await.map(drop)
}

/// Everything that `GET /v1/record` tells; also where there is no quorum, then as far as it is known.
pub(crate) async fn report(app: &App, member: Option<&Member>) -> api::Record {
    let backups = backup::report(&app.settings.state, &app.record_care.backup_problem());
    let quota = app.settings.record_quota;
    let base = api::Record { quota, alarms: app.record_care.alarms(), backups, ..api::Record::default() };
    let Some(member) = member else {
        return api::Record { problem: "this node is not a member of a cluster yet".to_owned(), ..base };
    };
    let record = &member.record;
    let (revision, statuses) = tokio::join!(record.revision(), record.statuses());
    let voters = record.members_as_known().await.unwrap_or_default();
    let (nodes, restored) = match &revision {
        Ok(_) => (
            record.list::<NodeValue>(keys::NODES).await.unwrap_or_default(),
            record.get::<RestoredValue>(keys::RESTORED).await.ok().flatten(),
        ),
        Err(_) => (Vec::new(), None),
    };
    let name = |id: &str| nodes.iter().find(|n| n.value.id == id).map(|n| n.value.name.clone());
    let voter = |v: &Voter| told(v, &statuses, name(&v.name).unwrap_or_default());
    let leader = statuses.iter().map(|(_, s)| s.leader).find(|id| *id != 0);
    api::Record {
        quorum: revision.is_ok(),
        problem: revision.as_ref().err().map(|e| chain(e)).unwrap_or_default(),
        revision: revision.unwrap_or(0),
        leader: voters.iter().find(|v| Some(v.id) == leader).map(|v| v.name.clone()),
        voters: voters.iter().map(voter).collect(),
        restored: restored.map(|r| api::Restored {
            count: r.value.count,
            at: r.value.at,
            // Any voter of it will do, its own first.
            url: nodes
                .iter()
                .filter(|n| !n.value.record_url.is_empty())
                .max_by_key(|n| n.value.id == r.value.by)
                .map(|n| n.value.record_url.clone())
                .unwrap_or_default(),
            by: r.value.by,
            source: r.value.source,
        }),
        ..base
    }
}

fn told(voter: &Voter, statuses: &[(String, Status)], name: String) -> api::Voter {
    api::Voter {
        id: format!("{:016x}", voter.id),
        node: voter.name.clone(),
        name,
        url: voter.peer_url.clone(),
        learner: voter.learner,
        state: statuses.iter().find(|(_, s)| s.id == voter.id).map(|(_, s)| s.state.clone()),
    }
}

#[cfg(test)]
mod tests;
