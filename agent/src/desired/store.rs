//! Settings in the record: read, and changed by compare-and-swap, from any member.

use maekin_api::access::Role;
use maekin_api::settings::{NodeSettingsObject, SettingsStatus};

use super::change::{self, Edit};
use super::check;
use crate::maintenance;
use crate::record::keys::{self, under};
use crate::record::values::{CutValue, NodeValue, RolesValue, SettingsValue, TicketValue};
use crate::record::{Change, Expected, Record, RecordError};

/// How often a compare-and-swap is tried.
const TRIES: usize = 8;

/// Settings could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DesiredError {
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// There is no such member.
    #[error("no member has the name or id {0}; `GET /v1/nodes` lists them")]
    NoNode(String),
    /// They cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Somebody else has that name.
    #[error("hostname: {0} is the name of another node, or promised to one; choose another")]
    NameTaken(String),
    /// Who asks may not change them.
    #[error("to change {0} takes the role admin")]
    NotAllowed(String),
    /// It was not said which version is meant.
    #[error("read the settings and send their ETag as `If-Match`; `If-Match: *` for whatever is there")]
    Unsaid,
    /// Others change them all the time.
    #[error("others change the record at the same time all the time; try again")]
    Contended,
}

/// Which version is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meant {
    /// The one that the request names, or any where that may be.
    Named(Expected),
    /// None: there are none yet.
    Nothing,
}

/// Who asks for a change.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    /// What he may do.
    pub(crate) role: Role,
    /// His name.
    pub(crate) name: String,
}

/// The member of that name or id.
///
/// # Errors
/// [`DesiredError`].
async fn node(record: &Record, name: &str) -> Result<NodeValue, DesiredError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    plan_node(nodes.into_iter().map(|node| node.value).collect(), name)
        .ok_or_else(|| DesiredError::NoNode(crate::install::terms::shown(name)))
}

/// The one of `nodes` that is meant: ids go before names, since a name may be chosen to look like another's id. Pure.
fn plan_node(nodes: Vec<NodeValue>, name: &str) -> Option<NodeValue> {
    let at = nodes
        .iter()
        .position(|node| node.id == name)
        .or_else(|| nodes.iter().position(|node| node.name == name))?;
    nodes.into_iter().nth(at)
}

fn object(
    node: NodeValue,
    value: Option<SettingsValue>,
    status: Option<SettingsStatus>,
) -> NodeSettingsObject {
    let value = value.unwrap_or_default();
    NodeSettingsObject {
        name: node.name,
        id: node.id,
        generation: value.generation,
        network_generation: value.network_generation,
        changed_at: value.changed_at,
        changed_by: value.by,
        spec: value.spec,
        status: status.unwrap_or_default(),
    }
}

/// The settings of all members.
///
/// # Errors
/// [`DesiredError`].
pub(crate) async fn list(record: &Record) -> Result<Vec<NodeSettingsObject>, DesiredError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let mut values: std::collections::BTreeMap<String, SettingsValue> =
        record.list_keyed(keys::NODE_SETTINGS).await?.into_iter().collect();
    let mut statuses: std::collections::BTreeMap<String, SettingsStatus> =
        record.list_keyed(keys::NODE_STATUS).await?.into_iter().collect();
    let mut all: Vec<_> = nodes
        .into_iter()
        .map(|node| {
            let (value, status) = (values.remove(&node.value.id), statuses.remove(&node.value.id));
            object(node.value, value, status)
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The settings of one member, with their revision; 0 where nobody has set any.
///
/// # Errors
/// [`DesiredError`].
pub(crate) async fn get(record: &Record, name: &str) -> Result<(NodeSettingsObject, i64), DesiredError> {
    let node = node(record, name).await?;
    let found = record.get::<SettingsValue>(&under(keys::NODE_SETTINGS, &node.id)).await?;
    let status = record.get::<SettingsStatus>(&under(keys::NODE_STATUS, &node.id)).await?;
    let revision = found.as_ref().map_or(0, |found| found.revision);
    Ok((object(node, found.map(|found| found.value), status.map(|status| status.value)), revision))
}

/// Changes the settings of one member. Settings that are the same are not another generation.
///
/// # Errors
/// [`DesiredError`].
pub(crate) async fn set(
    record: &Record,
    name: &str,
    edit: &Edit,
    meant: &Meant,
    asker: &Asker,
    now: u64,
) -> Result<(), DesiredError> {
    for _ in 0..TRIES {
        let node = node(record, name).await?;
        let key = under(keys::NODE_SETTINGS, &node.id);
        let found = record.get::<SettingsValue>(&key).await?;
        let revision = found.as_ref().map_or(0, |found| found.revision);
        match meant {
            Meant::Named(expected) => expected.check(revision)?,
            Meant::Nothing if revision != 0 => return Err(DesiredError::Unsaid),
            Meant::Nothing => {}
        }
        let old = found.map(|found| found.value).unwrap_or_default();
        let spec = edit.apply(&old.spec).map_err(DesiredError::Invalid)?;
        let problems = check::problems(&spec);
        if !problems.is_empty() {
            return Err(DesiredError::Invalid(problems.join("; ")));
        }
        let changed = change::changed(&old.spec, &spec);
        let beyond = change::beyond(asker.role, &changed);
        if !beyond.is_empty() {
            return Err(DesiredError::NotAllowed(beyond.join(", ")));
        }
        if changed.is_empty() {
            return Ok(());
        }
        let mut commit = Change::default().if_unchanged(&key, revision);
        if let (true, Some(hostname)) = (changed.contains(&"hostname"), &spec.hostname) {
            commit = reserve(record, &node, hostname, commit, now).await?;
        }
        let generation = old.generation.saturating_add(1);
        let of_network = changed.iter().any(|name| ["network", "dns"].contains(name));
        let mut value = SettingsValue {
            generation,
            // A network that was put back, or set at the node, is not tried again for a label.
            network_generation: if of_network { generation } else { old.network_generation },
            spec,
            changed_at: now,
            by: asker.name.clone(),
            installed_roles: old.installed_roles.clone(),
        };
        if changed.contains(&"roles") {
            commit = roles(record, &node.id, &mut value, commit).await?;
        }
        if changed.contains(&"maintenance") {
            let reason = value.spec.maintenance.as_ref().map(|maintenance| maintenance.reason.as_str());
            commit = maintenance::written(record, &node.id, reason, &asker.name, now, commit).await?;
        }
        if record.commit(commit.put(&key, &value)?).await? {
            let (generation, by) = (value.generation, &asker.name);
            tracing::info!(node = node.name, generation, by, ?changed, "the settings of a node were changed");
            return Ok(());
        }
    }
    Err(DesiredError::Contended)
}

/// Adds to `commit` that nobody gets that name meanwhile, after looking that nobody has it.
async fn reserve(
    record: &Record,
    own: &NodeValue,
    hostname: &str,
    commit: Change,
    now: u64,
) -> Result<Change, DesiredError> {
    // Tickets promise names under this key; settings do so too.
    let cut = record.get::<CutValue>(keys::CUT).await?;
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let settings: Vec<(String, SettingsValue)> = record.list_keyed(keys::NODE_SETTINGS).await?;
    let tickets = record.list::<TicketValue>(keys::TICKETS).await?;
    let has = nodes.iter().any(|n| n.value.id != own.id && n.value.name == hostname);
    let shall = settings.iter().any(|(id, v)| *id != own.id && v.spec.hostname.as_deref() == Some(hostname));
    let promised = tickets.iter().map(|t| &t.value).any(|t| {
        let other = own.mac.is_empty() || t.mac != own.mac;
        t.hostname == hostname && other && (t.lives(now) || t.retired())
    });
    if has || shall || promised {
        return Err(DesiredError::NameTaken(hostname.to_owned()));
    }
    let (count, revision) = cut.map_or((0, 0), |cut| (cut.value.count, cut.revision));
    let next = CutValue { count: count.wrapping_add(1) };
    Ok(commit.if_unchanged(keys::CUT, revision).put(keys::CUT, &next)?)
}

/// Adds to `commit` the roles that voters and others go by. Those from before are kept in `value`, and come back when
/// the settings name none any more.
async fn roles(
    record: &Record,
    id: &str,
    value: &mut SettingsValue,
    commit: Change,
) -> Result<Change, DesiredError> {
    let key = under(keys::ROLES, id);
    let found = record.get::<RolesValue>(&key).await?;
    let commit = commit.if_unchanged(&key, found.as_ref().map_or(0, |found| found.revision));
    let before = found.map(|found| found.value.roles);
    Ok(match &value.spec.roles {
        Some(roles) => {
            value.installed_roles.get_or_insert_with(|| before.unwrap_or_default());
            commit.put(&key, &RolesValue { roles: roles.clone() })?
        }
        None => match value.installed_roles.take().filter(|roles| !roles.is_empty()) {
            Some(roles) => commit.put(&key, &RolesValue { roles })?,
            None => commit.delete(&key),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_settings_an_id_means_its_own_node_only() {
        let node =
            |id: &str, name: &str| NodeValue { id: id.into(), name: name.into(), ..NodeValue::default() };
        let nodes = vec![node("a1", "b2"), node("b2", "node-2")];
        for (name, want) in [("a1", Some("a1")), ("b2", Some("b2")), ("node-2", Some("b2")), ("c3", None)] {
            let found = plan_node(nodes.clone(), name);
            assert_eq!(found.map(|node| node.id).as_deref(), want, "{name}");
        }
    }
}
