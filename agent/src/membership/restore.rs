//! Putting the record back when its quorum is lost for good: from this node's own voter or learner where it has one, else
//! from a copy. A new data directory is made beside the old one, started on the loopback alone and looked into; only when it
//! holds this cluster's record, with this node as its one voter, the two directories change places in one step. So a
//! power cut leaves the old one or the new one. The old one is kept.
//!
//! | module | job |
//! | --- | --- |
//! | [`plan`] | what would be done and lost, or why not (pure) |
//! | [`learner`] | a learner that is alone: its log, its file |
//! | [`went_on`] | whether the record went on without a voter that was alone in it |

mod learner;
pub(crate) mod plan;
pub(crate) mod went_on;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file::{FileError, copy_tree, exchange, read_text};
use serde::{Deserialize, Serialize};

use super::etcd::{self, VoterFile};
use super::{MembershipError, MembershipFile, RECORD_PAUSE, RECORD_TRIES, load_file, store_file};
use crate::app::App;
use crate::node_info::{Own, own_address};
use crate::pki::identity::Credentials;
use crate::record::backup::{self, BackupError, file};
use crate::record::values::{ClusterValue, NodeValue, RestoredValue};
use crate::record::{Change, Record, RecordError, keys};
use plan::{Plan, Refusal, Seen, Source};

/// The program that turns a copy into a data directory.
const ETCDUTL: &str = "etcdutl";
/// Beside the data of a voter that was put back, until that is written down: what it is.
const NOTE: &str = "put-back.json";
/// By how much the revision jumps: nobody shall take a new value for one that was lost.
const BUMP: &str = "1000000";

/// For how long the voters are asked before their quorum counts as lost: two elections (5 to 10 s each).
const PATIENCE: Duration = Duration::from_secs(20);

/// The record was not put back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Membership.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// The copy.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program.
    #[error(transparent)]
    Cmd(#[from] CmdError),
    /// Keys.
    #[error(transparent)]
    Pki(#[from] crate::pki::PkiError),
    /// It started, and is not what it should be.
    #[error("what was put back is not this cluster's record: {0}; nothing was changed")]
    Wrong(String),
}

/// What lies beside the data of a voter that was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    voter: VoterFile,
    /// How often the record was put back by then: else this node would take its own for a later one than it knew.
    #[serde(default)]
    restored: u64,
}

/// What [`prepare`] made.
pub(crate) struct Prepared {
    note: Note,
    revision: i64,
}

/// Looks at everything that a plan follows from. Asks every voter that is known.
///
/// # Errors
/// [`RestoreError`].
pub(crate) async fn look(app: &App, from: Option<&Path>) -> Result<(Seen, Option<Record>), RestoreError> {
    end_copy(app).await?;
    let known = MembershipFile::load(&app.settings.membership())?;
    let credentials = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    let (mut quorum, mut record, mut applied) = (None, None, None);
    let local = etcd::local_url(app);
    if let Some((known, credentials)) = known.as_ref().zip(credentials) {
        // Ours is asked too: it may be the only voter by now, where the power went in the middle of this.
        let others = known.endpoints.iter().filter(|url| **url != local).cloned();
        let urls: Vec<_> = others.chain([local.clone()]).collect();
        let asked = Record::connect(&urls, &app.key, &credentials).await?;
        quorum = patiently(&asked).await;
        applied = asked.statuses().await.into_iter().find(|(url, _)| *url == local).map(|(_, s)| s.revision);
        record = Some(asked);
    }
    let voter = VoterFile::load(app)?.filter(|_| etcd::has_data(app));
    let learner = voter.as_ref().is_some_and(|voter| voter.learner);
    if learner && applied.is_none() && quorum.is_none() {
        applied = applied_on_disk(app);
    }
    let copies = backup::list(&backup::dir(&app.settings.state));
    let from = from.map(|path| (path.to_owned(), plan::copy_of(path, &copies)));
    let others = known.iter().flat_map(|k| &k.endpoints).filter(|url| **url != local).cloned().collect();
    let seen = Seen {
        member: known.is_some() && record.is_some(),
        quorum,
        voter: voter.is_some(),
        learner,
        applied,
        from,
        newest: copies.first().map(|c| (backup::dir(&app.settings.state).join(c.name()), c.clone())),
        others,
    };
    Ok((seen, record))
}

/// How far a learner has come that tells nobody, as it does where it was started while the first node is away: by a
/// look into a copy of its file, which may be one of a moment at which it was written to.
fn applied_on_disk(app: &App) -> Option<i64> {
    let look = app.settings.state.join("etcd.look");
    let copied = fs::copy(learner::file(app), &look).is_ok();
    let revision = copied.then(|| revision_of(&look).ok()).flatten();
    // Written over at the next look where it stays.
    let _ = fs::remove_file(&look);
    revision
}

/// The revision that a quorum answers with. One that has just lost its leader elects another one first.
async fn patiently(record: &Record) -> Option<i64> {
    let asked_from = Instant::now();
    loop {
        match record.revision().await {
            Ok(revision) => return Some(revision),
            Err(_) if asked_from.elapsed() >= PATIENCE => return None,
            Err(_) => tokio::time::sleep(RECORD_PAUSE).await,
        }
    }
}

/// Everything, after [`plan::plan_restore`] has said what. The agent must not run meanwhile.
///
/// # Errors
/// [`RestoreError`]; the record on this node is then as it was.
pub(crate) async fn apply(app: &App, plan: &Plan, now: u64) -> Result<i64, RestoreError> {
    let prepared = prepare(app, plan, now).await?;
    swap(app)?;
    finish(app, &prepared)?;
    Ok(prepared.revision)
}

fn new_dir(app: &App) -> PathBuf {
    app.settings.state.join("etcd.new")
}

/// Makes the new data directory and looks into it.
pub(super) async fn prepare(app: &App, plan: &Plan, now: u64) -> Result<Prepared, RestoreError> {
    let links = maekin_host::links::probe_links().unwrap_or_default();
    let own = own_address(&app.network.in_force(), &links).ok_or(MembershipError::NoAddress)?;
    if plan.source == Source::Learner {
        learner::carry_out_log(app, &own).await?;
    }
    etcd::stop(app).await?;
    let new = new_dir(app);
    remove_tree(&new)?;
    let outcome = async {
        let from = match &plan.source {
            Source::Voter => copy_of_voter(app, &own, now).await?,
            // etcd makes no voter of a learner that is alone (it ends with "removed all voters"); of its file it does.
            Source::Learner => learner::file(app),
            Source::Copy { path, .. } => path.clone(),
        };
        // That file has no digest at its end, as a copy has.
        build(app, &from, plan.source != Source::Learner, &own, now)?;
        etcd::start_copy(app, &own, &new, false).await?;
        examine(app, plan, &own, now).await
    };
    let outcome = outcome.await;
    etcd::stop(app).await?;
    let outcome = match outcome {
        // It goes with the directory, so that whoever starts after a power cut knows what became of it.
        Ok(prepared) => store_file(&new.join(NOTE), &prepared.note).map(|()| prepared).map_err(Into::into),
        Err(e) => Err(e),
    };
    if outcome.is_err() {
        remove_tree(&new)?;
    }
    outcome
}

/// A copy of all that this node's voter has, its log included: a second one on the same data, alone in its record, carries
/// that out and is copied, as the record always is. Its data itself would go on with the numbers that there were.
async fn copy_of_voter(app: &App, own: &Own, now: u64) -> Result<PathBuf, RestoreError> {
    let dir = new_dir(app);
    copy_tree(&etcd::data(app), &dir)?;
    etcd::start_copy(app, own, &dir, true).await?;
    let credentials = credentials(app)?;
    let record = Record::connect(&[etcd::local_url(app)], &app.key, &credentials).await?;
    cluster_in(&record).await?;
    let copy = backup::copy(&app.settings.state, &record, now).await?;
    etcd::stop(app).await?;
    remove_tree(&dir)?;
    Ok(copy)
}

fn credentials(app: &App) -> Result<Credentials, RestoreError> {
    let found = Credentials::load(&app.settings.pki(), &app.key, &app.node_id)?;
    found.ok_or_else(|| RestoreError::Wrong("this node's certificate is gone".to_owned()))
}

/// The cluster that a record is of, which has just been started.
async fn cluster_in(record: &Record) -> Result<ClusterValue, RestoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match record.get::<ClusterValue>(keys::CLUSTER).await {
            Ok(Some(cluster)) => return Ok(cluster.value),
            Ok(None) => return Err(RestoreError::Wrong("it holds no cluster".to_owned())),
            Err(e) if tries >= RECORD_TRIES => return Err(e.into()),
            Err(_) => tokio::time::sleep(RECORD_PAUSE).await,
        }
    }
}

/// Makes the new data directory of a copy, or of what is one but for its digest. Whatever it is made of, the revision jumps
/// and what came before is forgotten, so that whoever watched the old record is told to read anew.
fn build(app: &App, path: &Path, whole: bool, own: &Own, now: u64) -> Result<(), RestoreError> {
    let new = new_dir(app);
    let digest = format!("--skip-hash-check={}", !whole);
    if whole {
        file::verify(path)?;
    }
    let peer = etcd::peer_url(app, own);
    // A token of its own makes it another cluster for the voters that there were: they cannot mix.
    let token = format!("{}-{now}", app.node_id);
    let restore = Cmd::new(ETCDUTL)
        .args(["snapshot", "restore"])
        .arg(path)
        .arg(digest)
        .arg("--data-dir")
        .arg(&new)
        .args(["--name", &app.node_id, "--initial-cluster", &format!("{}={peer}", app.node_id)])
        .args(["--initial-advertise-peer-urls", &peer, "--initial-cluster-token", &token])
        .args(["--bump-revision", BUMP, "--mark-compacted"]);
    restore.run()?;
    Ok(())
}

/// Looks whether it is what it should be, and writes into it that it was put back.
async fn examine(app: &App, plan: &Plan, own: &Own, now: u64) -> Result<Prepared, RestoreError> {
    let wrong = |why: &str| RestoreError::Wrong(why.to_owned());
    let known =
        MembershipFile::load(&app.settings.membership())?.ok_or_else(|| wrong("no cluster is known"))?;
    let record = Record::connect(&[etcd::local_url(app)], &app.key, &credentials(app)?).await?;
    let cluster = cluster_in(&record).await?;
    if cluster.id != known.cluster_id {
        return Err(wrong(&format!("it is cluster {}'s", cluster.id)));
    }
    let voters = record.members().await?;
    let [voter] = &voters[..] else {
        return Err(wrong(&format!("it has {} voters", voters.len())));
    };
    let peer = etcd::peer_url(app, own);
    if voter.peer_url != peer {
        record.move_voter(voter.id, &peer).await?;
    }
    let mut change = Change::default();
    // The other voters are no more: nobody shall ask where they were, or have them sign.
    for node in record.list::<NodeValue>(keys::NODES).await?.into_iter().map(|n| n.value) {
        if node.id != app.node_id && (!node.record_url.is_empty() || node.signer) && change.len() < 100 {
            let key = keys::under(keys::NODES, &node.id);
            change = change.put(&key, &NodeValue { record_url: String::new(), signer: false, ..node })?;
        }
    }
    let before = record.get::<RestoredValue>(keys::RESTORED).await?.map_or(0, |r| r.value.count);
    let value = RestoredValue {
        count: before + 1,
        at: now,
        by: app.node_id.clone(),
        source: plan.source.to_string(),
    };
    record.commit(change.put(keys::RESTORED, &value)?).await?;
    let revision = record.revision().await?;
    let id = format!("{:016x}", voter.id);
    let voter = VoterFile { id, initial: format!("{}={peer}", app.node_id), learner: false };
    Ok(Prepared { note: Note { voter, restored: before + 1 }, revision })
}

/// The one step after which the new record is this node's. What it had is kept as `etcd.before`.
pub(super) fn swap(app: &App) -> Result<(), RestoreError> {
    let (data, new) = (etcd::data(app), new_dir(app));
    if !data.exists() {
        fs::rename(&new, &data).map_err(failed("cannot rename", &new))?;
        let state = &app.settings.state;
        return Ok(fs::File::open(state)
            .and_then(|d| d.sync_all())
            .map_err(failed("cannot flush", state))?);
    }
    exchange(&new, &data)?;
    keep(app)
}

/// Keeps what this node had, which lies where the new directory was once both have changed places.
fn keep(app: &App) -> Result<(), RestoreError> {
    let (new, old) = (new_dir(app), app.settings.state.join("etcd.before"));
    if new.exists() {
        remove_tree(&old)?;
        fs::rename(&new, &old).map_err(failed("cannot rename", &new))?;
    }
    Ok(())
}

/// Writes down where the record is now.
pub(super) fn finish(app: &App, prepared: &Prepared) -> Result<(), RestoreError> {
    take_note(app, &prepared.note)
}

fn take_note(app: &App, note: &Note) -> Result<(), RestoreError> {
    note.voter.store(app)?;
    let path = app.settings.membership();
    let Some(file) = MembershipFile::load(&path)? else { return Err(Refusal::NoMember.into()) };
    let restored = note.restored.max(file.restored);
    MembershipFile { endpoints: vec![etcd::local_url(app)], made: true, restored, ..file }.store(&path)?;
    let note = etcd::data(app).join(NOTE);
    Ok(fs::remove_file(&note).map_err(failed("cannot remove", &note))?)
}

/// The same at a start after a power cut came before it: else the node would ask the voters that there were, and go on
/// with their record where one of them is back.
///
/// # Errors
/// [`RestoreError`].
pub(super) async fn resume(app: &App) -> Result<(), RestoreError> {
    end_copy(app).await?;
    match load_file::<Note>(&etcd::data(app).join(NOTE))? {
        // Only what was put back has a note: what lies beside it is what there was before.
        Some(note) => keep(app).and_then(|()| take_note(app, &note)),
        None => Ok(()),
    }
}

/// Ends a voter that runs on the new data of a restoration that was interrupted: it would be taken for this node's own,
/// and what is written to it would be lost.
async fn end_copy(app: &App) -> Result<(), RestoreError> {
    let (env, new) = (app.settings.etcd_env(), new_dir(app));
    if env.exists() && runs_on(&read_text(&env, 1 << 20)?, &new) {
        tracing::warn!("a restoration of the record was interrupted; what it made is removed");
        etcd::stop(app).await?;
        remove_tree(&new)?;
    }
    Ok(())
}

/// Whether a voter with this environment has its data there. Pure.
fn runs_on(environment: &str, dir: &Path) -> bool {
    // Of two lines with one name, the later one holds.
    let named = environment.lines().filter_map(|line| line.strip_prefix("ETCD_DATA_DIR=")).next_back();
    named.is_some_and(|named| Path::new(named) == dir)
}

/// From its next start on, this node's agent asks for the record at `url`.
///
/// # Errors
/// [`RestoreError`]; nothing has changed then.
pub(crate) fn point(app: &App, url: String) -> Result<(), RestoreError> {
    let path = app.settings.membership();
    let Some(file) = MembershipFile::load(&path)? else { return Err(Refusal::NoMember.into()) };
    Ok(MembershipFile { endpoints: vec![url], made: true, ..file }.store(&path)?)
}

/// Ends this node's voter of a record that was put back at `url` meanwhile. What it had is kept.
///
/// # Errors
/// [`RestoreError`]; the next try goes on.
pub(crate) async fn give_up(app: &App, record: &Record, url: &str) -> Result<(), RestoreError> {
    leave(app, url).await?;
    Ok(record.set_endpoints(&[url.to_owned()]).await?)
}

/// The same before the record is asked for.
pub(super) async fn leave(app: &App, url: &str) -> Result<(), RestoreError> {
    etcd::stop(app).await?;
    let (data, old) = (etcd::data(app), app.settings.state.join("etcd.before"));
    if data.exists() {
        remove_tree(&old)?;
        fs::rename(&data, &old).map_err(failed("cannot rename", &data))?;
    }
    VoterFile::remove(app)?;
    point(app, url.to_owned())
}

fn remove_tree(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed("cannot remove", path)(e)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError { action, path, source }
}

/// Checks the copy that the plan names, and finds its revision where its name does not tell.
///
/// # Errors
/// [`RestoreError`] where it is damaged.
pub(crate) fn inspect(path: &Path) -> Result<i64, RestoreError> {
    file::verify(path)?;
    revision_of(path)
}

fn revision_of(path: &Path) -> Result<i64, RestoreError> {
    #[derive(Deserialize)]
    struct Status {
        revision: i64,
    }
    let status: Status = Cmd::new(ETCDUTL).args(["snapshot", "status", "-w", "json"]).arg(path).json()?;
    Ok(status.revision)
}

/// Stops or starts this node's agent.
///
/// # Errors
/// [`CmdError`].
pub(crate) fn agent_service(app: &App, verb: &str) -> Result<(), CmdError> {
    Cmd::new(&app.settings.systemctl).args([verb, "maekin-agent.service"]).run()
}

#[cfg(test)]
mod tests;
