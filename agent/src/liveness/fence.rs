//! The fence around what must not run twice. A member may do what only one may do for as long as its sign of life in the
//! record cannot have run out: counted on its own clock, from when it *sent* the last renewal that was answered, and ended
//! [`MARGIN`] early. Others may take it over when they see that the sign is gone, and [`TAKEOVER`] after that. So a member
//! that is cut off has stopped before, without anybody's word, however long its agent stood still.
//!
//! | moment | on whose clock |
//! | --- | --- |
//! | renewal is sent: 0 | the member's |
//! | renewal is taken: 0 or later; the sign lives for [`TTL`] from then | the record's |
//! | the member stops: [`HOLD`] | the member's |
//! | the sign is gone: [`TTL`] or later | the record's |
//! | another one begins: [`TAKEOVER`] after it saw that | the other one's |
//!
//! Clocks may differ as they like; only how fast they run counts. Leading is fenced in the same way, by a lease of its own
//! ([`crate::leader`]). Pure, but for the wait.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// How long a sign of life outlives its last renewal, seconds.
pub(crate) const TTL: i64 = 15;
/// How long before that its member stops by itself.
const MARGIN: Duration = Duration::from_secs(2);
/// How long it goes on after it sent its last renewal.
pub(crate) const HOLD: Duration = Duration::from_secs(TTL.unsigned_abs() - MARGIN.as_secs());
/// How long others wait after the sign is gone: for what takes a moment to stop.
pub(crate) const TAKEOVER: Duration = Duration::from_secs(2);

/// Until when this member may go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// `None`: not before it has renewed once.
    until: Option<Instant>,
}

impl Reach {
    /// A renewal that was sent then was answered. One that comes late takes nothing back.
    pub(crate) fn renewed(&mut self, sent: Instant) {
        self.until = self.until.max(Some(sent + HOLD));
    }

    /// Whether it may.
    pub(crate) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// Waits until this member may no longer go on; at once where it may not now. Whoever runs what must not run twice ends
/// it then: `select!` between the work and this.
pub(crate) async fn over(mut reach: watch::Receiver<Reach>) {
    loop {
        let Some(until) = reach.borrow_and_update().until.filter(|until| Instant::now() < *until) else {
            return;
        };
        // Renewed meanwhile, or not; either way it is looked at again. Without its sender nothing renews.
        let _ = tokio::time::timeout_at(until.into(), reach.changed()).await;
        if reach.has_changed().is_err() {
            tokio::time::sleep_until(until.into()).await;
            return;
        }
    }
}

/// Says in the log when this node may go on, and when it may no longer, for as long as it is polled.
pub(crate) async fn tell(mut reach: watch::Receiver<Reach>) {
    loop {
        if reach.wait_for(|reach| reach.holds(Instant::now())).await.is_err() {
            return; // nobody renews any more: the agent ends
        }
        tracing::info!("the record has this node's sign of life");
        over(reach.clone()).await;
        tracing::warn!(
            "the record did not take this node's sign of life in time: what must not run twice stops here"
        );
    }
}

/// Whether what a member did may be begun elsewhere: its sign of life was seen to be gone then. Pure.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "for what is moved from a member that is gone; nothing is yet")
)]
pub(crate) fn may_take_over(seen_gone: Instant, now: Instant) -> bool {
    now.saturating_duration_since(seen_gone) >= TAKEOVER
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn partition_a_member_goes_on_for_as_long_as_its_sign_of_life_is_there() {
        let begin = Instant::now();
        // Name; when renewals that were answered had been sent; when it is looked; may it.
        let rows: [(&str, &[f64], f64, bool); 7] = [
            ("never renewed", &[], 0.0, false),
            ("renewed now", &[0.0], 0.0, true),
            ("a moment before it is over", &[0.0], 12.9, true),
            ("over, two seconds before the record forgets it", &[0.0], 13.0, false),
            ("renewed meanwhile", &[0.0, 5.0], 17.9, true),
            ("one that was answered late counts from when it was sent", &[5.0, 0.0], 17.9, true),
            ("long ago", &[0.0], 3600.0, false),
        ];
        for (name, sent, at, want) in rows {
            let mut reach = Reach::default();
            sent.iter().for_each(|at| reach.renewed(begin + s(*at)));
            assert_eq!(reach.holds(begin + s(at)), want, "{name}");
        }
        assert!(!may_take_over(begin, begin + s(1.9)) && may_take_over(begin, begin + s(2.0)));
    }

    proptest! {
        #[test]
        fn partition_nobody_begins_before_the_other_one_has_stopped(
            // How fast the clocks of the member, of the record and of the other one run; 5 % is far more than any board has.
            member in 0.95..1.05_f64, record in 0.95..1.05_f64, other in 0.95..1.05_f64,
            // Each renewal: how long after the one before it, how long on its way, how long its answer, whether that comes.
            renewals in prop::collection::vec((0.0..12.0_f64, 0.0..3.0_f64, 0.0..3.0_f64, any::<bool>()), 1..12),
            look in 0.0..3.0_f64, stopping in 0.0..2.0_f64,
        ) {
            let begin = Instant::now();
            let (mut reach, mut at, mut gone) = (Reach::default(), 0.0_f64, 0.0_f64);
            for (pause, way, _, answered) in renewals {
                at += pause;
                // The record forgets a sign that was not renewed in time, and this is a renewal of nothing.
                if gone > 0.0 && at + way > gone {
                    break;
                }
                gone = at + way + 15.0 / record;
                if answered {
                    reach.renewed(begin + s(at * member));
                }
            }
            // In the time of neither: the member is done, and the other one begins.
            let stops = reach.until.map_or(0.0, |until| (until - begin).as_secs_f64() / member) + stopping;
            let begins = gone + look + TAKEOVER.as_secs_f64() / other;
            prop_assert!(reach.until.is_none() || stops < begins, "{stops} {begins}");
        }
    }

    #[tokio::test]
    async fn partition_the_wait_ends_when_nothing_renews() {
        let (sender, receiver) = watch::channel(Reach::default());
        let begin = Instant::now();
        over(receiver.clone()).await; // at once
        let short = |ms: u64| Reach { until: Some(begin + Duration::from_millis(ms)) };
        sender.send_replace(short(200));
        let renew = async {
            sender.send_replace(short(400));
        };
        tokio::join!(over(receiver.clone()), renew);
        assert!(begin.elapsed() >= Duration::from_millis(400), "renewed meanwhile: {:?}", begin.elapsed());
        sender.send_replace(short(700));
        drop(sender);
        over(receiver).await;
        assert!(
            begin.elapsed() >= Duration::from_millis(700),
            "nobody is there to renew: {:?}",
            begin.elapsed()
        );
    }
}
