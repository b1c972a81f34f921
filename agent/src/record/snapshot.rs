//! What etcd tells of itself as a store: snapshots, size, alarms, one voter at a time.

use std::time::Duration;

use etcd_client::{AlarmAction, AlarmType, SnapshotStreaming};
use maekin_api::record::VoterState;

use super::values::RestoredValue;
use super::voters::{Client, LIMIT, Voter, to_voter};
use super::{Record, RecordError, decode, keys};

/// How long one voter may take to say how it is.
const STATUS: Duration = Duration::from_secs(3);
/// How long one voter may take to write its file anew; it answers nobody meanwhile.
const DEFRAGMENT: Duration = Duration::from_secs(120);

/// A snapshot on its way.
pub(crate) struct Snapshot {
    stream: SnapshotStreaming,
    /// Who sends it.
    pub(crate) from: String,
}

impl Snapshot {
    /// The next bytes; `None` at its end.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, RecordError> {
        let unreachable = |e: etcd_client::Error| RecordError::Unreachable {
            voters: self.from.clone(),
            why: e.to_string(),
        };
        Ok(self.stream.message().await.map_err(unreachable)?.map(|part| part.blob().to_vec()))
    }
}

/// One voter's answer about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// Its id.
    pub(crate) id: u64,
    /// Whom it takes for the leader of the voters; 0 for nobody.
    pub(crate) leader: u64,
    /// Its revision of the record.
    pub(crate) revision: i64,
    /// How it is.
    pub(crate) state: VoterState,
}

/// Why a voter is in alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoreAlarm {
    /// Its file has reached the quota: writes are refused everywhere.
    NoSpace(u64),
    /// What it has is not what the others have.
    Corrupt(u64),
}

/// The alarm in one of the errors that a voter tells of itself (`memberID:5 alarm:NOSPACE`). A question for alarms would
/// be written into every voter's log. Pure.
pub(super) fn parse_alarm(text: &str) -> Option<StoreAlarm> {
    let mut words = text.split_whitespace();
    let id = words.next()?.strip_prefix("memberID:")?.parse().ok()?;
    match words.next()?.strip_prefix("alarm:")? {
        "NOSPACE" => Some(StoreAlarm::NoSpace(id)),
        "CORRUPT" => Some(StoreAlarm::Corrupt(id)),
        _ => None,
    }
}

impl Record {
    /// Begins a snapshot of the record as it is at this revision, or a little later.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn snapshot(&self) -> Result<(i64, Snapshot), RecordError> {
        let work = async |client: Client| {
            let seen = client.kv_client().get(keys::CLUSTER, None).await?;
            let revision = seen.header().map_or(0, etcd_client::ResponseHeader::revision);
            Ok((revision, client.maintenance_client().snapshot().await?))
        };
        let (revision, stream) = self.voters.ask_twice("begin a snapshot", LIMIT, work).await?;
        Ok((revision, Snapshot { stream, from: self.voters.preferred() }))
    }

    /// The revision of the record; only a quorum can tell.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn revision(&self) -> Result<i64, RecordError> {
        let work = async |client: Client| client.kv_client().get(keys::CLUSTER, None).await;
        let seen = self.voters.ask("read the revision", LIMIT, work).await?;
        Ok(seen.header().map_or(0, etcd_client::ResponseHeader::revision))
    }

    /// The voters as any one of them knows them, also where there is no quorum.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn members_as_known(&self) -> Result<Vec<Voter>, RecordError> {
        let work = async |client: Client| client.cluster_client().member_list().await;
        let list = self.voters.ask("list the voters", STATUS, work).await?;
        Ok(list.members().iter().map(to_voter).collect())
    }

    /// How each voter that we know is, all asked at once, each with where it was asked.
    pub(crate) async fn statuses(&self) -> Vec<(String, Status)> {
        let work = async |client: Client| client.maintenance_client().status().await;
        let answers = self.voters.ask_each("ask how a voter is", STATUS, work).await;
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        let status = |(url, s): (String, etcd_client::StatusResponse)| {
            let header = s.header();
            let state = VoterState {
                version: s.version().to_owned(),
                size: unsigned(s.db_size()),
                used: unsigned(s.raft_used_db_size()),
                applied: s.raft_applied_index(),
                errors: s.errors().to_vec(),
            };
            let id = header.map_or(0, etcd_client::ResponseHeader::member_id);
            let revision = header.map_or(0, etcd_client::ResponseHeader::revision);
            (url, Status { id, leader: s.leader(), revision, state })
        };
        answers.into_iter().map(status).collect()
    }

    /// Whether the voter at `url` serves the record: it runs, has caught up, and is with the others. Where it is none of
    /// those that are asked, whether any does.
    pub(crate) async fn serves(&self, url: &str) -> bool {
        let work = async |client: Client| client.kv_client().get(keys::CLUSTER, None).await;
        if self.voters.knows(url) {
            return self.voters.ask_at(url, "ask whether a voter serves", STATUS, work).await.is_ok();
        }
        self.voters.ask("ask whether a voter serves", STATUS, work).await.is_ok()
    }

    /// How often the record was put back, as each voter that we know has it, also one that is cut off from the others.
    pub(crate) async fn restored_at_each(&self) -> Vec<(String, u64)> {
        let own = etcd_client::GetOptions::new().with_serializable();
        let work = |client: Client| {
            let own = own.clone();
            async move { client.kv_client().get(keys::RESTORED, Some(own)).await }
        };
        let answers = self.voters.ask_each("ask how often it was put back", STATUS, work).await;
        let count = |(url, seen): (String, etcd_client::GetResponse)| {
            let found = seen.kvs().first().and_then(|kv| decode::<RestoredValue>(kv).ok());
            (url, found.map_or(0, |found| found.value.count))
        };
        answers.into_iter().map(count).collect()
    }

    /// Takes a voter's alarm about room back.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn disarm(&self, id: u64) -> Result<(), RecordError> {
        let work = async |client: Client| {
            let mut options = etcd_client::AlarmOptions::new();
            options.with_member(id);
            client
                .maintenance_client()
                .alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(options))
                .await
        };
        self.voters.ask("take an alarm back", LIMIT, work).await.map(drop)
    }

    /// Forgets what values were before `revision`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn compact(&self, revision: i64) -> Result<(), RecordError> {
        let physical = etcd_client::CompactionOptions::new().with_physical();
        let work = async |client: Client| client.kv_client().compact(revision, Some(physical.clone())).await;
        self.voters.ask("compact", DEFRAGMENT, work).await.map(drop)
    }

    /// Has the voter at `url` write its file anew, without what is free in it.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn defragment(&self, url: &str) -> Result<(), RecordError> {
        let work = async |client: Client| client.maintenance_client().defragment().await;
        self.voters.ask_at(url, "defragment", DEFRAGMENT, work).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_alarms_are_read_from_what_a_voter_says() {
        let rows = [
            (
                "memberID:10501334649042878790 alarm:NOSPACE ",
                Some(StoreAlarm::NoSpace(10_501_334_649_042_878_790)),
            ),
            ("memberID:5 alarm:CORRUPT ", Some(StoreAlarm::Corrupt(5))),
            ("memberID:5 alarm:NONE", None),
            ("etcdserver: no leader", None),
            ("memberID:x alarm:NOSPACE", None),
            ("", None),
        ];
        for (text, want) in rows {
            assert_eq!(parse_alarm(text), want, "{text}");
        }
    }
}
