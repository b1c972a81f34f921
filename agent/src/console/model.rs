//! What is known, and what is being asked.

use std::collections::BTreeMap;

use maekin_api::cluster::Cluster;
use maekin_api::discovery::{Discovered, DiscoveredState};
use maekin_api::install::{Install, SeenMachine};
use maekin_api::network::NodeNetwork;
use maekin_api::node::Node;
use maekin_api::nodes::NodeState;
use maekin_api::trust::PairingInfo;

use maekin_rootfs::node::Network;

use super::clock::Clock;
use super::policy::Policy;
use super::promote::Promotion;
use crate::support::stick::{Refused, Stick};

/// What the agent said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// This node; absent while the agent does not answer.
    pub(super) node: Option<Node>,
    /// The cluster; absent while this node is no member, or the record does not answer.
    pub(super) cluster: Option<Cluster>,
    /// This node's network and its trial; absent while the agent does not answer.
    pub(super) network: Option<NodeNetwork>,
    pub(super) installs: Vec<Install>,
    pub(super) machines: Vec<SeenMachine>,
    /// How each member is, by its id.
    pub(super) standings: BTreeMap<String, Standing>,
    /// Nodes that wait on this member's wires, and other clusters.
    pub(super) discovered: Vec<Discovered>,
    /// Codes that are to be compared.
    pub(super) pairings: Vec<PairingInfo>,
    /// Why something above is absent.
    pub(super) problem: String,
    /// Whether a shell needs the admin password.
    pub(super) locked: bool,
    /// What the menu may give.
    pub(super) policy: Policy,
}

impl Snapshot {
    /// Nodes that wait to be let in.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Discovered> {
        self.discovered.iter().filter(|node| node.state == DiscoveredState::Waiting)
    }
}

/// How a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) state: NodeState,
    pub(super) since: u64,
    pub(super) why: String,
}

/// A page of the menu.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Page {
    #[default]
    Status,
    Network,
    Cluster,
    Window,
    Logs,
    Time,
    Join,
    Support,
    Password,
    Help,
}

/// An entry of the menu, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Show(Page),
    Shell,
    Power(&'static str),
}

/// The menu: key, text, what it does. The same keys on every page; no page gives one of them another meaning.
pub(super) const MENU: [(char, &str, Item); 13] = [
    ('1', "Status", Item::Show(Page::Status)),
    ('2', "Network", Item::Show(Page::Network)),
    ('3', "Cluster", Item::Show(Page::Cluster)),
    ('4', "Install", Item::Show(Page::Window)),
    ('5', "Logs", Item::Show(Page::Logs)),
    ('6', "Shell", Item::Shell),
    ('7', "Reboot", Item::Power("reboot")),
    ('8', "Off", Item::Power("poweroff")),
    ('9', "Time", Item::Show(Page::Time)),
    ('0', "Join", Item::Show(Page::Join)),
    ('s', "Support", Item::Show(Page::Support)),
    ('p', "Password", Item::Show(Page::Password)),
    ('?', "Help", Item::Show(Page::Help)),
];
/// How many entries of [`MENU`] its first line has.
pub(super) const FIRST_LINE: usize = 8;

/// Something that a person is typing. Only the console where it was begun is listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) console: usize,
    pub(super) kind: PromptKind,
    pub(super) typed: String,
}

/// What is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PromptKind {
    /// The admin password, for a shell.
    Password,
    /// The admin password, for another network.
    NetworkPassword,
    /// The address that the node shall have.
    Address,
    /// The router that it shall have.
    Router {
        /// What was said before.
        address: String,
    },
    /// The word that confirms it: `try`.
    NetworkSure {
        /// The network.
        network: Box<Network>,
    },
    /// The word that confirms it: `reboot` or `poweroff`.
    Confirm(&'static str),
    /// The code of a machine that is let in, or told no.
    Code {
        /// It is let in.
        yes: bool,
    },
    /// For how many minutes the install window is opened.
    Minutes,
    /// For how many machines.
    Count {
        /// What was said before.
        minutes: u32,
    },
    /// The time that the clock is set to.
    Clock,
    /// The word that confirms it: `set`.
    ClockSure {
        /// The time.
        at: u64,
    },
    /// Which stick the support bundle goes to.
    Stick,
    /// A join token, for this node.
    Token,
    /// Which node a pairing is begun with.
    Pair,
    /// Which code is the same on both consoles, or is not, where several are shown.
    PairCode {
        /// It is.
        yes: bool,
    },
    /// The admin password, for leaving the cluster.
    LeavePassword,
    /// The word that confirms that: `leave`.
    LeaveSure,
    /// The admin password, for going on alone.
    PromotePassword,
    /// The name of the node that is gone for good, which confirms that.
    PromoteSure {
        /// What it risks.
        promotion: Promotion,
    },
    /// A new admin password.
    NewPassword,
    /// The same again.
    SamePassword {
        /// What was typed before.
        first: String,
    },
    /// The word that confirms it: `reset`.
    ResetSure {
        /// The new password.
        password: String,
    },
}

/// A console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Console {
    /// Its terminal.
    pub(super) path: String,
    /// Whether it is this machine's own.
    pub(super) local: bool,
}

/// Where a support bundle can go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sticks {
    pub(super) sticks: Vec<Stick>,
    /// Removable drives that are not written to, and why.
    pub(super) refused: Vec<Refused>,
    /// Why it is not known.
    pub(super) problem: String,
}

/// How a support bundle goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Bundle {
    /// None was asked for.
    #[default]
    Idle,
    /// Being made; what of it.
    Running(String),
    /// There is one; how large, where, how long it took.
    Done(String),
    /// There is none.
    Failed(String),
}

/// Somebody is to press the power button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presence {
    /// Who waits for it.
    pub(super) console: usize,
    /// Until when it counts; 0: the button is not held yet.
    pub(super) until: u64,
}

/// Everything that is on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) snapshot: Snapshot,
    pub(super) page: Page,
    /// Entry of [`MENU`] under the bar.
    pub(super) selected: usize,
    pub(super) prompt: Option<Prompt>,
    /// The console whose password is being checked.
    pub(super) checking: Option<usize>,
    /// What came of the last request.
    pub(super) message: String,
    pub(super) logs: Vec<String>,
    /// How far a long page is scrolled: lines down, or for logs lines back.
    pub(super) scroll: usize,
    /// The terminal that was lent to a shell.
    pub(super) shell_on: Option<String>,
    /// The consoles that this is shown on.
    pub(super) consoles: Vec<Console>,
    pub(super) clock: Option<Clock>,
    /// A join token that was just made, until another page is turned to.
    pub(super) token: Option<String>,
    pub(super) sticks: Option<Sticks>,
    pub(super) bundle: Bundle,
    pub(super) presence: Option<Presence>,
}
