//! A person's wish that a member's machine be installed anew when it next boots from the network, as that same member.
//! Until somebody says so, a member boots from its disk, and nothing else that happens changes that.

use maekin_api::install::Reinstall;

use super::InstallError;
use crate::record::keys::{self, under};
use crate::record::values::{AgainValue, NodeValue};
use crate::record::{Change, Record};
use crate::trust::removal::{Named, volumes_of};

/// How long a wish stands, seconds.
const VALIDITY: u64 = 24 * 3600;
/// Voters of the record that there must be besides the member's, for it to be spared: a quorum of three.
const SPARE: usize = 2;

/// Writes the wish down; a member with volumes only where those may be lost (`forced`).
///
/// # Errors
/// [`InstallError::NoMember`], [`InstallError::Volumes`], or [`InstallError::Invalid`] for a member that the cluster cannot
/// spare.
pub(crate) async fn wish(
    record: &Record,
    name: &str,
    forced: bool,
    now: u64,
) -> Result<Reinstall, InstallError> {
    let member = member(record, name).await?;
    let others = record.list::<NodeValue>(keys::NODES).await?;
    let others = others.iter().filter(|n| n.value.id != member.id && !n.value.record_url.is_empty()).count();
    if !member.record_url.is_empty() && others < SPARE {
        let text = format!(
            "{name} holds the cluster's record, which needs {SPARE} other voters while it is away, and has {others}"
        );
        return Err(InstallError::Invalid(text));
    }
    let volumes = volumes_of(record, &member.id).await?;
    if !volumes.is_empty() && !forced {
        return Err(InstallError::Volumes { name: member.name, volumes: Named::of(&volumes) });
    }
    let value = AgainValue { id: member.id.clone(), until: now + VALIDITY, forced };
    let key = under(keys::AGAIN, &member.id);
    record.commit(Change::default().put(&key, &value)?).await?;
    let lost = volumes.len();
    tracing::warn!(name, id = member.id, until = value.until, lost, "a member shall be installed anew");
    Ok(Reinstall { name: member.name, id: member.id, until: value.until })
}

/// Takes the wish back.
///
/// # Errors
/// As [`wish`].
pub(crate) async fn withdraw(record: &Record, name: &str) -> Result<(), InstallError> {
    let member = member(record, name).await?;
    record.commit(Change::default().delete(&under(keys::AGAIN, &member.id))).await?;
    tracing::info!(name, id = member.id, "a member shall not be installed anew");
    Ok(())
}

async fn member(record: &Record, name: &str) -> Result<NodeValue, InstallError> {
    let nodes = record.list::<NodeValue>(keys::NODES).await?;
    let found = nodes.into_iter().map(|n| n.value).find(|n| n.name == name);
    found.ok_or_else(|| InstallError::NoMember(name.chars().filter(|c| !c.is_control()).take(64).collect()))
}
