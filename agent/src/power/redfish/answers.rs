//! What a controller's answers mean, and what to ask for. Pure; every field may be missing or of another kind.

use maekin_api::power::{Firmware, Power};
use serde_json::{Value, json};

use super::super::drive::Switch;
use super::super::errors::told;

/// Which of the members of the collection of systems is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// This path.
    This(String),
    /// The one that has the machine's UUID.
    ByUuid,
    /// None of them; what is missing.
    None(String),
}

/// Chooses by the name in the settings (empty: none), which may be an `Id` or a whole path.
pub(super) fn choose_member(members: &[String], wanted: &str) -> Chosen {
    let id = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    if !wanted.is_empty() {
        let found = members.iter().find(|m| id(m) == wanted || m.trim_end_matches('/') == wanted);
        return found
            .map_or_else(|| Chosen::None(format!("no system {wanted}")), |m| Chosen::This(m.clone()));
    }
    match members {
        [] => Chosen::None("no system at all".to_owned()),
        [only] => Chosen::This(only.clone()),
        _ => Chosen::ByUuid,
    }
}

/// `PowerState` of a system, DSP0268.
pub(super) fn power_of(system: &Value) -> Power {
    match system["PowerState"].as_str() {
        Some("On" | "PoweringOn") => Power::On,
        Some("Off") => Power::Off,
        _ => Power::Unknown,
    }
}

/// What to set so that the machine boots from the network once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BootPatch {
    /// Body of the `PATCH`.
    pub(super) body: Value,
    /// The same without the kind of start, where that is in it.
    pub(super) without_mode: Option<Value>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// The values that a controller allows for a property; `None` where it does not say.
fn allowed<'a>(of: &'a Value, property: &str) -> Option<Vec<&'a str>> {
    let list = of[format!("{property}@Redfish.AllowableValues")].as_array()?;
    Some(list.iter().filter_map(Value::as_str).collect())
}

fn list(values: &[&str]) -> String {
    told(&values.join(", "), &[])
}

/// Plans the override.
///
/// # Errors
/// Why it cannot be set, in words.
pub(super) fn plan_boot(system: &Value, firmware: Option<Firmware>) -> Result<BootPatch, String> {
    let boot = &system["Boot"];
    if let Some(targets) = allowed(boot, "BootSourceOverrideTarget")
        && !targets.contains(&"Pxe")
    {
        return Err(format!("it does not offer the network as boot device (it offers {})", list(&targets)));
    }
    let mut notes = Vec::new();
    let enabled = match allowed(boot, "BootSourceOverrideEnabled") {
        Some(values) if !values.contains(&"Once") && values.contains(&"Continuous") => {
            notes.push("the controller keeps the network as boot device for ever".to_owned());
            "Continuous"
        }
        _ => "Once",
    };
    let plain = json!({ "BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": "Pxe" });
    let mode = firmware.map(mode_of);
    let has_mode = mode.is_some_and(|mode| boot["BootSourceOverrideMode"].as_str() == Some(mode));
    let body = |boot: &Value| json!({ "Boot": boot });
    Ok(match mode.filter(|_| !has_mode) {
        None => BootPatch { body: body(&plain), without_mode: None, notes },
        Some(mode) => {
            let mut with = plain.clone();
            with["BootSourceOverrideMode"] = mode.into();
            BootPatch { body: body(&with), without_mode: Some(body(&plain)), notes }
        }
    })
}

fn mode_of(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Uefi => "UEFI",
        Firmware::Bios => "Legacy",
    }
}

/// Holds what was read back against what was set; notes are what is doubtful.
///
/// # Errors
/// What is there instead, in words.
pub(super) fn check_boot(system: &Value, firmware: Option<Firmware>) -> Result<Vec<String>, String> {
    let text = |property: &str| system["Boot"][property].as_str().unwrap_or("not told");
    let (enabled, target) = (text("BootSourceOverrideEnabled"), text("BootSourceOverrideTarget"));
    if target != "Pxe" || !matches!(enabled, "Once" | "Continuous") {
        return Err(told(&format!("its boot override reads {target}, {enabled}"), &[]));
    }
    let mode = text("BootSourceOverrideMode");
    let other = firmware.map(mode_of).filter(|wanted| *wanted != mode);
    Ok(other
        .map(|wanted| told(&format!("the kind of start is {mode}, not {wanted}"), &[]))
        .into_iter()
        .collect())
}

/// The reset type to ask for, of those that the action or its `ActionInfo` allows.
///
/// # Errors
/// That none fits, in words.
pub(super) fn choose_reset(to: Switch, reset: &Value, info: &Value) -> Result<&'static str, String> {
    let wishes: &[&'static str] = match to {
        Switch::On => &["On", "ForceOn", "PushPowerButton"],
        Switch::Off => &["ForceOff"],
        Switch::Restart => &["ForceRestart", "PowerCycle", "FullPowerCycle"],
    };
    let inline = allowed(reset, "ResetType");
    let of_info = || {
        let parameters = info["Parameters"].as_array()?;
        let parameter = parameters.iter().find(|p| p["Name"] == "ResetType")?;
        Some(parameter["AllowableValues"].as_array()?.iter().filter_map(Value::as_str).collect())
    };
    let Some(values) = inline.or_else(of_info) else { return Ok(wishes[0]) };
    let found = wishes.iter().find(|wish| values.contains(wish)).copied();
    found.ok_or_else(|| format!("it offers none of {} (it offers {})", wishes.join(", "), list(&values)))
}

/// The words of an error (DSP0266 section 8.6), as far as there are any.
pub(super) fn message(body: &Value) -> String {
    let extended =
        [&body["error"]["@Message.ExtendedInfo"], &body["@Message.ExtendedInfo"], &body["Messages"]];
    let of_list =
        extended.iter().filter_map(|list| list.as_array()).flatten().filter_map(|m| m["Message"].as_str());
    let mut words: Vec<&str> = of_list.take(3).collect();
    if words.is_empty() {
        words.extend(body["error"]["message"].as_str());
    }
    words.join(" ")
}
