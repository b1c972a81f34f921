//! What a drive says of its own health, from the JSON of smartctl(8). What it says is a stranger's word: numbers out of
//! range and missing parts are nothing, never a panic.

use serde::Deserialize;
use serde_json::Value;

use super::Health;

/// Words of a complaint are short; a drive's own text is not shown.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Output {
    smart_status: Option<Status>,
    power_on_time: Option<PowerOn>,
    nvme_smart_health_information_log: Option<Nvme>,
    ata_smart_attributes: Option<Attributes>,
    scsi_grown_defect_list: Option<u64>,
}

#[derive(Deserialize)]
struct Status {
    passed: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PowerOn {
    hours: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Nvme {
    critical_warning: u64,
    percentage_used: Option<u64>,
    media_errors: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attributes {
    table: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    id: u64,
    #[serde(default)]
    raw: Value,
}

/// Parses what smartctl printed; `None` where the drive does not say whether it is well.
#[must_use]
pub fn parse(json: &str) -> Option<Health> {
    let output: Output = serde_json::from_str(json).ok()?;
    let passed = output.smart_status?.passed;
    let mut complaints = Vec::new();
    if !passed {
        complaints.push("it says that it is failing".to_owned());
    }
    let nvme = output.nvme_smart_health_information_log.unwrap_or_default();
    complaints.extend(nvme_warnings(nvme.critical_warning).iter().map(|text| (*text).to_owned()));
    let mut count = |number: u64, what: &str| {
        if number > 0 {
            complaints.push(format!("{number} {what}"));
        }
    };
    count(nvme.media_errors, "errors of its medium");
    count(output.scsi_grown_defect_list.unwrap_or(0), "defects grown");
    for attribute in output.ata_smart_attributes.unwrap_or_default().table {
        // The upper bytes of a raw value are each maker's own.
        let raw = attribute.raw.get("value").and_then(Value::as_u64).unwrap_or(0) & 0xffff_ffff;
        match attribute.id {
            5 => count(raw, "sectors replaced"),
            197 => count(raw, "sectors that cannot be read for now"),
            198 => count(raw, "sectors that cannot be read"),
            _ => {}
        }
    }
    let hours = output.power_on_time.and_then(|time| time.hours);
    let worn = nvme.percentage_used.map(|percent| u8::try_from(percent).unwrap_or(u8::MAX));
    Some(Health { passed, complaints, worn, hours })
}

/// Bits of the critical warning (NVM Express Base Specification, SMART / Health Information log page).
fn nvme_warnings(bits: u64) -> Vec<&'static str> {
    let words = [
        "its spare room is used up",
        "it is too hot or too cold",
        "it is degraded by errors",
        "it takes no more writes",
        "its backup for power cuts has failed",
    ];
    (0..).zip(words).filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, text)| text).collect()
}

impl Health {
    /// `well`, or what it complains about.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = self.complaints.clone();
        if parts.is_empty() {
            parts.push("well".to_owned());
        }
        parts.extend(self.worn.map(|percent| format!("{percent}% worn")));
        parts.extend(self.hours.map(|hours| format!("{hours} hours run")));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_of_every_kind_are_understood() {
        let rows = [
            (
                "NVMe, well",
                r#"{"smart_status":{"passed":true,"nvme":{"value":0}},"power_on_time":{"hours":12},
                "nvme_smart_health_information_log":{"critical_warning":0,"percentage_used":3,"media_errors":0}}"#,
                Some("well, 3% worn, 12 hours run"),
            ),
            (
                "NVMe, read-only",
                r#"{"smart_status":{"passed":false},
                "nvme_smart_health_information_log":{"critical_warning":9,"percentage_used":300,"media_errors":2}}"#,
                Some(
                    "it says that it is failing, its spare room is used up, it takes no more writes, \
                    2 errors of its medium, 255% worn",
                ),
            ),
            (
                "SATA with replaced sectors",
                r#"{"smart_status":{"passed":true},"ata_smart_attributes":{"table":[
                {"id":5,"name":"Reallocated_Sector_Ct","raw":{"value":8,"string":"8"}},
                {"id":9,"raw":{"value":77}},{"id":197,"raw":{"value":4294967296}}]}}"#,
                Some("8 sectors replaced"),
            ),
            (
                "SAS",
                r#"{"smart_status":{"passed":true},"scsi_grown_defect_list":7}"#,
                Some("7 defects grown"),
            ),
            ("a stick that does not say", r#"{"smartctl":{"exit_status":1}}"#, None),
            ("no JSON", "smartctl: command not found", None),
            ("nothing", "", None),
            ("of other types", r#"{"smart_status":{"passed":"yes"}}"#, None),
            (
                "a raw value that is none",
                r#"{"smart_status":{"passed":true},"ata_smart_attributes":{"table":[{"id":5}]}}"#,
                Some("well"),
            ),
        ];
        for (name, json, want) in rows {
            assert_eq!(parse(json).map(|health| health.words()).as_deref(), want, "{name}");
        }
    }
}
