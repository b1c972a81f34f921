//! `boot` and `heal`: the boot drives, for people.

use maekin_api as api;
use maekin_api::boot_drives::{BootDrives, Drive, Entries, Esp, HalfState, Heal, StartHeal, Tables};

use super::{block_on, own};
use crate::settings::Settings;

/// `boot`.
pub(crate) fn show(settings: &Settings, json: bool) -> anyhow::Result<()> {
    let boot: BootDrives = block_on(own(settings).get(api::NODE_BOOT))?;
    if json {
        println!("{}", serde_json::to_string_pretty(&boot)?);
    } else {
        print!("{}", text(&boot));
    }
    Ok(())
}

/// `heal`: says yes to what the node offers.
pub(crate) fn heal(settings: &Settings, disk: Option<String>, consent: Option<String>) -> anyhow::Result<()> {
    let target = own(settings);
    let boot: BootDrives = block_on(target.get(api::NODE_BOOT))?;
    let start = match (&boot.heal, disk) {
        (_, Some(disk)) => StartHeal { disk: Some(disk), consent },
        (Heal::Asks { disk, reason, token, action }, None) => {
            println!("{action} with {disk}: {reason}");
            if !token.is_empty() && consent.as_deref() != Some(token) {
                anyhow::bail!(
                    "what is on {disk} would be lost; if it may, say `maekin-agent heal --consent {token}`"
                );
            }
            StartHeal { disk: Some(disk.clone()), consent }
        }
        (_, None) => StartHeal { disk: None, consent },
    };
    block_on(target.post::<()>(api::NODE_BOOT_HEAL, &start))?;
    println!("begun; `maekin-agent boot` shows how it goes");
    Ok(())
}

fn text(boot: &BootDrives) -> String {
    let mut lines = vec![format!("state     {}", word(&boot.state))];
    lines.extend(boot.alarms.iter().map(|a| format!("alarm     {} {}", a.what, a.remedy)));
    lines.extend(boot.drives.iter().map(drive));
    let from = boot.started_from.map_or("not told".to_owned(), |n| format!("drive {n}"));
    lines.push(format!("started   from {from}"));
    let entries = match boot.entries {
        Entries::Unknown => "not looked at yet",
        Entries::None => "none: BIOS",
        Entries::Kept => "kept by the firmware",
        Entries::NotKept => "not kept by the firmware; the drives boot by their fallback loader",
    };
    lines.push(format!("entries   {entries}"));
    lines.push(format!("healing   {}", heal_text(&boot.heal)));
    let last = boot.comparison.last.map_or("never yet".to_owned(), |at| format!("at {at}"));
    let running = if boot.comparison.running { ", running now" } else { "" };
    lines.push(format!("compared  {last}{running}"));
    lines.push(format!(
        "policy    heal {}, boot trial {}",
        word(&boot.settings.heal),
        word(&boot.settings.boot_trial)
    ));
    lines.join("\n") + "\n"
}

fn drive(drive: &Drive) -> String {
    let device = drive.device.as_deref().unwrap_or("GONE");
    let out: Vec<&str> =
        drive.halves.iter().filter(|h| h.state != HalfState::InSync).map(|h| h.array.as_str()).collect();
    let halves =
        if out.is_empty() { "up to date".to_owned() } else { format!("NOT UP TO DATE: {}", out.join(" ")) };
    let esp = match &drive.esp {
        Esp::Unknown => "boot files not looked at".to_owned(),
        Esp::Whole { verified } => format!("boot files whole at {verified}"),
        Esp::Damaged { reason, .. } => format!("boot files DAMAGED: {reason}"),
    };
    let tables = match &drive.tables {
        Tables::Unknown => String::new(),
        Tables::Whole => ", tables whole".to_owned(),
        Tables::Damaged { reason } => format!(", tables DAMAGED: {reason}"),
    };
    let proved = drive.proved.as_ref().map_or("not proved".to_owned(), |p| format!("proved at {}", p.at));
    format!("drive {}   {device}  {}  {halves}, {esp}{tables}, {proved}", drive.number, drive.serial)
}

fn heal_text(heal: &Heal) -> String {
    match heal {
        Heal::Idle => "nothing to do".to_owned(),
        Heal::Asks { action, disk, reason, .. } => format!("ASKS: {action} with {disk}: {reason}"),
        Heal::Stuck { reason, remedy } => format!("STUCK: {reason}; {remedy}"),
        Heal::Running { step, percent, .. } => format!("{percent} % {step}"),
        Heal::Done { action, .. } => format!("done: {action}"),
        Heal::Failed { reason, .. } => format!("FAILED, to be tried again: {reason}"),
    }
}

/// How a word of the API is written.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
