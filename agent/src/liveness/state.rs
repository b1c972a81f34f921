//! How each member is, and why: from gossip, the record's signs of life, and what the member says of itself. Pure.

use maekin_api::nodes::{BootHealth, NodeInfo, NodeState};
use maekin_gossip::{Liveness, Status};

use super::Heard;
use super::quorum::Quorum;
use crate::record::values::NodeValue;

/// How long the record's sign of life outlives its node at most, seconds.
const SIGN: u64 = 25;

/// What it follows from.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// It is this node.
    pub(super) own: bool,
    /// When this agent started.
    pub(super) started: u64,
    /// What gossip has of it.
    pub(super) heard: Option<Heard>,
    /// Whether it renews its sign of life in the record; `None` before the record was seen.
    pub(super) sign: Option<bool>,
    /// Whether this node reaches a quorum: else signs of life are of the past.
    pub(super) quorum: Quorum,
    /// What this node says of itself.
    pub(super) status: Status,
    pub(super) roles: Vec<String>,
    pub(super) leader: bool,
    pub(super) now: u64,
}

/// How a member is, since when, and why.
fn plan_state(facts: &Facts) -> (NodeState, u64, String) {
    use NodeState::{Ready, Suspect, Unreachable};
    let say = |state, since, why: &str| (state, since, why.to_owned());
    if facts.own {
        return match facts.quorum.lost() {
            Some(since) => say(Suspect, since, "it is this node, and reaches no quorum of the record"),
            None => say(Ready, facts.started, "it is this node"),
        };
    }
    let sign = facts.sign == Some(true) && facts.quorum == Quorum::Reached;
    let Some(heard) = &facts.heard else {
        return match (sign, facts.quorum == Quorum::Reached) {
            (true, _) => {
                say(Ready, facts.started, "it renews its sign of life in the record; it does not gossip")
            }
            (false, true) => {
                say(Unreachable, facts.started, "it was not heard of since this node's agent started")
            }
            (false, false) => say(
                Unreachable,
                facts.started,
                "it was not heard of since this node's agent started, and the record cannot be asked",
            ),
        };
    };
    let cut_off = heard.status.as_ref().is_some_and(|(status, _)| status.quorum == Some(false));
    match heard.liveness {
        Liveness::Alive if cut_off => {
            say(Suspect, heard.since, "it answers, and says that it reaches no quorum of the record")
        }
        Liveness::Alive => say(Ready, heard.since, "it answers"),
        Liveness::Suspect => say(Suspect, heard.since, "it did not answer, and has a moment to object"),
        Liveness::Dead if sign && facts.now.saturating_sub(heard.since) > SIGN => say(
            Suspect,
            heard.since,
            "it answers nobody's gossip, and yet renews its sign of life in the record; does UDP 8946 pass between \
             the nodes?",
        ),
        Liveness::Dead => say(Unreachable, heard.since, "it answers neither this node nor others"),
    }
}

/// All that is told of a member.
pub(super) fn plan_info(node: &NodeValue, facts: Facts) -> NodeInfo {
    let (state, since, why) = plan_state(&facts);
    let said = match (&facts.heard, facts.own) {
        (_, true) => Some((facts.status, facts.now)),
        (Some(heard), false) => heard.status.clone(),
        (None, false) => None,
    };
    let (status, heard) = said.unzip();
    let version = status.as_ref().map(|s| s.version.clone()).filter(|version| !version.is_empty());
    let boot = status.as_ref().and_then(|s| match s.boot {
        maekin_gossip::BootHealth::Unknown => None,
        maekin_gossip::BootHealth::Whole => Some(BootHealth::Whole),
        maekin_gossip::BootHealth::Degraded => Some(BootHealth::Degraded),
    });
    NodeInfo {
        id: node.id.clone(),
        name: node.name.clone(),
        address: node.address.clone(),
        url: node.url.clone(),
        state,
        since,
        why,
        version: version.unwrap_or_else(|| node.version.clone()),
        load: status.as_ref().map(|s| f64::from(s.load) / 100.0),
        memory: status.as_ref().and_then(|s| s.memory),
        boot,
        quorum: status.as_ref().and_then(|s| s.quorum),
        heard,
        voter: !node.record_url.is_empty(),
        leader: facts.leader,
        roles: facts.roles,
        own: facts.own,
        maintenance: None,
    }
}

/// A member that was.
pub(super) fn gone(id: &str, name: &str, since: u64, why: String) -> NodeInfo {
    NodeInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        address: String::new(),
        url: String::new(),
        state: NodeState::Removed,
        since,
        why,
        version: String::new(),
        load: None,
        memory: None,
        boot: None,
        quorum: None,
        heard: None,
        voter: false,
        leader: false,
        roles: Vec::new(),
        own: false,
        maintenance: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(liveness: Liveness, since: u64, quorum: Option<bool>) -> Option<Heard> {
        let status = Status { quorum, version: "0.2.0".into(), load: 150, ..Status::default() };
        Some(Heard { liveness, since, status: Some((status, 990)) })
    }

    #[test]
    fn gossip_a_member_is_what_speaks_for_and_against_it() {
        use Liveness::{Alive, Dead, Suspect};
        let base = || Facts {
            own: false,
            started: 100,
            heard: None,
            sign: Some(true),
            quorum: Quorum::Reached,
            status: Status::default(),
            roles: vec![],
            leader: false,
            now: 1000,
        };
        let lost = || Quorum::Missed { since: 900, last: 990 };
        let yes = Some(true);
        let rows = [
            ("it answers", Facts { heard: heard(Alive, 500, yes), ..base() }, NodeState::Ready, 500),
            (
                "it is cut off",
                Facts { heard: heard(Alive, 500, Some(false)), ..base() },
                NodeState::Suspect,
                500,
            ),
            (
                "it has not answered once",
                Facts { heard: heard(Suspect, 998, yes), ..base() },
                NodeState::Suspect,
                998,
            ),
            (
                "it died a moment ago",
                Facts { heard: heard(Dead, 990, yes), ..base() },
                NodeState::Unreachable,
                990,
            ),
            (
                "only UDP does not pass",
                Facts { heard: heard(Dead, 900, yes), ..base() },
                NodeState::Suspect,
                900,
            ),
            (
                "it is dead",
                Facts { heard: heard(Dead, 900, yes), sign: Some(false), ..base() },
                NodeState::Unreachable,
                900,
            ),
            (
                "it is dead, and we are cut off: what the record said is of the past",
                Facts { heard: heard(Dead, 900, yes), quorum: lost(), ..base() },
                NodeState::Unreachable,
                900,
            ),
            ("an older release, without gossip", base(), NodeState::Ready, 100),
            ("never heard of", Facts { sign: Some(false), ..base() }, NodeState::Unreachable, 100),
            (
                "never heard of, and the record is away",
                Facts { sign: None, quorum: Quorum::Unknown, ..base() },
                NodeState::Unreachable,
                100,
            ),
            ("this node", Facts { own: true, ..base() }, NodeState::Ready, 100),
            ("this node, cut off", Facts { own: true, quorum: lost(), ..base() }, NodeState::Suspect, 900),
        ];
        for (name, facts, state, since) in rows {
            let (is, from, why) = plan_state(&facts);
            assert_eq!((is, from), (state, since), "{name}: {why}");
        }
    }

    #[test]
    fn gossip_what_a_member_says_of_itself_is_told_with_its_time() {
        let node = NodeValue { name: "node-2".into(), version: "0.1.0".into(), ..NodeValue::default() };
        let facts = Facts {
            own: false,
            started: 100,
            heard: heard(Liveness::Alive, 500, Some(true)),
            sign: None,
            quorum: Quorum::Reached,
            status: Status::default(),
            roles: vec!["rack:2".into()],
            leader: true,
            now: 1000,
        };
        let info = plan_info(&node, facts.clone());
        assert_eq!((info.version.as_str(), info.load, info.heard), ("0.2.0", Some(1.5), Some(990)));
        assert!(info.leader && !info.voter && !info.own);
        let silent = plan_info(&node, Facts { heard: None, ..facts });
        assert_eq!((silent.version.as_str(), silent.load, silent.heard), ("0.1.0", None, None));
    }
}
