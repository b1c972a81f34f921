//! Who leads: the one member that gives addresses and changes the list of voters. Elected through the record: whoever
//! makes the key [`LEADER`](keys::LEADER) leads for as long as he renews the lease that it hangs on.
//!
//! Two things keep a leader that was deposed from doing harm. Its *tenure* ends, on its own clock, before the lease can
//! have run out, however long its agent was stopped. And what it writes as the leader is a transaction that holds only
//! while the key is still the one that it made: its *epoch* is the revision at which that was.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::{App, Member};
use crate::clock::now;
use crate::errors::chain;
use crate::maintenance::{KEEPS, LAST_RESORT};
use crate::record::values::{LeaderValue, NodeValue};
use crate::record::{Change, Record, RecordError, Versioned, keys};

/// How long the record keeps a leader that is not heard of, seconds. A busy record may take many of them to answer, and
/// a change of leaders costs more than the wait.
const TTL: i64 = 30;
/// How long before that it stops by itself: for clocks that do not run at the same speed, and work in hand.
const MARGIN: Duration = Duration::from_secs(2);
/// How often others look whether the post is vacant, and how soon a try that failed is repeated.
const EVERY: Duration = Duration::from_secs(2);
/// How often it renews: five times in its tenure. Each time is a question to the record.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long one voter may take to renew, so that the next can still be asked.
const RENEW: Duration = Duration::from_secs(8);
/// How long the post is vacant before a member without a voter takes it.
const PATIENCE: Duration = Duration::from_secs(6);

/// This node's time as the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tenure {
    /// Revision at which the key was made.
    pub(crate) epoch: i64,
    /// When it ends, unless it is renewed before.
    pub(crate) until: Instant,
}

/// Who leads, as this node knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Our own tenure.
    pub(crate) tenure: Option<Tenure>,
    /// Who leads, we or another.
    pub(crate) leader: Option<LeaderValue>,
}

impl Standing {
    /// Our tenure, while it lasts.
    pub(crate) fn tenure(&self, now: Instant) -> Option<Tenure> {
        self.tenure.filter(|tenure| now < tenure.until)
    }
}

/// What to do about the post.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Take it.
    Campaign,
    /// It is ours: this agent, or the one before it, took it.
    Resume { lease: i64, epoch: i64 },
    /// It is ours, and another member can do as well: we are in maintenance.
    Resign { epoch: i64 },
    /// It is another's, or not ours to take yet.
    Follow,
}

/// Decides that; `yields` is whether we leave it to others while they can. Pure.
fn plan(
    own: &str,
    votes: bool,
    yields: bool,
    seen: Option<&Versioned<LeaderValue>>,
    vacant: Duration,
) -> Step {
    match seen {
        Some(held) if held.value.id == own && yields => Step::Resign { epoch: held.created },
        Some(held) if held.value.id == own => Step::Resume { lease: held.lease, epoch: held.created },
        Some(_) => Step::Follow,
        None if yields && vacant < LAST_RESORT => Step::Follow,
        None if votes || vacant >= PATIENCE => Step::Campaign,
        None => Step::Follow,
    }
}

/// The end of a tenure that was renewed by a request sent at `sent`. The record counts from when it got that, which is
/// later. Pure.
fn tenure_end(sent: Instant) -> Instant {
    sent + Duration::from_secs(TTL.unsigned_abs()) - MARGIN
}

/// Takes part in the election for as long as it is polled.
pub(crate) async fn keep(app: Arc<App>, member: Arc<Member>) {
    let mut held: Option<(i64, i64)> = None;
    let mut vacant_since = None;
    // Since when we lead although we are in maintenance, because nobody else did.
    let mut stands_in: Option<Instant> = None;
    loop {
        let yields = app.maintenance.yields();
        let outcome = match held {
            Some((_, epoch)) if yields && stands_in.is_none_or(|since| since.elapsed() >= KEEPS) => {
                resign(&app, &member.record, epoch).await
            }
            Some((lease, epoch)) => renew(&app, &member.record, lease, epoch).await,
            None => stand(&app, &member.record, &mut vacant_since).await,
        };
        let mut pause = EVERY;
        match outcome {
            Ok(now_held) => {
                match (held, now_held) {
                    (None, Some(_)) => stands_in = yields.then(Instant::now),
                    (_, None) => stands_in = None,
                    (Some(_), Some(_)) => {}
                }
                held = now_held;
                pause = if held.is_some() { RENEW_EVERY } else { EVERY };
            }
            Err(e) => {
                // What we hold may hold still: it is tried again, and until then the tenure runs out by itself.
                tracing::info!(error = %chain(&e), "election of the leader");
                let lapsed = app.standing().tenure(Instant::now()).is_none();
                app.set_standing(|standing| {
                    if lapsed {
                        *standing = Standing::default();
                    }
                });
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Renews; the lease and epoch that are held then.
async fn renew(
    app: &App,
    record: &Record,
    lease: i64,
    epoch: i64,
) -> Result<Option<(i64, i64)>, RecordError> {
    let sent = Instant::now();
    if !record.renew(lease, RENEW).await? {
        tracing::warn!("this node leads no longer");
        app.set_standing(|standing| *standing = Standing::default());
        return Ok(None);
    }
    let tenure = Tenure { epoch, until: tenure_end(sent) };
    let us = us(app);
    app.set_standing(|standing| {
        if standing.tenure.is_none() {
            tracing::info!(epoch, "this node leads");
        }
        let leader = standing.leader.take().filter(|leader| leader.id == us.id);
        *standing = Standing { tenure: Some(tenure), leader: leader.or(Some(us)) };
    });
    Ok(Some((lease, epoch)))
}

/// Gives the post up: from this moment on nothing is done as the leader, then others may take it.
async fn resign(app: &App, record: &Record, epoch: i64) -> Result<Option<(i64, i64)>, RecordError> {
    tracing::info!("this node is in maintenance, and leaves it to another one to lead");
    app.set_standing(|standing| *standing = Standing::default());
    record.commit(Change::default().if_created_at(keys::LEADER, epoch).delete(keys::LEADER)).await?;
    Ok(None)
}

/// Looks who leads, and takes the post where it is vacant.
async fn stand(
    app: &App,
    record: &Record,
    vacant_since: &mut Option<Instant>,
) -> Result<Option<(i64, i64)>, RecordError> {
    let seen = record.get::<LeaderValue>(keys::LEADER).await?;
    let vacant = match &seen {
        Some(_) => {
            *vacant_since = None;
            Duration::ZERO
        }
        None => vacant_since.get_or_insert_with(Instant::now).elapsed(),
    };
    // Only a vacant post makes a difference between members: else this is one question less, every time on every node.
    let votes = seen.is_none() && votes(app, record).await?;
    match plan(&app.node_id, votes, app.maintenance.yields(), seen.as_ref(), vacant) {
        Step::Resign { epoch } => return resign(app, record, epoch).await,
        Step::Resume { lease, epoch } => return renew(app, record, lease, epoch).await,
        Step::Campaign => {
            let lease = record.grant(TTL).await?;
            let change = Change::default().if_unchanged(keys::LEADER, 0);
            record.commit(change.put_leased(keys::LEADER, &us(app), lease)?).await?;
            // Whether that was we is seen in the record itself, also when the answer was lost.
            let seen = record.get::<LeaderValue>(keys::LEADER).await?;
            let ours = seen.filter(|seen| seen.value.id == app.node_id && seen.lease == lease);
            if let Some(ours) = ours {
                return renew(app, record, lease, ours.created).await;
            }
        }
        Step::Follow => {}
    }
    app.set_standing(|standing| *standing = Standing { tenure: None, leader: seen.map(|seen| seen.value) });
    Ok(None)
}

/// Whether this node has a voter, by its entry.
async fn votes(app: &App, record: &Record) -> Result<bool, RecordError> {
    let own = record.get::<NodeValue>(&keys::under(keys::NODES, &app.node_id)).await?;
    Ok(own.is_some_and(|own| !own.value.record_url.is_empty()))
}

fn us(app: &App) -> LeaderValue {
    LeaderValue { id: app.node_id.clone(), name: app.config.hostname.clone(), since: now() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netboot_one_member_takes_a_vacant_post_and_nobody_takes_another_one() {
        let held = |id: &str| Versioned {
            value: LeaderValue { id: id.into(), name: String::new(), since: 0 },
            revision: 8,
            created: 7,
            lease: 5,
        };
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(60));
        let rows = [
            ("vacant", true, None, short, Step::Campaign),
            ("vacant for a moment, and we have no voter", false, None, short, Step::Follow),
            ("vacant for long", false, None, long, Step::Campaign),
            ("another leads", true, Some(held("b")), long, Step::Follow),
            (
                "we led before our agent was restarted",
                true,
                Some(held("a")),
                short,
                Step::Resume { lease: 5, epoch: 7 },
            ),
        ];
        for (name, votes, seen, vacant, want) in rows {
            assert_eq!(plan("a", votes, false, seen.as_ref(), vacant), want, "{name}");
        }
        let rows = [
            ("we led, and are in maintenance", Some(held("a")), long, Step::Resign { epoch: 7 }),
            ("another leads", Some(held("b")), long, Step::Follow),
            ("vacant: others first", None, short, Step::Follow),
            ("vacant, and nobody else comes", None, long, Step::Campaign),
        ];
        for (name, seen, vacant, want) in rows {
            assert_eq!(plan("a", true, true, seen.as_ref(), vacant), want, "{name}, in maintenance");
        }
    }

    #[test]
    fn netboot_a_tenure_ends_before_the_record_could_give_the_post_away() {
        let sent = Instant::now();
        let until = tenure_end(sent);
        assert!(until + MARGIN <= sent + Duration::from_secs(TTL.unsigned_abs()));
        let standing = Standing { tenure: Some(Tenure { epoch: 1, until }), leader: None };
        assert!(standing.tenure(until - Duration::from_millis(1)).is_some());
        assert!(standing.tenure(until).is_none(), "also when nobody came to say so");
        assert!(
            RENEW_EVERY + RENEW < Duration::from_secs(TTL.unsigned_abs()) - MARGIN,
            "a second voter can be asked in time"
        );
    }
}
