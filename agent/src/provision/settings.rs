//! What the install masters hand out: in the record, so that it does not die with the node that was told first.

use maekin_api::provision::Provision as Wire;
use maekin_rootfs::cidr::Cidr;
use maekin_rootfs::node::Provision;

use crate::record::values::ProvisionValue;
use crate::record::{Change, Expected, Record, RecordError, Versioned, keys};

/// Most addresses that are handed out: a /16.
const MOST: u32 = 1 << 16;

/// What was asked for was not taken up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// It cannot be.
    #[error("{0}")]
    Invalid(String),
    /// The record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Writes down what the node file of the first node says, where nothing is written yet.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn ensure_recorded(record: &Record, wish: &Provision) -> Result<(), RecordError> {
    if record.get::<ProvisionValue>(keys::PROVISION).await?.is_some() {
        return Ok(()); // it may have been changed since
    }
    let value = ProvisionValue { pool_start: wish.pool_start, pool_end: wish.pool_end, router: wish.router };
    let change = Change::default().if_unchanged(keys::PROVISION, 0).put(keys::PROVISION, &value)?;
    record.commit(change).await.map(drop)
}

/// What is handed out.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn get(record: &Record) -> Result<Option<Provision>, RecordError> {
    let value = record.get::<ProvisionValue>(keys::PROVISION).await?.map(|found| found.value);
    Ok(value.map(|v| Provision { pool_start: v.pool_start, pool_end: v.pool_end, router: v.router }))
}

/// The same, as it lies in the record.
///
/// # Errors
/// [`RecordError`].
pub(crate) async fn read(record: &Record) -> Result<Option<Versioned<ProvisionValue>>, RecordError> {
    record.get::<ProvisionValue>(keys::PROVISION).await
}

/// From now on this is handed out, in place of what is `expected`. `network` is the cluster's.
///
/// # Errors
/// [`SettingsError`].
pub(crate) async fn set(
    record: &Record,
    wish: &Wire,
    network: Option<Cidr>,
    expected: &Expected,
) -> Result<(), SettingsError> {
    let value = plan_settings(wish, network).map_err(SettingsError::Invalid)?;
    let revision = read(record).await?.map_or(0, |found| found.revision);
    expected.check(revision)?;
    let change = Change::default().put(keys::PROVISION, &value)?;
    let change = match expected {
        Expected::Whatever => change,
        Expected::Existing | Expected::Revisions(_) => change.if_unchanged(keys::PROVISION, revision),
    };
    if !record.commit(change).await? {
        return Err(
            RecordError::Changed { now: read(record).await?.map_or(0, |found| found.revision) }.into()
        );
    }
    tracing::info!(?value, "what the install masters hand out was changed");
    Ok(())
}

/// Checks what was asked for. Pure.
fn plan_settings(wish: &Wire, network: Option<Cidr>) -> Result<ProvisionValue, String> {
    let network =
        network.ok_or("this node has no fixed address on the cluster's network; ask another member")?;
    let named =
        [("pool_start", Some(wish.pool_start)), ("pool_end", Some(wish.pool_end)), ("router", wish.router)];
    for (name, ip) in named {
        if let Some(ip) = ip.filter(|ip| !network.contains((*ip).into())) {
            return Err(format!("{name}: {ip} does not lie in {}", network.network()));
        }
    }
    let (first, last) = (wish.pool_start.to_bits(), wish.pool_end.to_bits());
    if first > last {
        return Err(format!("pool_end: {} comes before pool_start", wish.pool_end));
    }
    if last - first >= MOST {
        return Err(format!("pool_end: more than {MOST} addresses"));
    }
    Ok(ProvisionValue { pool_start: wish.pool_start, pool_end: wish.pool_end, router: wish.router })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netboot_settings_are_of_the_clusters_network() {
        let network: Cidr = "10.77.0.1/24".parse().unwrap();
        let wish = |a: &str, b: &str, r: Option<&str>| Wire {
            pool_start: a.parse().unwrap(),
            pool_end: b.parse().unwrap(),
            router: r.map(|r| r.parse().unwrap()),
        };
        let rows = [
            ("good", wish("10.77.0.100", "10.77.0.199", Some("10.77.0.254")), Some(network), None),
            ("one address", wish("10.77.0.100", "10.77.0.100", None), Some(network), None),
            ("elsewhere", wish("10.78.0.100", "10.77.0.199", None), Some(network), Some("pool_start")),
            (
                "router elsewhere",
                wish("10.77.0.100", "10.77.0.199", Some("10.0.0.1")),
                Some(network),
                Some("router"),
            ),
            ("backwards", wish("10.77.0.199", "10.77.0.100", None), Some(network), Some("comes before")),
            ("no network", wish("10.77.0.100", "10.77.0.199", None), None, Some("no fixed address")),
            ("too many", wish("10.0.0.0", "10.1.0.0", None), "10.0.0.1/8".parse().ok(), Some("more than")),
        ];
        for (name, wish, network, wrong) in rows {
            let got = plan_settings(&wish, network);
            match wrong {
                None => assert_eq!(got.unwrap().pool_end, wish.pool_end, "{name}"),
                Some(wrong) => assert!(got.unwrap_err().contains(wrong), "{name}"),
            }
        }
    }
}
