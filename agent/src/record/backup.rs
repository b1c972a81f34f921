//! Copies of the record: every member keeps some, also where it has no voter, so that a cluster that lost its voters
//! for good can be put back. Each is what etcd streams as a snapshot, checked by the digest at its end before it gets
//! its name; a record that has not changed is not copied again.
//!
//! | module | job |
//! | --- | --- |
//! | [`plan`] | names, and which copies are kept (pure) |
//! | [`mod@file`] | one copy: written, checked |

pub(crate) mod file;
pub(crate) mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maekin_api::record::{Backup, Backups};
use maekin_host::file::{FileError, read_text, write_atomic};
use serde::{Deserialize, Serialize};

use super::{Record, RecordError};
use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use plan::Copy;

/// How often the record is copied, where it has changed.
const EVERY: Duration = Duration::from_secs(3600);
/// The same while one voter has it alone.
const EVERY_ALONE: Duration = Duration::from_secs(300);
/// How long after it became a member, or after a try that failed, a member tries.
const SOON: Duration = Duration::from_secs(60);

/// A copy could not be made or cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// The record gave none.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// It ended too early, or changed on its way.
    #[error("{} is damaged: {why}; take another copy (`maekin-agent record backups`)", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        why: &'static str,
    },
    /// There is no room for one more.
    #[error("{} has {free} bytes left, which is too little for a copy of the record; make room there", path.display())]
    Full {
        /// Where.
        path: PathBuf,
        /// How much is left.
        free: u64,
    },
}

/// Where copies lie.
pub(crate) fn dir(state: &Path) -> PathBuf {
    state.join("backups")
}

/// What was found at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Checked {
    revision: i64,
    at: u64,
    /// The cluster: revisions of another one say nothing.
    cluster: String,
}

impl Checked {
    fn load(state: &Path) -> Self {
        // Lost or damaged, it costs one copy more.
        let text = read_text(&dir(state).join("checked.json"), 4096).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn store(&self, state: &Path) -> Result<(), FileError> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        write_atomic(&dir(state).join("checked.json"), &text, 0o600)
    }
}

/// Makes copies for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let mut pause = SOON + spread(&app.node_id, SOON);
    loop {
        tokio::time::sleep(pause).await;
        match once(&app.settings.state, &member.record, &member.cluster.id, now()).await {
            Ok(done) => {
                tracing::info!(?done, "backup of the record");
                app.record_care.backup_failed("");
                app.news.tell(maekin_api::watch::RECORD, "backups", false);
                let voters = member.record.members_as_known().await.unwrap_or_default();
                let votes = voters.iter().filter(|v| !v.learner).count();
                pause = if votes > 1 { EVERY } else { EVERY_ALONE };
            }
            Err(e) => {
                let error = chain(&e);
                tracing::warn!(error, "backup of the record");
                app.record_care.backup_failed(&error);
                pause = SOON;
            }
        }
    }
}

/// Members do not all copy at once: each has its own time within `width`. Pure.
fn spread(node_id: &str, width: Duration) -> Duration {
    let sum = node_id.bytes().fold(0_u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)));
    width.mul_f64(f64::from(sum % 1000) / 1000.0)
}

/// What a turn did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The record is as the newest copy has it.
    Unchanged,
    /// A copy was made, and that many were dropped.
    Made { revision: i64, size: u64, dropped: usize },
}

/// Copies the record where it has changed, and drops what is kept no longer.
///
/// # Errors
/// [`BackupError`]; what was there before is there still.
pub(crate) async fn once(
    state: &Path,
    record: &Record,
    cluster: &str,
    now: u64,
) -> Result<Done, BackupError> {
    let dir = dir(state);
    let (revision, stream) = record.snapshot().await?;
    let checked = Checked { revision, at: now, cluster: cluster.to_owned() };
    let last = Checked::load(state);
    let newest = list(&dir).into_iter().next();
    if last.revision == revision && last.cluster == cluster && newest.is_some_and(|c| c.revision == revision)
    {
        checked.store(state)?;
        return Ok(Done::Unchanged);
    }
    let copy = Copy { at: now, revision, size: 0 };
    let size = file::write(&dir, &copy.name(), stream).await?;
    checked.store(state)?;
    let doomed = plan::plan_thin(&list(&dir));
    for copy in &doomed {
        file::remove(&dir.join(copy.name()))?;
    }
    Ok(Done::Made { revision, size, dropped: doomed.len() })
}

/// Copies the record as it is, whatever copies there are; where the copy lies.
///
/// # Errors
/// [`BackupError`].
pub(crate) async fn copy(state: &Path, record: &Record, now: u64) -> Result<PathBuf, BackupError> {
    let (revision, stream) = record.snapshot().await?;
    let (dir, name) = (dir(state), Copy { at: now, revision, size: 0 }.name());
    file::write(&dir, &name, stream).await?;
    Ok(dir.join(name))
}

/// The copies that there are, the newest first.
pub(crate) fn list(dir: &Path) -> Vec<Copy> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut copies: Vec<_> = entries
        .filter_map(|entry| Copy::parse(entry.file_name().to_str()?, entry.metadata().ok()?.len()))
        .collect();
    copies.sort_by_key(|c| std::cmp::Reverse((c.at, c.revision)));
    copies
}

/// The same, for the API.
pub(crate) fn report(state: &Path, problem: &str) -> Backups {
    let dir = dir(state);
    let kept: Vec<_> = list(&dir)
        .into_iter()
        .map(|c| Backup {
            file: dir.join(c.name()).display().to_string(),
            at: c.at,
            revision: c.revision,
            size: c.size,
        })
        .collect();
    let checked = Checked::load(state);
    let current_at = kept.first().map(|newest| newest.at.max(checked.at));
    Backups { kept, current_at, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
