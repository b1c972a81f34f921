//! What lies in the record. Times are seconds since 1970. Fields may be added with a default, never change meaning.

use std::net::Ipv4Addr;

use maekin_api::access::Role;
use maekin_api::install::{Disks, Event, Progress, Rule, What};
use maekin_api::machine::{Identity, Inventory};
use maekin_api::power::{LastAction, PowerSettings};
use maekin_api::settings::NodeSettings;
use serde::{Deserialize, Serialize};

use crate::trust::values::CertValue;

/// The cluster itself. Written once, but for the fingerprint, which follows a change of the CA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) ca_sha256: String,
    pub(crate) created_at: u64,
}

/// A member, written by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeValue {
    pub(crate) id: String,
    pub(crate) name: String,
    /// On the cluster's network.
    pub(crate) address: String,
    pub(crate) url: String,
    pub(crate) version: String,
    pub(crate) key_sha256: String,
    pub(crate) joined_at: u64,
    /// Its hardware address on the cluster's network; empty where it is not known.
    pub(crate) mac: String,
    /// Where its voter of the record is reached; empty where it runs none.
    pub(crate) record_url: String,
    /// Holds the CA's key, and so can sign members in.
    pub(crate) signer: bool,
    /// SMBIOS UUID of its machine, lower case; empty where the firmware tells none.
    #[serde(default)]
    pub(crate) machine: String,
    /// Where its voter would be reached by the others; empty on members of releases that run one voter only.
    #[serde(default)]
    pub(crate) peer_url: String,
    /// Where it hears gossip, `address:port`; empty on members of releases that do not say.
    #[serde(default)]
    pub(crate) gossip: String,
    /// Hardware addresses of its network ports: its firmware may ask by any of them.
    #[serde(default)]
    pub(crate) macs: Vec<String>,
    /// Ids of the sealing keys that it has, the one that it uses first; empty on members of releases that do not say.
    #[serde(default)]
    pub(crate) seals: Vec<String>,
    /// How the fingerprints of the CAs begin that it trusts, its voter included; the one that signed its certificate first.
    /// Empty on members of releases that do not follow a change of the CA.
    #[serde(default)]
    pub(crate) cas: Vec<String>,
}

/// Who leads: does what only one member may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaderValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) since: u64,
}

/// What the install masters hand out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProvisionValue {
    pub(crate) pool_start: Ipv4Addr,
    pub(crate) pool_end: Ipv4Addr,
    #[serde(default)]
    pub(crate) router: Option<Ipv4Addr>,
}

/// Which sealing key is in use, by digests (SHA-256, hex digits): the record never has a key itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealValue {
    /// How often the key was changed.
    pub(crate) epoch: u64,
    /// What is sealed with.
    pub(crate) current: String,
    /// What will be; empty where no change has begun.
    pub(crate) next: String,
    /// What was before, while something may be sealed under it; empty otherwise.
    pub(crate) previous: String,
    /// How many members that are none any more the last change was for.
    pub(crate) covered: u64,
    /// When it became so.
    pub(crate) since: u64,
    /// Keys that were given up, the newest last, and no more than [`SealValue::FORMER`]: none of them is used again.
    #[serde(default)]
    pub(crate) former: Vec<String>,
    /// How often the record had been put back then.
    #[serde(default)]
    pub(crate) restored: u64,
}

impl SealValue {
    /// Most keys that are remembered as given up.
    const FORMER: usize = 32;

    /// The same, with the key before the current one given up.
    pub(crate) fn given_up(mut self) -> Self {
        self.former.push(std::mem::take(&mut self.previous));
        let surplus = self.former.len().saturating_sub(Self::FORMER);
        self.former.drain(..surplus);
        self
    }

    /// The keys that it names.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        [&self.current, &self.next, &self.previous].into_iter().map(String::as_str).filter(|d| !d.is_empty())
    }
}

/// The cluster's CA. Its key is sealed for the place where this lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CaValue {
    pub(crate) cert: String,
    pub(crate) sealed_key: String,
}

/// An address that a machine has, or had last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressValue {
    pub(crate) mac: String,
    /// For ever: the machine was told to install itself, and keeps it as its own.
    pub(crate) kept: bool,
    pub(crate) at: u64,
}

/// A person's wish that a member's machine be installed anew, as that member. Used once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgainValue {
    /// The member.
    pub(crate) id: String,
    pub(crate) until: u64,
    /// Its volumes may be lost.
    #[serde(default)]
    pub(crate) forced: bool,
}

/// A member whose machine was installed anew: its key and certificate are nobody's any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplacedValue {
    pub(crate) name: String,
    /// Id of the new member.
    pub(crate) by: String,
    pub(crate) at: u64,
    /// Those of its certificates that held then; earlier releases wrote none down.
    #[serde(default)]
    pub(crate) certs: Vec<CertValue>,
}

/// A node's sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliveValue {
    /// Since when without a break.
    pub(crate) since: u64,
}

/// The install window. Absent: closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WindowValue {
    pub(crate) until: u64,
    pub(crate) left: u32,
}

/// Events of a ticket that are kept: the first ones, and as many of the last as there is room.
const STORY: usize = 64;
const FIRST: usize = 8;
/// Longest text of an event, characters.
const TEXT: usize = 300;

/// One installation of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TicketValue {
    pub(crate) ticket: String,
    pub(crate) hostname: String,
    pub(crate) mac: String,
    pub(crate) uuid: Option<String>,
    /// The address that the machine keeps on the cluster's network.
    pub(crate) address: Option<Ipv4Addr>,
    /// The join secret, until it was used.
    pub(crate) secret: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
    /// What the installer left, as it told it.
    #[serde(default)]
    pub(crate) receipt: serde_json::Value,
    /// Id of the member whose place the machine takes.
    #[serde(default)]
    pub(crate) replaces: Option<String>,
    /// Until when the machine may begin; 0: for ever.
    #[serde(default)]
    pub(crate) expires: u64,
    /// Who let it in.
    #[serde(default)]
    pub(crate) by: String,
    /// All that it is bound to, once the machine has told what it is.
    #[serde(default)]
    pub(crate) identity: Option<Identity>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default)]
    pub(crate) disks: Disks,
    /// What happened.
    #[serde(default)]
    pub(crate) story: Vec<Event>,
    /// How many events there is no room for.
    #[serde(default)]
    pub(crate) left_out: u32,
    /// Fingerprint of the CA that its machine was told to trust, once it has its answer; empty too where a member of an
    /// earlier release gave that.
    #[serde(default)]
    pub(crate) ca: String,
    /// What a person has to do before the machine can join; empty: nothing.
    #[serde(default)]
    pub(crate) remedy: String,
}

impl TicketValue {
    /// Whether the machine is installed, so that it boots from its disk.
    pub(crate) fn retired(&self) -> bool {
        matches!(self.progress, Progress::Installed | Progress::Joined)
    }

    /// Whether it lets its machine in.
    pub(crate) fn lives(&self, now: u64) -> bool {
        !self.retired() && self.progress != Progress::Denied && !self.expired(now)
    }

    /// Whether its machine did not come in time.
    pub(crate) fn expired(&self, now: u64) -> bool {
        let over = self.retired() || self.progress == Progress::Denied;
        self.expires != 0 && now >= self.expires && !over
    }

    /// Adds to its story, which stays bounded.
    pub(crate) fn tell(&mut self, at: u64, what: What, text: &str) {
        if self.story.len() >= STORY {
            self.story.remove(FIRST);
            self.left_out = self.left_out.saturating_add(1);
        }
        let text = text.chars().filter(|c| !c.is_control()).take(TEXT).collect();
        self.story.push(Event { at, what, text });
    }
}

/// A join secret, under its SHA-256: the record cannot be read for secrets that were handed to persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InviteValue {
    pub(crate) expires: u64,
    /// The installation it belongs to.
    pub(crate) ticket: Option<String>,
    /// Who used it.
    pub(crate) used: Option<UsedBy>,
    /// Fingerprint of the CA that its bearer was told to trust; empty for one of an installation, and of earlier releases.
    #[serde(default)]
    pub(crate) ca: String,
}

/// Who used a join secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedBy {
    pub(crate) node_id: String,
    pub(crate) key_sha256: String,
}

/// A machine that asked to boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineValue {
    pub(crate) mac: String,
    pub(crate) uuid: Option<String>,
    pub(crate) arch: u16,
    pub(crate) first_seen: u64,
    pub(crate) last_seen: u64,
    /// What it is, once it has told, and when.
    #[serde(default)]
    pub(crate) inventory: Option<Inventory>,
    #[serde(default)]
    pub(crate) told_at: u64,
    /// Digest of what it told.
    #[serde(default)]
    pub(crate) sha256: String,
    /// A person's no.
    #[serde(default)]
    pub(crate) denied: Option<DeniedValue>,
}

/// A person's no to a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeniedValue {
    pub(crate) by: String,
    pub(crate) reason: String,
    pub(crate) at: u64,
    /// Until when; 0: until it is approved.
    pub(crate) until: u64,
}

impl MachineValue {
    /// The no that holds.
    pub(crate) fn denied(&self, now: u64) -> Option<&DeniedValue> {
        self.denied.as_ref().filter(|denied| denied.until == 0 || now < denied.until)
    }
}

/// What a machine told of itself in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FactsValue {
    pub(crate) facts: serde_json::Value,
}

/// What an installer left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptValue {
    pub(crate) receipt: serde_json::Value,
}

/// Machines that are let in without asking further.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApprovalsValue {
    pub(crate) rules: Vec<Rule>,
}

/// How many tickets were cut: two that are cut at the same time do not get the same name, nor does one machine get two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CutValue {
    pub(crate) count: u64,
}

/// Labels that a member carries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RolesValue {
    pub(crate) roles: Vec<String>,
}

/// How a member shall be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsValue {
    /// One more with every change.
    pub(crate) generation: u64,
    /// The generation that changed network or name servers last.
    #[serde(default)]
    pub(crate) network_generation: u64,
    pub(crate) spec: NodeSettings,
    pub(crate) changed_at: u64,
    #[serde(default)]
    pub(crate) by: String,
    /// Its roles before settings named others; absent where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed_roles: Option<Vec<String>>,
}

/// How a machine is switched on and off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerValue {
    pub(crate) mac: String,
    pub(crate) settings: PowerSettings,
    /// The password, sealed; empty where there is none.
    pub(crate) sealed: String,
    pub(crate) last: Option<LastAction>,
}

/// That the record was put back from a copy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RestoredValue {
    /// How many times.
    pub(crate) count: u64,
    pub(crate) at: u64,
    /// Id of the node.
    pub(crate) by: String,
    pub(crate) source: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserValue {
    pub(crate) name: String,
    /// Names this user for ever: another one who is given the name later is somebody else.
    pub(crate) id: String,
    pub(crate) role: Role,
    /// Argon2id hash of the password, PHC string.
    pub(crate) hash: String,
    pub(crate) created_at: u64,
    pub(crate) changed_at: u64,
    pub(crate) by: String,
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenValue {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) user: String,
    /// Id of that user; empty for the one of the node files.
    pub(crate) user_id: String,
    pub(crate) role: Role,
    pub(crate) scopes: Vec<String>,
    /// SHA-256 of the whole token, hex digits.
    pub(crate) sha256: String,
    pub(crate) created_at: u64,
    pub(crate) expires: u64,
}
