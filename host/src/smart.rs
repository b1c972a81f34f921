//! What a drive says of its own health: the JSON of smartctl(8), for ATA, SCSI and NVMe alike. What it says is a
//! stranger's word: every number is taken by itself, and one that is missing, of another type or out of range is nothing.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cmd::{Cmd, CmdError};

/// Most bytes of an answer that are looked at: a drive with hundreds of logged errors has some ten thousand.
const MOST: usize = 1 << 20;
/// Most rows of a table that are looked at.
const ROWS: usize = 256;
/// How long a drive may think about it.
const LIMIT: Duration = Duration::from_secs(20);

/// What a drive says. Absent: it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Smart {
    /// Whether it expects to go on working.
    pub passed: Option<bool>,
    /// Of an NVMe drive: its critical warning (NVM Express Base Specification, SMART / Health Information log page).
    pub warnings: u8,
    /// Percent of its life used up; may be more than 100.
    pub wear: Option<u8>,
    /// Degrees Celsius.
    pub temperature: Option<i16>,
    /// Hours it has run.
    pub hours: Option<u64>,
    /// Errors of its medium: blocks that it could not read or write.
    pub media_errors: Option<u64>,
    /// Sectors that it replaced (ATA attribute 5).
    pub replaced: Option<u64>,
    /// Sectors that it cannot read for now (197).
    pub pending: Option<u64>,
    /// Sectors that it cannot read (198).
    pub lost: Option<u64>,
    /// Defects that grew since it was made (SCSI).
    pub grown: Option<u64>,
}

/// Bits of [`Smart::warnings`], in words.
const WARNINGS: [&str; 5] = [
    "its spare room is used up",
    "it is too hot or too cold",
    "it is degraded by errors",
    "it takes no more writes",
    "its backup for power cuts has failed",
];

/// Where a drive says which part of its life is used up, as a percentage.
const LIFE_USED: [&str; 3] = [
    "/nvme_smart_health_information_log/percentage_used",
    "/endurance_used/current_percent",
    "/scsi_percentage_used_endurance_indicator",
];

/// Names of ATA attributes whose normalised value is the percentage of life left. Their numbers mean other things with
/// other makers; the names are smartctl's own.
const LIFE_LEFT: [&str; 5] = [
    "Wear_Leveling_Count",
    "Media_Wearout_Indicator",
    "SSD_Life_Left",
    "Percent_Lifetime_Remain",
    "Remaining_Lifetime_Perc",
];

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Health and attributes.
    Brief,
    /// All, and nothing at all of a drive that sleeps: a question would wake it.
    AllButSleeping,
}

/// Asks a drive; `None` where it says nothing that is understood. smartctl's exit status tells of the drive's past errors
/// too, so that it is no word on the answer.
///
/// # Errors
/// [`CmdError`], where smartctl cannot be run or does not end in time.
pub fn ask(device: &Path, what: Ask) -> Result<Option<Smart>, CmdError> {
    let options: &[&str] = match what {
        Ask::Brief => &["--json=c", "--info", "--health", "--attributes"],
        Ask::AllButSleeping => &["--json=c", "--all", "--nocheck=standby"],
    };
    let cmd = Cmd::new("smartctl").args(options).arg(device).limit(LIMIT).any_status().most(MOST);
    Ok(parse_smartctl(&cmd.text()?))
}

/// Parses what smartctl printed; `None` where it says nothing of the drive.
#[must_use]
pub fn parse_smartctl(json: &str) -> Option<Smart> {
    if json.len() > MOST {
        return None;
    }
    let all: Value = serde_json::from_str(json).ok()?;
    let number = |at: &str| all.pointer(at).and_then(Value::as_u64);
    let mut smart = Smart {
        passed: all.pointer("/smart_status/passed").and_then(Value::as_bool),
        warnings: number("/nvme_smart_health_information_log/critical_warning").map_or(0, low_byte),
        wear: LIFE_USED.into_iter().find_map(number).map(percent),
        temperature: all
            .pointer("/temperature/current")
            .and_then(Value::as_i64)
            .filter(|degrees| (-100..=300).contains(degrees))
            .and_then(|degrees| i16::try_from(degrees).ok()),
        hours: number("/power_on_time/hours"),
        media_errors: number("/nvme_smart_health_information_log/media_errors").or_else(|| scsi_errors(&all)),
        grown: number("/scsi_grown_defect_list"),
        ..Smart::default()
    };
    let table = all.pointer("/ata_smart_attributes/table").and_then(Value::as_array);
    for row in table.into_iter().flatten().take(ROWS) {
        attribute(&mut smart, row);
    }
    (smart != Smart::default()).then_some(smart)
}

/// Takes in one attribute of an ATA drive.
fn attribute(smart: &mut Smart, row: &Value) {
    // The upper bytes of a raw value are each maker's own.
    let raw = row.pointer("/raw/value").and_then(Value::as_u64).map(|raw| raw & 0xffff_ffff);
    match row.get("id").and_then(Value::as_u64) {
        Some(5) => smart.replaced = raw,
        Some(187) => smart.media_errors = smart.media_errors.or(raw),
        Some(197) => smart.pending = raw,
        Some(198) => smart.lost = raw,
        _ => {}
    }
    let name = row.get("name").and_then(Value::as_str).unwrap_or_default();
    let left = row.get("value").and_then(Value::as_u64).filter(|left| *left <= 100);
    if smart.wear.is_none() && LIFE_LEFT.contains(&name) {
        smart.wear = left.map(|left| percent(100 - left));
    }
}

/// Errors that a SCSI drive could not correct, of all kinds together.
fn scsi_errors(all: &Value) -> Option<u64> {
    let kinds = ["read", "write", "verify"];
    let of = |kind: &str| {
        let at = format!("/scsi_error_counter_log/{kind}/total_uncorrected_errors");
        all.pointer(&at).and_then(Value::as_u64)
    };
    kinds.into_iter().filter_map(of).reduce(u64::saturating_add)
}

fn percent(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

fn low_byte(number: u64) -> u8 {
    u8::try_from(number & 0xff).unwrap_or(u8::MAX)
}

impl Smart {
    /// What the drive complains about, in words; may be there though it passed.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.passed == Some(false) {
            all.push("it says that it is failing".to_owned());
        }
        let on = (0..).zip(WARNINGS).filter(|(bit, _)| self.warnings & (1 << bit) != 0);
        all.extend(on.map(|(_, text)| text.to_owned()));
        let counts = [
            (self.media_errors, "errors of its medium"),
            (self.grown, "defects grown"),
            (self.replaced, "sectors replaced"),
            (self.pending, "sectors that cannot be read for now"),
            (self.lost, "sectors that cannot be read"),
        ];
        let more = counts.into_iter().filter_map(|(count, what)| Some((count.filter(|n| *n > 0)?, what)));
        all.extend(more.map(|(count, what)| format!("{count} {what}")));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn drives_of_every_kind_say_how_they_are() {
        let rows = [
            (
                "NVMe",
                r#"{"smart_status":{"passed":true,"nvme":{"value":0}},"power_on_time":{"hours":12},
                "temperature":{"current":41},
                "nvme_smart_health_information_log":{"critical_warning":4,"percentage_used":3,"media_errors":2}}"#,
                Smart {
                    passed: Some(true),
                    warnings: 4,
                    wear: Some(3),
                    temperature: Some(41),
                    hours: Some(12),
                    media_errors: Some(2),
                    ..Smart::default()
                },
            ),
            (
                "SATA SSD, worn",
                r#"{"smart_status":{"passed":true},"ata_smart_attributes":{"table":[
                {"id":5,"name":"Reallocated_Sector_Ct","value":100,"raw":{"value":8}},
                {"id":187,"name":"Reported_Uncorrect","value":100,"raw":{"value":1}},
                {"id":177,"name":"Wear_Leveling_Count","value":12,"raw":{"value":900}}]}}"#,
                Smart {
                    passed: Some(true),
                    wear: Some(88),
                    media_errors: Some(1),
                    replaced: Some(8),
                    ..Smart::default()
                },
            ),
            (
                "SAS",
                r#"{"smart_status":{"passed":true},"scsi_grown_defect_list":7,"scsi_error_counter_log":{
                "read":{"total_uncorrected_errors":3},"write":{"total_uncorrected_errors":1}}}"#,
                Smart { passed: Some(true), grown: Some(7), media_errors: Some(4), ..Smart::default() },
            ),
            (
                "numbers of other types are nothing",
                r#"{"smart_status":{"passed":"yes"},"temperature":{"current":9000},"power_on_time":{"hours":-1},
                "nvme_smart_health_information_log":{"percentage_used":70000}}"#,
                Smart { wear: Some(255), ..Smart::default() },
            ),
        ];
        for (name, json, want) in rows {
            assert_eq!(parse_smartctl(json), Some(want), "{name}");
        }
        for (name, json) in [
            ("one that sleeps, or does not say", r#"{"smartctl":{"exit_status":2}}"#),
            ("no JSON", "smartctl: command not found"),
            ("nothing", ""),
            ("a list", "[]"),
            ("attributes that are none", r#"{"ata_smart_attributes":{"table":[1,null,{"id":5}]}}"#),
        ] {
            assert_eq!(parse_smartctl(json), None, "{name}");
        }
    }

    #[test]
    fn drives_complain_in_words() {
        let smart = Smart {
            passed: Some(false),
            warnings: 0b1001,
            media_errors: Some(2),
            lost: Some(0),
            ..Smart::default()
        };
        let want = [
            "it says that it is failing",
            "its spare room is used up",
            "it takes no more writes",
            "2 errors of its medium",
        ];
        assert_eq!(smart.complaints(), want);
        assert!(Smart { passed: Some(true), replaced: Some(0), ..Smart::default() }.complaints().is_empty());
    }

    /// Any JSON of a few levels, with the names that are looked for.
    fn hostile() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        let names = prop_oneof![
            Just("smart_status"),
            Just("passed"),
            Just("temperature"),
            Just("current"),
            Just("ata_smart_attributes"),
            Just("table"),
            Just("raw"),
            Just("value"),
            Just("id"),
            Just("scsi_error_counter_log"),
            Just("nvme_smart_health_information_log"),
        ];
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..6).prop_map(|pairs| {
                    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn drives_whatever_one_says_is_taken_or_left(json in hostile()) {
            if let Some(smart) = parse_smartctl(&json.to_string()) {
                prop_assert!(smart.temperature.is_none_or(|degrees| (-100..=300).contains(&degrees)));
                prop_assert!(smart.complaints().len() <= 1 + WARNINGS.len() + 5);
            }
        }

        #[test]
        fn drives_any_text_is_taken_or_left(text in any::<String>()) {
            let _ = parse_smartctl(&text);
        }
    }
}
