//! Where things lie in the record.

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
/// Machines that asked to boot, [`super::values::MachineValue`] each.
pub(crate) const MACHINES: &str = "/maekin/v1/machines/";
/// Members that shall be installed anew, [`super::values::AgainValue`] each.
pub(crate) const AGAIN: &str = "/maekin/v1/again/";
/// Members that were, [`super::values::ReplacedValue`] each.
pub(crate) const REPLACED: &str = "/maekin/v1/replaced/";

/// Key of one thing under a prefix. `name` is one of ours (hex digits, a UUID, a hardware address).
pub(crate) fn under(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}")
}
