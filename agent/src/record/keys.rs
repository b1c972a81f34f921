//! Where things lie in the record.

/// Everything.
pub(crate) const ALL: &str = "/maekin/v1/";
/// The cluster itself, a [`super::values::ClusterValue`].
pub(crate) const CLUSTER: &str = "/maekin/v1/cluster";
/// Whether machines are let in, a [`super::values::WindowValue`].
pub(crate) const WINDOW: &str = "/maekin/v1/window";
/// Members, [`super::values::NodeValue`] each.
pub(crate) const NODES: &str = "/maekin/v1/nodes/";
/// Signs of life; they vanish with their node.
pub(crate) const ALIVE: &str = "/maekin/v1/alive/";
/// Installations, [`super::values::TicketValue`] each.
pub(crate) const TICKETS: &str = "/maekin/v1/tickets/";
/// Digests of join secrets, [`super::values::InviteValue`] each.
pub(crate) const INVITES: &str = "/maekin/v1/invites/";
/// Join tokens, [`crate::trust::values::TokenValue`] each.
pub(crate) const JOIN_TOKENS: &str = "/maekin/v1/join-tokens/";
/// Certificates of a member that hold, [`crate::trust::values::CertsValue`] each.
pub(crate) const CERTS: &str = "/maekin/v1/certificates/";
/// Nodes that were members, [`crate::trust::values::RemovedValue`] each.
pub(crate) const REMOVED: &str = "/maekin/v1/removed/";
/// The CA's list of certificates that hold no longer, a [`crate::trust::values::CrlValue`].
pub(crate) const CRL: &str = "/maekin/v1/crl";
/// Whose voter restarts with it, a [`crate::trust::values::TurnValue`]; it vanishes with its lease.
pub(crate) const CRL_TURN: &str = "/maekin/v1/crl-turn";
/// Machines that asked to boot, [`super::values::MachineValue`] each.
pub(crate) const MACHINES: &str = "/maekin/v1/machines/";
/// How machines are switched, [`super::values::PowerValue`] each.
pub(crate) const POWER: &str = "/maekin/v1/power/";
/// What machines told of themselves in full, [`super::values::FactsValue`] each.
pub(crate) const FACTS: &str = "/maekin/v1/facts/";
/// What installers left, [`super::values::ReceiptValue`] each.
pub(crate) const RECEIPTS: &str = "/maekin/v1/receipts/";
/// Machines that are let in without asking further, a [`super::values::ApprovalsValue`].
pub(crate) const APPROVALS: &str = "/maekin/v1/approvals";
/// Changed whenever a ticket is cut, a [`super::values::CutValue`].
pub(crate) const CUT: &str = "/maekin/v1/cut";
/// Labels that members carry, [`super::values::RolesValue`] each.
pub(crate) const ROLES: &str = "/maekin/v1/roles/";
/// How members shall be, [`super::values::SettingsValue`] each, under their id.
pub(crate) const NODE_SETTINGS: &str = "/maekin/v1/node-settings/";
/// How far that is so, [`maekin_api::settings::SettingsStatus`] each, written by the member itself.
pub(crate) const NODE_STATUS: &str = "/maekin/v1/node-status/";
/// Members that are in maintenance, [`crate::maintenance::MaintenanceValue`] each.
pub(crate) const MAINTENANCE: &str = "/maekin/v1/maintenance/";
/// Volumes, [`crate::volumes::values::VolumeValue`] each, under their name.
pub(crate) const VOLUMES: &str = "/maekin/v1/volumes/";
/// What nodes say of the volumes that they have, a [`crate::volumes::values::PartValue`] each, under the volume's name and
/// the node's id.
pub(crate) const VOLUME_STATUS: &str = "/maekin/v1/volume-status/";
/// Storage of nodes, [`maekin_api::storage::NodeStorage`] each, under the node's id, written by the node itself.
pub(crate) const STORAGE: &str = "/maekin/v1/storage/";
/// Members that shall be installed anew, [`super::values::AgainValue`] each.
pub(crate) const AGAIN: &str = "/maekin/v1/again/";
/// Members that were, [`super::values::ReplacedValue`] each.
pub(crate) const REPLACED: &str = "/maekin/v1/replaced/";

/// How members' networks are, a [`crate::network::values::NetworkValue`] each.
pub(crate) const NETWORK: &str = "/maekin/v1/network/";
/// What people say to their trials, a [`crate::network::values::VerdictValue`] each.
pub(crate) const NETWORK_VERDICTS: &str = "/maekin/v1/network-verdicts/";

/// The drives of members, a [`crate::drives::values::DrivesValue`] each.
pub(crate) const DRIVES: &str = "/maekin/v1/drives/";
/// What people want of drives, a [`crate::drives::values::WishValue`] each, under the drive's id.
pub(crate) const DRIVE_WISHES: &str = "/maekin/v1/drive-wishes/";
/// What nodes do by themselves about drives, a [`crate::drives::values::PolicyValue`].
pub(crate) const DRIVE_POLICY: &str = "/maekin/v1/drive-policy";
/// What [`DRIVE_WISHES`] and [`DRIVE_POLICY`] begin with, and nothing else does: one watch for both.
pub(crate) const DRIVE_ORDERS: &str = "/maekin/v1/drive-";

/// Who leads, a [`super::values::LeaderValue`]; it vanishes with its lease.
pub(crate) const LEADER: &str = "/maekin/v1/leader";
/// What the install masters hand out, a [`super::values::ProvisionValue`].
pub(crate) const PROVISION: &str = "/maekin/v1/provision";
/// Which sealing key is in use, a [`super::values::SealValue`].
pub(crate) const SEAL: &str = "/maekin/v1/seal";
/// The CA with its key sealed, a [`super::values::CaValue`].
pub(crate) const CA: &str = "/maekin/v1/ca";
/// How far a change of the CA is, a [`crate::trust::values::CaChangeValue`].
pub(crate) const CA_CHANGE: &str = "/maekin/v1/ca-change";
/// The CA that is to be the next one, a [`super::values::CaValue`], its key sealed for this place.
pub(crate) const CA_NEXT: &str = "/maekin/v1/ca-next";
/// Addresses that machines have, [`super::values::AddressValue`] each, under the address.
pub(crate) const ADDRESSES: &str = "/maekin/v1/addresses/";
/// The audit log, a few [`maekin_api::audit::AuditEvent`] in each value, under the id of the newest of them, which grows
/// with time.
pub(crate) const AUDIT: &str = "/maekin/v1/audit/";
/// Users, [`super::values::UserValue`] each, under the name.
pub(crate) const USERS: &str = "/maekin/v1/users/";
/// API tokens, [`super::values::TokenValue`] each, under the id.
pub(crate) const TOKENS: &str = "/maekin/v1/tokens/";
/// Changed whenever users or tokens are, a [`super::values::CutValue`].
pub(crate) const ACCESS: &str = "/maekin/v1/access";

/// That the record was put back from a copy, a [`super::values::RestoredValue`].
pub(crate) const RESTORED: &str = "/maekin/v1/restored";

/// Long work, [`crate::tasks::values::TaskValue`] each, under an id that grows with time.
pub(crate) const TASKS: &str = "/maekin/v1/tasks/";
/// Which node works at a task, a [`crate::tasks::values::ClaimValue`] each, under the task's id; it vanishes with its lease.
pub(crate) const TASK_CLAIMS: &str = "/maekin/v1/tasks-claims/";
/// What [`TASKS`] and [`TASK_CLAIMS`] begin with, and nothing else does: one watch for both.
pub(crate) const TASKS_AND_CLAIMS: &str = "/maekin/v1/tasks";
/// Logs of tasks, [`crate::tasks::values::LineValue`] each, under the task's id and the number of the line.
pub(crate) const TASK_LOGS: &str = "/maekin/v1/task-logs/";
/// Which task a request made, a [`crate::tasks::values::KeyValue`] each, under the digest of its `Idempotency-Key`.
pub(crate) const TASK_KEYS: &str = "/maekin/v1/task-keys/";

/// Key of one thing under a prefix. `name` is one of ours (hex digits, a UUID, a hardware address).
pub(crate) fn under(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}
