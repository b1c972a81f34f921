//! What a drive says of its own health, as far as a plan depends on it.

use maekin_host::smart::Smart;

use super::Health;

/// Takes from a drive's own word what is of use here; `None` where it does not say whether it is well.
#[must_use]
pub fn of(smart: &Smart) -> Option<Health> {
    let (worn, hours) = (smart.wear, smart.hours);
    smart.passed.map(|passed| Health { passed, complaints: smart.complaints(), worn, hours })
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
    use maekin_host::smart::parse_smartctl;

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
            let health = parse_smartctl(json).and_then(|smart| of(&smart));
            assert_eq!(health.map(|health| health.words()).as_deref(), want, "{name}");
        }
    }
}
