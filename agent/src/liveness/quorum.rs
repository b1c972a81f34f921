//! Whether this node reaches a quorum of the record: every look at it takes one. Pure.

use std::time::Duration;

use maekin_api::alarm::{Alarm, Severity};
use maekin_api::node as api;

/// How long the record may be silent before it is said so: it may be busy, or change its leader.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// Whether it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Quorum {
    /// Not tried yet.
    #[default]
    Unknown,
    /// It does.
    Reached,
    /// It did not the last times.
    Missed {
        /// When that began.
        since: u64,
        /// When it was tried last.
        last: u64,
    },
}

impl Quorum {
    /// The record answered.
    pub(super) fn answered(&mut self, now: u64) {
        if let Self::Missed { since, .. } = self {
            tracing::info!(
                seconds = now.saturating_sub(*since),
                "this node reaches a quorum of the record again"
            );
        }
        *self = Self::Reached;
    }

    /// It did not.
    pub(super) fn failed(&mut self, now: u64) {
        match self {
            Self::Missed { last, .. } => *last = now,
            _ => *self = Self::Missed { since: now, last: now },
        }
    }

    /// Since when it is lost: several tries failed over a while.
    pub(super) fn lost(&self) -> Option<u64> {
        match self {
            Self::Missed { since, last } if last.saturating_sub(*since) >= PATIENCE.as_secs() => Some(*since),
            _ => None,
        }
    }

    /// The same for the API.
    pub(super) fn told(&self) -> api::Quorum {
        match (self, self.lost()) {
            (Self::Reached, _) => api::Quorum::Reached,
            (_, Some(since)) => api::Quorum::CutOff { since },
            _ => api::Quorum::Unknown,
        }
    }

    /// What this node says of itself; `None` while it does not know.
    pub(super) fn said(&self) -> Option<bool> {
        match self {
            Self::Reached => Some(true),
            _ => self.lost().map(|_| false),
        }
    }

    /// What is wrong, where `voters` are known.
    pub(super) fn alarm(&self, voters: usize) -> Option<Alarm> {
        let since = self.lost()?;
        let voters = match voters {
            0 => String::new(),
            1 => " (it has 1 voter)".to_owned(),
            n => format!(" (it has {n} voters, {} of them are needed)", n / 2 + 1),
        };
        Some(Alarm {
            id: "quorum-lost".to_owned(),
            severity: Severity::Critical,
            since,
            what: format!("This node does not reach a quorum of the cluster's record{voters}."),
            remedy: "Look at its network and at the other nodes. Until then it leads nothing, and what it runs goes on \
                as it is."
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_quorum_is_lost_after_a_while_and_back_at_once() {
        let mut quorum = Quorum::default();
        assert_eq!((quorum.said(), quorum.alarm(3)), (None, None), "not tried yet");
        quorum.answered(100);
        assert_eq!(quorum.said(), Some(true));
        quorum.failed(110);
        assert_eq!((quorum.said(), quorum.alarm(3)), (None, None), "it may be busy");
        quorum.failed(120);
        assert_eq!(quorum.said(), None);
        quorum.failed(126);
        assert_eq!(quorum.said(), Some(false));
        assert_eq!(quorum.told(), api::Quorum::CutOff { since: 110 });
        let alarm = quorum.alarm(3).unwrap();
        assert_eq!((alarm.since, alarm.severity), (110, Severity::Critical));
        assert!(alarm.what.contains("3 voters, 2 of them"), "{}", alarm.what);
        quorum.answered(130);
        assert_eq!((quorum.said(), quorum.alarm(3)), (Some(true), None));
        quorum.failed(140);
        assert_eq!(quorum.said(), None, "it begins anew");
    }
}
