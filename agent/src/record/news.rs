//! What of the record's state people watch: told to those who listen on this node (`GET /v1/watch`, kind `record`) when a
//! look finds it changed. Alarms and copies are told where they come about.

use maekin_api::node::Quorum;

use super::RecordError;
use super::look::Look;
use super::voters::Voter;

/// What the last look found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    last: Option<State>,
    quorum: Option<Quorum>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// Which voters there are, each with whether it has no vote yet: one that gets its vote is another one.
    voters: Vec<(u64, String, bool)>,
    leader: Option<String>,
    restored: u64,
}

impl State {
    fn of(look: &Look) -> Self {
        let voter = |voter: &Voter| (voter.id, voter.peer_url.clone(), voter.learner);
        let mut voters: Vec<_> = look.voters.iter().map(voter).collect();
        voters.sort();
        Self { voters, leader: look.leader.as_ref().map(|leader| leader.id.clone()), restored: look.restored }
    }
}

impl Seen {
    /// Takes in a look, and what is known of the quorum after it; the names of what has changed. The first one finds
    /// nothing changed.
    pub(crate) fn news(&mut self, look: &Result<Look, RecordError>, quorum: Quorum) -> Vec<&'static str> {
        self.changed(look.as_ref().ok().map(State::of), quorum)
    }

    fn changed(&mut self, state: Option<State>, quorum: Quorum) -> Vec<&'static str> {
        let mut names = Vec::new();
        // It is not known for a while before it is lost, and that is no news.
        if quorum != Quorum::Unknown {
            let before = self.quorum.replace(quorum);
            let lost = |quorum: &Quorum| matches!(quorum, Quorum::CutOff { .. });
            if before.is_some_and(|before| lost(&before) != lost(&quorum)) {
                names.push("quorum");
            }
        }
        let Some(state) = state else { return names };
        if let Some(last) = &self.last {
            let parts = [
                ("voters", last.voters != state.voters),
                ("leader", last.leader != state.leader),
                ("restored", last.restored != state.restored),
            ];
            names.extend(parts.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name));
        }
        self.last = Some(state);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_watchers_of_the_record_are_told_what_changed_about_it() {
        let state = |learner, leader: &str, restored| State {
            voters: vec![
                (1, "https://10.77.0.1:2380".into(), false),
                (2, "https://10.77.0.2:2380".into(), learner),
            ],
            leader: (!leader.is_empty()).then(|| leader.to_owned()),
            restored,
        };
        let lost = |since| Quorum::CutOff { since };
        let mut seen = Seen::default();
        // Name; what a look found, the quorum after it; what is told.
        let rows: [(&str, Option<State>, Quorum, &[&str]); 10] = [
            ("the first look", Some(state(true, "a", 0)), Quorum::Reached, &[]),
            ("the same", Some(state(true, "a", 0)), Quorum::Reached, &[]),
            ("a learner gets its vote", Some(state(false, "a", 0)), Quorum::Reached, &["voters"]),
            ("nobody leads", Some(state(false, "", 0)), Quorum::Reached, &["leader"]),
            ("another one leads", Some(state(false, "b", 0)), Quorum::Reached, &["leader"]),
            ("it does not answer", None, Quorum::Unknown, &[]),
            ("for long", None, lost(7), &["quorum"]),
            ("for longer", None, lost(7), &[]),
            ("it answers as before", Some(state(false, "b", 0)), Quorum::Reached, &["quorum"]),
            ("it was put back", Some(state(false, "b", 1)), Quorum::Reached, &["restored"]),
        ];
        for (name, state, quorum, want) in rows {
            assert_eq!(seen.changed(state, quorum), want, "{name}");
        }
    }
}
