//! The agent's wire types: what its HTTP API takes and answers, shared by the agent, its console and CLI, and the
//! install master. Types and paths only: nothing here has an effect, opens a socket, or knows who is asked.
//!
//! Times are seconds since 1970-01-01 UTC. Unknown fields in answers are to be ignored: newer agents may say more.
//!
//! | module | job |
//! | --- | --- |
//! | [`access`] | who may do what |
//! | [`addresses`] | install master tells agent: which machine has which address |
//! | [`alarm`] | what is wrong with a node |
//! | [`audit`] | the audit log |
//! | [`boot`] | install master asks agent: what shall this machine boot |
//! | [`boot_drives`] | whether either boot drive alone would start a node |
//! | [`cluster`] | the cluster and its members |
//! | [`discovery`] | nodes that were heard on the wire |
//! | [`drives`] | the drives of the rack |
//! | [`install`] | install window, installations under way |
//! | [`join`] | how a node becomes a member |
//! | [`machine`] | machines that boot from the network: what they tell, what they are told |
//! | [`network`] | a node's network, and the trial of another one |
//! | [`node`] | one node about itself |
//! | [`nodes`] | the members and how they are |
//! | [`power`] | power of machines, through their management controllers |
//! | [`problem`] | errors (RFC 9457) |
//! | [`provision`] | what install masters hand out |
//! | [`record`] | the cluster's record as a store |
//! | [`secret`] | texts that are never shown |
//! | [`settings`] | how a node shall be, and how far that is so |
//! | [`storage`] | how much storage there is, where, and what is wrong with it |
//! | [`tasks`] | long work, as tasks |
//! | [`trust`] | join tokens |
//! | [`volumes`] | volumes, whatever engine keeps them |
//! | [`watch`] | word of what changes |

pub mod access;
pub mod addresses;
pub mod alarm;
pub mod audit;
pub mod boot;
pub mod boot_drives;
pub mod cluster;
pub mod discovery;
pub mod drives;
pub mod install;
pub mod join;
pub mod machine;
pub mod network;
pub mod node;
pub mod nodes;
pub mod power;
pub mod problem;
pub mod provision;
pub mod record;
pub mod secret;
pub mod settings;
pub mod storage;
pub mod tasks;
pub mod trust;
pub mod volumes;
pub mod watch;

/// A DNS name in every node's certificate. Nodes verify each other under it, so that an address that changes breaks
/// no trust; who exactly a node is says the URI beside it.
pub const SERVER_NAME: &str = "node.maekin.internal";

/// `GET` [`node::Node`]: this node about itself.
pub const NODE: &str = "/v1/node";
/// `GET` [`boot_drives::BootDrives`]: this node's boot drives.
pub const NODE_BOOT: &str = "/v1/node/boot";
/// `GET` and `PUT` [`boot_drives::Settings`]: what the node does about them by itself.
pub const NODE_BOOT_SETTINGS: &str = "/v1/node/boot/settings";
/// `POST` [`boot_drives::StartHeal`]: go ahead with what [`boot_drives::Heal::Asks`] offers, or try again now.
pub const NODE_BOOT_HEAL: &str = "/v1/node/boot/heal";
/// `POST`: restart into the boot drive that this start did not come from; see [`boot_drives::Trial`].
pub const NODE_BOOT_TRIAL: &str = "/v1/node/boot/trial";
/// `POST`: compare the halves of the mirrors now, byte by byte; see [`boot_drives::Comparison`].
pub const NODE_BOOT_COMPARE: &str = "/v1/node/boot/compare";
/// `GET` [`cluster::Cluster`]: the cluster as its record has it; the same from every member.
pub const CLUSTER: &str = "/v1/cluster";
/// `GET` [`record::Record`]: the record as a store, as the asked node sees it.
pub const RECORD: &str = "/v1/record";
/// `POST`: copy the record now, to the asked node, where it has changed; answers [`record::Backups`].
pub const RECORD_BACKUPS: &str = "/v1/record/backups";
/// `GET` [`install::WindowState`], `POST` [`install::OpenWindow`], `DELETE`.
pub const INSTALL_WINDOW: &str = "/v1/install-window";
/// `GET` list of [`install::Install`].
pub const INSTALLS: &str = "/v1/installs";
/// `GET` [`install::Install`]. `DELETE`: forget an installation, so that its machine, if it became no member, may be installed again.
pub const INSTALL: &str = "/v1/installs/{ticket}";
/// `GET`: the receipt of an installation as its installer sent it: an object of `receipt` (JSON, to the byte what was
/// signed), `signature` and `public_key` (minisign format); null while there is none.
pub const INSTALL_RECEIPT: &str = "/v1/installs/{ticket}/receipt";
/// `GET` list of [`nodes::NodeInfo`]: the members and how they are, as the asked node sees them.
pub const NODES: &str = "/v1/nodes";
/// `POST`: a member's machine shall be installed anew, as that member, when it next boots from the network; answers
/// [`install::Reinstall`]. `DELETE`: it shall not.
pub const REINSTALL: &str = "/v1/nodes/{name}/reinstall";
/// `GET` list of [`install::SeenMachine`]: machines that asked to boot.
pub const MACHINES: &str = "/v1/machines";
/// `GET` [`install::MachineDetail`]: one of them, by its hardware address or its code, with its facts.
pub const MACHINE: &str = "/v1/machines/{machine}";
/// `POST` [`install::Terms`]: let it in; answers [`install::Install`].
pub const MACHINE_APPROVE: &str = "/v1/machines/{machine}/approve";
/// `POST` [`install::Deny`]: tell it no; answers [`install::SeenMachine`].
pub const MACHINE_DENY: &str = "/v1/machines/{machine}/deny";
/// `GET` and `PUT` list of [`install::Rule`]: machines that are let in without asking further.
pub const APPROVALS: &str = "/v1/approvals";
/// `GET` and `PUT`: the same as CSV (RFC 4180) with a head line.
pub const APPROVALS_CSV: &str = "/v1/approvals.csv";
/// `GET` list of [`power::PowerInfo`]: the machines whose power can be switched.
pub const POWER: &str = "/v1/power";
/// Power of one machine, by the hardware address it boots from. `GET` [`power::PowerInfo`], `PUT` [`power::SetPower`],
/// `DELETE` forgets the settings, `POST` [`power::Act`] does something and answers [`power::Done`].
pub const MACHINE_POWER: &str = "/v1/machines/{machine}/power";
/// `POST` [`join::NewInvite`], answers [`join::Invite`].
pub const INVITES: &str = "/v1/invites";
/// `POST` [`join::JoinRequest`], answers [`join::JoinReply`]. Needs no other authentication than the secret inside.
pub const JOIN: &str = "/v1/join";
/// `GET` list of [`trust::TokenInfo`], `POST` [`trust::NewToken`], answers [`trust::MadeToken`].
pub const JOIN_TOKENS: &str = "/v1/join-tokens";
/// `DELETE`: a token lets nobody in any more.
pub const JOIN_TOKEN: &str = "/v1/join-tokens/{id}";
/// `GET` list of [`discovery::Discovered`]: nodes that wait to be let in, and other clusters, as this member hears them.
pub const DISCOVERED: &str = "/v1/discovered";
/// Pairings that this node's console shows. `GET` list of [`trust::PairingInfo`]; on a member, `POST` [`trust::NewPairing`]
/// begins one, answers [`trust::PairingInfo`].
pub const PAIRINGS: &str = "/v1/pairings";
/// `POST`: a person at this node says that the code on the other console is the same.
pub const PAIRING_APPROVE: &str = "/v1/pairings/{code}/approve";
/// `POST`: that it is not, or that nobody shall be let in.
pub const PAIRING_DENY: &str = "/v1/pairings/{code}/deny";
/// `POST` [`trust::PairingOffer`] to a node that waits, answers [`trust::PairingBegun`].
pub const NODE_PAIRING: &str = "/v1/node/pairing";
/// `POST` [`trust::PairingNonce`] to it, answers its own.
pub const NODE_PAIRING_REVEAL: &str = "/v1/node/pairing/reveal";
/// `POST` [`trust::JoinWith`] to it, once both sides said yes.
pub const NODE_PAIRING_TOKEN: &str = "/v1/node/pairing/token";
/// `POST` [`trust::JoinWith`]: this node, which is no member yet, shall join a cluster.
pub const NODE_JOIN: &str = "/v1/node/join";
/// `POST` [`trust::Leave`]: this node leaves its cluster, forgets it, and waits to be let in again; answers
/// [`trust::RemovedNode`].
pub const NODE_LEAVE: &str = "/v1/node/leave";
/// `POST` [`trust::RenewRequest`], answers [`trust::RenewReply`]. Needs a certificate of this cluster, which may have run
/// out, and no other authentication.
pub const CERTIFICATE: &str = "/v1/certificate";
/// `POST`: a member asks another one for a sealing key, [`trust::SealKeyRequest`] to [`trust::SealKeyReply`].
pub const SEAL_KEY: &str = "/v1/seal-key";
/// `DELETE`: the member of this name or id is no member any more; answers [`trust::RemovedNode`].
/// `GET` [`nodes::NodeInfo`]: how it is.
pub const CLUSTER_NODE: &str = "/v1/nodes/{name}";
/// `GET` list of [`settings::NodeSettingsObject`]: how the members shall be, and how far that is so.
pub const SETTINGS: &str = "/v1/settings";
/// One of them, by host name or id. `GET` [`settings::NodeSettingsObject`]; `PUT` [`settings::NodeSettings`] and `PATCH`
/// with a merge patch of it (RFC 7386) answer the same.
pub const NODE_SETTINGS: &str = "/v1/nodes/{name}/settings";
/// `GET` [`network::NodeNetwork`]: a member's network as it is, and the last trial of another one.
pub const NODE_NETWORK: &str = "/v1/nodes/{name}/network";
/// `POST` [`network::Decide`]: the network that it tries is good; answers [`network::NodeNetwork`].
pub const NODE_NETWORK_CONFIRM: &str = "/v1/nodes/{name}/network/confirm";
/// `POST` [`network::Decide`]: it is not; answers [`network::NodeNetwork`].
pub const NODE_NETWORK_REVERT: &str = "/v1/nodes/{name}/network/revert";
/// `GET` and `PUT` [`provision::Provision`]: what the install masters hand out; every member takes it up.
pub const PROVISION: &str = "/v1/provision";
/// `GET`: 200 and the text `ok` when the agent serves. Needs no authentication and tells nothing else.
pub const HEALTH: &str = "/healthz";
/// `GET`: the OpenAPI document of this API.
pub const OPENAPI: &str = "/v1/openapi.json";
/// `GET` [`access::WhoAmI`]: who asks, as the node knows it.
pub const WHOAMI: &str = "/v1/whoami";
/// `PUT` [`access::ChangePassword`]: change one's own password.
pub const OWN_PASSWORD: &str = "/v1/whoami/password";
/// `GET` list of [`access::User`], `POST` [`access::NewUser`].
pub const USERS: &str = "/v1/users";
/// `GET` [`access::User`], `PUT` [`access::SetUser`] with `If-Match`, `DELETE`: his tokens end too.
pub const USER: &str = "/v1/users/{user}";
/// `GET` list of [`access::Token`]: one's own, to an admin all. `POST` [`access::NewToken`], answers [`access::MadeToken`].
pub const TOKENS: &str = "/v1/tokens";
/// `GET` [`access::Token`], `DELETE`.
pub const TOKEN: &str = "/v1/tokens/{token}";
/// `GET` list of [`audit::AuditEvent`], the newest first; `?limit=&after=`.
pub const AUDIT: &str = "/v1/audit";
/// `GET`: word of what changes, as server-sent events; see [`watch`]. `?kinds=nodes,machines&after=`.
pub const WATCH: &str = "/v1/watch";
/// `GET`: Prometheus text about this node.
pub const METRICS: &str = "/metrics";
/// `GET` list of [`tasks::Task`], the newest first; `?state=&limit=&after=`. `POST` [`tasks::NewTask`] with
/// `Idempotency-Key`: answers 202, where the task is (`Location`), and [`tasks::Task`].
pub const TASKS: &str = "/v1/tasks";
/// `GET` [`tasks::Task`].
pub const TASK: &str = "/v1/tasks/{id}";
/// `GET` list of [`tasks::LogLine`], the oldest first; `?after=` a number.
pub const TASK_LOG: &str = "/v1/tasks/{id}/log";
/// `POST`: the task shall end early; answers [`tasks::Task`].
pub const TASK_CANCEL: &str = "/v1/tasks/{id}/cancel";
/// `GET` list of [`drives::Drive`]: the drives of the rack, as each node told of its own.
pub const DRIVES: &str = "/v1/drives";
/// `GET` [`drives::Drive`], by its id or its serial number.
pub const DRIVE: &str = "/v1/drives/{id}";
/// `POST` [`drives::Take`]: storage may have it; answers [`drives::Drive`].
pub const DRIVE_TAKE: &str = "/v1/drives/{id}/take";
/// `POST` [`drives::Locate`]: let the light of its bay blink, or no longer; answers [`drives::Located`].
pub const DRIVE_LOCATE: &str = "/v1/drives/{id}/locate";
/// `POST` [`drives::Retire`]: have it emptied, so that it can be pulled; answers 202 and [`tasks::Task`].
pub const DRIVE_RETIRE: &str = "/v1/drives/{id}/retire";
/// `GET` and `PUT` [`drives::StoragePolicy`]: what nodes do by themselves about drives that nobody uses.
pub const STORAGE_POLICY: &str = "/v1/storage/policy";
/// `GET` [`storage::Storage`]: storage of the cluster, by class and by node.
pub const STORAGE: &str = "/v1/storage";
/// `GET` list of [`volumes::Volume`]; `?class=&node=&limit=&after=`. `POST` [`volumes::NewVolume`], answers
/// [`volumes::Volume`].
pub const VOLUMES: &str = "/v1/volumes";
/// `GET` [`volumes::Volume`]; `PATCH` with a merge patch of [`volumes::ChangeVolume`] and `DELETE` answer the same: it is gone
/// once every node that has something of it says so. `DELETE` with `?snapshots=delete` takes its snapshots, too.
pub const VOLUME: &str = "/v1/volumes/{name}";
/// `GET` list of [`volumes::Snapshot`], `POST` [`volumes::NewSnapshot`], answers [`volumes::Snapshot`].
pub const VOLUME_SNAPSHOTS: &str = "/v1/volumes/{name}/snapshots";
/// `GET` [`volumes::Snapshot`], `DELETE`.
pub const VOLUME_SNAPSHOT: &str = "/v1/volumes/{name}/snapshots/{snapshot}";
/// `POST` [`volumes::CloneVolume`], answers the new [`volumes::Volume`].
pub const VOLUME_CLONE: &str = "/v1/volumes/{name}/clone";
/// `POST` [`volumes::AttachVolume`], answers [`volumes::Volume`].
pub const VOLUME_ATTACH: &str = "/v1/volumes/{name}/attach";
/// `POST` [`volumes::DetachVolume`], answers [`volumes::Volume`].
pub const VOLUME_DETACH: &str = "/v1/volumes/{name}/detach";
