//! Power settings in the record. The password is sealed for exactly this machine, controller and user: who can write to
//! the record, but has no sealing key, cannot have it sent elsewhere.

use std::collections::BTreeMap;

use maekin_api::power::{LastAction, PowerInfo, PowerSettings, SetPower};
use maekin_api::secret::Secret;

use super::errors::PowerError;
use super::settings::{Way, plan_way};
use crate::app::Member;
use crate::record::keys::{self, under};
use crate::record::values::{MachineValue, PowerValue};
use crate::record::{Expected, Record, Versioned};
use crate::sealed::keyring::Ring;

/// What the password is sealed for.
fn context(mac: &str, s: &PowerSettings) -> String {
    format!("{} {:?} {} {} {}", under(keys::POWER, mac), s.method, s.address, s.user, s.plain_http)
}

/// Makes what is recorded of what was set. Pure but for the seal's nonce.
fn plan_value(seal: &Ring, mac: &str, set: &SetPower) -> Result<PowerValue, PowerError> {
    plan_way(mac, &set.settings, &set.password)?;
    let sealed = if set.password.is_empty() {
        String::new()
    } else {
        let seal = seal.current().ok_or(PowerError::NoSealKey)?;
        seal.seal(&context(mac, &set.settings), set.password.expose().as_bytes())?
    };
    Ok(PowerValue { mac: mac.to_owned(), settings: set.settings.clone(), sealed, last: None })
}

/// Opens what is recorded.
///
/// # Errors
/// [`PowerError::Seal`] and [`PowerError::NoSealKey`].
pub(crate) fn open(member: &Member, value: &PowerValue) -> Result<Way, PowerError> {
    open_with(&member.seal, value)
}

fn open_with(seal: &Ring, value: &PowerValue) -> Result<Way, PowerError> {
    let password = if value.sealed.is_empty() {
        Secret::default()
    } else {
        seal.current().ok_or(PowerError::NoSealKey)?;
        let bytes = seal.open(&context(&value.mac, &value.settings), &value.sealed)?;
        String::from_utf8(bytes).map_err(|_| PowerError::Invalid("password: is not UTF-8".to_owned()))?.into()
    };
    plan_way(&value.mac, &value.settings, &password)
}

/// The same, its password sealed with the key in use; `None` where no key opens it.
pub(crate) fn sealed_anew(seal: &Ring, value: &PowerValue) -> Option<PowerValue> {
    let context = context(&value.mac, &value.settings);
    let sealed = seal.open(&context, &value.sealed).and_then(|plain| seal.seal(&context, &plain)).ok()?;
    Some(PowerValue { sealed, ..value.clone() })
}

/// What may be shown.
fn info(value: PowerValue, machine: Option<&MachineValue>) -> PowerInfo {
    let has_password = !value.sealed.is_empty();
    let asked_at = machine.map(|m| m.last_seen);
    PowerInfo { mac: value.mac, settings: value.settings, has_password, last: value.last, asked_at }
}

/// What may be shown of one machine.
///
/// # Errors
/// [`PowerError::NotFound`], [`PowerError::Record`].
pub(crate) async fn show(record: &Record, mac: &str) -> Result<Versioned<PowerInfo>, PowerError> {
    super::settings::check_mac(mac)?; // never let what a stranger sent into a key
    let (found, machine) = both(record, mac).await?;
    let Versioned { value, revision, created, lease } =
        found.ok_or_else(|| PowerError::NotFound(mac.to_owned()))?;
    let value = info(value, machine.as_ref());
    Ok(Versioned { value, revision, created, lease })
}

/// The settings of a machine, and what is known of it.
async fn both(
    record: &Record,
    mac: &str,
) -> Result<(Option<Versioned<PowerValue>>, Option<MachineValue>), PowerError> {
    let (power, machine) = record.get_both(&under(keys::POWER, mac), &under(keys::MACHINES, mac)).await?;
    Ok((power, machine.map(|found: Versioned<MachineValue>| found.value)))
}

/// The settings of one machine.
///
/// # Errors
/// [`PowerError::NotFound`], [`PowerError::Record`].
pub(crate) async fn get(record: &Record, mac: &str) -> Result<Versioned<PowerValue>, PowerError> {
    super::settings::check_mac(mac)?; // never let what a stranger sent into a key
    record.get(&under(keys::POWER, mac)).await?.ok_or_else(|| PowerError::NotFound(mac.to_owned()))
}

/// All of them.
///
/// # Errors
/// [`PowerError::Record`].
pub(crate) async fn list(record: &Record) -> Result<Vec<PowerInfo>, PowerError> {
    let values = record.list::<PowerValue>(keys::POWER).await?;
    let machines = record.list::<MachineValue>(keys::MACHINES).await?;
    let machines: BTreeMap<_, _> = machines.into_iter().map(|m| (m.value.mac.clone(), m.value)).collect();
    let show = |v: PowerValue| {
        let machine = machines.get(&v.mac);
        info(v, machine)
    };
    Ok(values.into_iter().map(|v| show(v.value)).collect())
}

/// Sets how the machine of `mac` is switched, in place of the `expected` settings.
///
/// # Errors
/// [`PowerError`].
pub(crate) async fn set(
    member: &Member,
    mac: &str,
    set: &SetPower,
    expected: &Expected,
) -> Result<PowerInfo, PowerError> {
    let follows = member.seal.revision();
    let value = plan_value(&member.seal, mac, set)?;
    // Written only while the key that it is sealed with is the one in use.
    let follows = (!value.sealed.is_empty()).then_some(follows);
    let new = |_: Option<&PowerValue>| Ok(Some(value.clone()));
    let machine = change_expected(&member.record, mac, expected, follows, new).await?;
    Ok(info(value, machine.as_ref()))
}

/// Forgets how a machine is switched.
///
/// # Errors
/// [`PowerError`].
pub(crate) async fn forget(record: &Record, mac: &str) -> Result<(), PowerError> {
    change(
        record,
        mac,
        |old| if old.is_some() { Ok(None) } else { Err(PowerError::NotFound(mac.to_owned())) },
    )
    .await
}

/// Writes down which certificate the controller shows, unless one was written down meanwhile.
///
/// # Errors
/// [`PowerError`].
pub(crate) async fn pin(record: &Record, mac: &str, sha256: &str) -> Result<(), PowerError> {
    change(record, mac, |old| {
        let mut value = old.cloned().ok_or_else(|| PowerError::NotFound(mac.to_owned()))?;
        if !value.settings.certificate_sha256.is_empty() {
            return Err(PowerError::Contended);
        }
        sha256.clone_into(&mut value.settings.certificate_sha256);
        Ok(Some(value))
    })
    .await
}

/// Writes down what was done; of a machine that was forgotten meanwhile, nothing.
///
/// # Errors
/// [`PowerError`].
pub(crate) async fn note(record: &Record, mac: &str, last: LastAction) -> Result<(), PowerError> {
    change(record, mac, |old| Ok(old.map(|old| PowerValue { last: Some(last.clone()), ..old.clone() }))).await
}

/// Replaces the value by what `plan` makes of it; `None` is no value.
async fn change(
    record: &Record,
    mac: &str,
    plan: impl Fn(Option<&PowerValue>) -> Result<Option<PowerValue>, PowerError>,
) -> Result<(), PowerError> {
    change_expected(record, mac, &Expected::Whatever, None, plan).await.map(drop)
}

/// The same, of the `expected` value only; what is known of the machine.
async fn change_expected(
    record: &Record,
    mac: &str,
    expected: &Expected,
    follows: Option<i64>,
    plan: impl Fn(Option<&PowerValue>) -> Result<Option<PowerValue>, PowerError>,
) -> Result<Option<MachineValue>, PowerError> {
    super::settings::check_mac(mac)?;
    let keys = [&*under(keys::POWER, mac), &*under(keys::MACHINES, mac)];
    let plan = |old: Option<&Versioned<PowerValue>>| {
        expected.check(old.map_or(0, |old| old.revision))?;
        plan(old.map(|old| &old.value))
    };
    let bound = follows.map(|revision| (keys::SEAL, revision));
    record.replace(keys, bound, plan).await?.ok_or(PowerError::Contended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maekin_api::power::Method;

    #[test]
    fn a_password_opens_for_the_controller_it_was_given_for_only() {
        let dir = tempfile::tempdir().unwrap();
        crate::sealed::SealKey::ensure(dir.path()).unwrap();
        let (seal, none) = (Ring::load(dir.path()).unwrap(), Ring::default());
        let mac = "52:54:00:00:00:01";
        let settings = PowerSettings {
            address: "10.0.0.5".into(),
            user: "admin".into(),
            ..PowerSettings::new(Method::Redfish)
        };
        let set = SetPower { settings: settings.clone(), password: "hunter2".to_owned().into() };
        let value = plan_value(&seal, mac, &set).unwrap();
        assert!(!serde_json::to_string(&value).unwrap().contains("hunter2"), "the record has no password");
        assert!(matches!(plan_value(&none, mac, &set), Err(PowerError::NoSealKey)));
        assert!(matches!(open_with(&none, &value), Err(PowerError::NoSealKey)));
        let to = |settings: PowerSettings| PowerValue { settings, ..value.clone() };
        let rows = [
            ("as it was", value.clone(), true),
            (
                "its certificate is known now",
                to(PowerSettings { certificate_sha256: "a".repeat(64), ..settings.clone() }),
                true,
            ),
            ("another address", to(PowerSettings { address: "10.0.0.6".into(), ..settings.clone() }), false),
            ("another user", to(PowerSettings { user: "root".into(), ..settings.clone() }), false),
            ("in clear", to(PowerSettings { plain_http: true, ..settings.clone() }), false),
            ("another method", to(PowerSettings { method: Method::Ipmi, ..settings }), false),
            ("another machine", PowerValue { mac: "52:54:00:00:00:02".into(), ..value.clone() }, false),
            ("no password", PowerValue { sealed: String::new(), ..value.clone() }, false),
        ];
        for (name, value, opens) in rows {
            let opened = open_with(&seal, &value);
            assert_eq!(opened.is_ok(), opens, "{name}: {opened:?}");
            assert!(!format!("{opened:?}").contains("hunter2"), "{name}: debug output shows the password");
        }
    }
}
