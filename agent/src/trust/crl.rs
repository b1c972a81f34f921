//! The list of certificates that hold no longer, on each member. etcd reads the file for each connection that is made;
//! those that there are it would keep, so each voter is restarted once with a new list: one at a time, so that the record
//! goes on. Where a machine was installed anew, that waits for a moment until all voters are there again ([`waits`]).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use maekin_host::file::{read_text, write_atomic};
use maekin_image::manifest::sha256_hex;

use super::values::{CrlValue, TurnValue};
use crate::app::{App, Member};
use crate::membership::{MembershipError, etcd};
use crate::record::keys;
use crate::record::look::Look;
use crate::record::voters::Voter;
use crate::record::{Change, Record};
use crate::settings::Settings;

/// How long a voter has its turn to restart, seconds: one that dies meanwhile keeps the others waiting no longer.
const TURN: i64 = 60;
/// How long its record may take to answer again.
const ANSWER: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(250);

/// Longest wait for voters that are not there, where a member was replaced.
const GENTLE: Duration = Duration::from_secs(60);

/// How far our voter follows the list.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// Revision of the list that it has.
    done: Option<i64>,
    /// Revision of the list that was seen last, and when that was.
    seen: Option<(i64, Instant)>,
}

/// Whether a restart of a voter would stop the record, and would not a little later: votes are missing, or one is being
/// made. `seen` is how long ago the list was seen first. Pure.
fn waits(gentle: bool, voters: &[Voter], alive: &BTreeSet<String>, seen: Duration) -> bool {
    let votes = voters.iter().filter(|voter| !voter.learner).count();
    let there = |voter: &Voter| alive.contains(&voter.name);
    let whole = votes == 1 || (votes >= 3 && voters.iter().all(|voter| !voter.learner && there(voter)));
    gentle && !whole && seen < GENTLE
}

/// The list's file.
pub(crate) const FILE: &str = "removed.crl";

/// Where the list lies.
pub(crate) fn path(settings: &Settings) -> PathBuf {
    settings.pki().join(FILE)
}

/// What the running voter was started with: a digest of the list. It goes with the boot, as the voter does.
fn stamp(settings: &Settings) -> PathBuf {
    settings.run.join("removed.crl.started")
}

/// Before a voter is started in a new boot: it has the list that there is.
pub(crate) fn started(settings: &Settings) {
    let Ok(text) = read_text(&path(settings), 1 << 20) else { return };
    // Lost without harm: the voter is restarted once too often.
    let _ = write_atomic(&stamp(settings), sha256_hex(text.as_bytes()).as_bytes(), 0o600);
}

/// Takes over a new list, where there is one.
///
/// # Errors
/// [`MembershipError`].
pub(crate) async fn tend(app: &App, member: &Member, look: &Look) -> Result<(), MembershipError> {
    let Some(revision) = look.crl else { return Ok(()) };
    let seen = {
        let mut followed = app.trust.crl.lock().unwrap_or_else(PoisonError::into_inner);
        if followed.done == Some(revision) {
            return Ok(());
        }
        let before = followed.seen.filter(|(seen, _)| *seen == revision);
        followed.seen.insert(before.unwrap_or_else(|| (revision, Instant::now()))).1.elapsed()
    };
    let Some(crl) = member.record.get::<CrlValue>(keys::CRL).await? else { return Ok(()) };
    let (text, gentle, settings) = (crl.value.pem, crl.value.gentle, &app.settings);
    let path = path(settings);
    if read_text(&path, 1 << 20).ok().as_ref() != Some(&text) {
        write_atomic(&path, text.as_bytes(), 0o644)?;
    }
    let digest = sha256_hex(text.as_bytes());
    let runs = settings.etcd_env().exists();
    if runs && read_text(&stamp(settings), 1 << 10).ok().as_ref() != Some(&digest) {
        if waits(gentle, &look.voters, &look.alive, seen) || !take_turn(&member.record, &app.node_id).await? {
            return Ok(()); // another voter is at it, or not all are there
        }
        tracing::info!(
            "this node's voter is restarted, to close the connections of a member that is none any more"
        );
        etcd::restart(app, &member.cluster.id, &member.own).await?;
        write_atomic(&stamp(settings), digest.as_bytes(), 0o600)?;
        answers(app, &member.record).await;
        give_turn(&member.record).await?;
    }
    app.trust.crl.lock().unwrap_or_else(PoisonError::into_inner).done = Some(crl.revision);
    Ok(())
}

pub(super) async fn take_turn(record: &Record, node_id: &str) -> Result<bool, MembershipError> {
    if let Some(held) = record.get::<TurnValue>(keys::CRL_TURN).await? {
        return Ok(held.value.id == node_id);
    }
    let lease = record.grant(TURN).await?;
    let change = Change::default().if_unchanged(keys::CRL_TURN, 0);
    Ok(record
        .commit(change.put_leased(keys::CRL_TURN, &TurnValue { id: node_id.to_owned() }, lease)?)
        .await?)
}

/// Gives the turn back: the next voter has it.
pub(super) async fn give_turn(record: &Record) -> Result<(), MembershipError> {
    record.commit(Change::default().delete(keys::CRL_TURN)).await?;
    Ok(())
}

/// Waits until our own voter serves the record again, not another one in its place; the next voter has its turn after that,
/// or when ours is over.
pub(super) async fn answers(app: &App, record: &Record) {
    let own = etcd::local_url(app);
    let again = async {
        while !record.serves(&own).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    if tokio::time::timeout(ANSWER, again).await.is_err() {
        tracing::warn!("this node's voter does not serve the record after its restart");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_voters_restart_with_a_list_when_the_record_can_spare_them() {
        let voter =
            |name: &str, learner| Voter { id: 1, peer_url: String::new(), name: name.to_owned(), learner };
        let voters = |votes: &[&str], learner: Option<&str>| {
            let all = votes.iter().map(|name| voter(name, false));
            all.chain(learner.map(|name| voter(name, true))).collect::<Vec<_>>()
        };
        let (soon, late) = (Duration::from_secs(59), Duration::from_secs(60));
        // Name; gentle; voters; alive; seen; waits.
        let rows = [
            ("three are there", true, voters(&["a", "b", "c"], None), "abc", soon, false),
            ("one of three is away", true, voters(&["a", "b", "c"], None), "ab", soon, true),
            ("for as long as it waits", true, voters(&["a", "b", "c"], None), "ab", late, false),
            ("a person removed a member", false, voters(&["a", "b", "c"], None), "ab", soon, false),
            ("two vote until the new one does", true, voters(&["a", "b"], Some("d")), "abd", soon, true),
            ("a fourth is on its way", true, voters(&["a", "b", "c"], Some("d")), "abcd", soon, true),
            ("two votes after a removal", false, voters(&["a", "b"], None), "ab", soon, false),
            ("one alone is never spared", true, voters(&["a"], None), "a", soon, false),
            ("and has a copy", true, voters(&["a"], Some("b")), "a", soon, false),
        ];
        for (name, gentle, voters, alive, seen, want) in rows {
            let alive = alive.chars().map(String::from).collect();
            assert_eq!(waits(gentle, &voters, &alive, seen), want, "{name}");
        }
    }
}
