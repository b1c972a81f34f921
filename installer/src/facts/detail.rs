//! What a superblock says of itself beyond its kind: names, identifiers, when it was last used. Plain data.

use serde::{Deserialize, Serialize};

/// Longest name that is shown.
const NAME: usize = 64;

/// One superblock that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Detail {
    /// GUID partition table.
    Gpt {
        /// The table at the start is whole.
        primary: bool,
        /// The table at the end is whole.
        backup: bool,
    },
    /// Member of a Linux RAID array.
    Md {
        /// The array's name, `host:name` where its maker gave it a host.
        name: String,
        /// Its UUID, as mdadm(8) writes it but with `-`.
        uuid: String,
        /// `raid1`, `raid5`, `linear`, ...
        level: String,
        /// Of how many devices it is made.
        devices: u32,
        /// When it was last written to, seconds since 1970.
        used: Option<u64>,
    },
    /// LVM physical volume.
    Lvm {
        /// Its volume group; empty when it is in none.
        group: String,
        /// Logical volumes of the group, by name.
        volumes: Vec<String>,
        /// Ceph OSDs on the group's volumes.
        osds: Vec<Osd>,
    },
    /// LUKS container.
    Luks {
        /// 1 or 2.
        version: u16,
        /// Its label; empty where there is none.
        label: String,
        /// Its UUID.
        uuid: String,
    },
    /// Member of a ZFS pool.
    Zfs {
        /// The pool's name.
        pool: String,
        /// The host that used it last.
        host: String,
        /// When it was last written to, seconds since 1970.
        used: Option<u64>,
    },
    /// Btrfs file system, or a member of one.
    Btrfs {
        /// Its label.
        label: String,
        /// Its UUID.
        uuid: String,
        /// Of how many devices it is made.
        devices: u64,
    },
    /// Ceph OSD, without LVM around it.
    Osd(Osd),
    /// File system.
    FileSystem {
        /// `ext4`, `xfs`.
        fstype: String,
        /// Its label.
        label: String,
        /// Where it was last mounted; empty where it does not say.
        mounted_on: String,
        /// When it was last used, seconds since 1970.
        used: Option<u64>,
    },
}

/// A Ceph OSD's device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Osd {
    /// The OSD's number in its cluster, where the device says it.
    pub id: Option<u32>,
    /// The OSD's own UUID.
    pub uuid: String,
    /// The cluster's `fsid`; empty where the device does not say it.
    pub cluster: String,
    /// `block`: its data; `db`, `wal`: what it cannot be started without.
    pub part: String,
}

impl Osd {
    /// `Ceph OSD 7 of cluster 0c0f...`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = "Ceph OSD".to_owned();
        match self.id {
            Some(id) => text += &format!(" {id}"),
            None if !self.uuid.is_empty() => text += &format!(" {}", printable(&self.uuid, NAME)),
            None => {}
        }
        if !self.cluster.is_empty() {
            text += &format!(" of cluster {}", printable(&self.cluster, NAME));
        }
        if ["db", "wal"].contains(&self.part.as_str()) {
            text += &format!(" (its {} device)", self.part);
        }
        text
    }
}

impl Detail {
    /// The Ceph OSDs that keep data in it.
    #[must_use]
    pub fn osds(&self) -> &[Osd] {
        match self {
            Self::Osd(osd) => std::slice::from_ref(osd),
            Self::Lvm { osds, .. } => osds,
            _ => &[],
        }
    }

    /// Whether it tells all that a signature of this type (as blkid(8) calls it) tells.
    #[must_use]
    pub fn explains(&self, signature: &str) -> bool {
        match self {
            Self::Gpt { .. } => signature == "gpt",
            Self::Md { .. } => signature == "linux_raid_member",
            Self::Lvm { .. } => signature == "LVM2_member",
            Self::Luks { .. } => signature == "crypto_LUKS",
            Self::Zfs { .. } => signature == "zfs_member",
            Self::Btrfs { .. } => signature == "btrfs",
            Self::Osd(_) => signature == "ceph_bluestore",
            Self::FileSystem { fstype, .. } => signature == fstype,
        }
    }

    /// What a person is told, one thing a line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let named = |what: &str, name: &str| match name {
            "" => what.to_owned(),
            name => format!("{what} \"{}\"", printable(name, NAME)),
        };
        let text = match self {
            Self::Gpt { primary: true, backup: true } => "GPT partition table".to_owned(),
            Self::Gpt { primary: true, .. } => "GPT partition table without its backup".to_owned(),
            Self::Gpt { .. } => "backup of a GPT partition table alone, at the end".to_owned(),
            Self::Md { name, level, devices, uuid, used } => {
                let name = if name.is_empty() { uuid } else { name };
                let text = named("member of the Linux RAID array", name);
                format!("{text} ({} of {devices}{})", printable(level, NAME), last_used(*used))
            }
            Self::Lvm { group, volumes, osds } => {
                let mut words: Vec<String> = osds.iter().map(Osd::words).collect();
                if group.is_empty() {
                    words.push("LVM physical volume of no group".to_owned());
                } else if osds.is_empty() {
                    let names: Vec<String> = volumes.iter().map(|v| printable(v, NAME)).collect();
                    let inside = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                    words.push(format!("{} with {inside}", named("LVM volume group", group)));
                }
                return words;
            }
            Self::Luks { version, label, .. } => named(&format!("LUKS{version} encrypted volume"), label),
            Self::Zfs { pool, host, used } => {
                let host =
                    if host.is_empty() { String::new() } else { format!(" of {}", printable(host, NAME)) };
                format!("{}{host}{}", named("member of the ZFS pool", pool), last_used(*used))
            }
            Self::Btrfs { label, devices, .. } => {
                let text = named("btrfs file system", label);
                if *devices > 1 { format!("{text} on {devices} devices, of which this is one") } else { text }
            }
            Self::Osd(osd) => osd.words(),
            Self::FileSystem { fstype, label, mounted_on, used } => {
                let text = named(&format!("{} file system", printable(fstype, NAME)), label);
                let on = if mounted_on.is_empty() {
                    String::new()
                } else {
                    format!(", mounted on {}", printable(mounted_on, NAME))
                };
                format!("{text}{on}{}", last_used(*used))
            }
        };
        vec![text]
    }
}

fn last_used(used: Option<u64>) -> String {
    used.map(|at| format!(", last used on {}", date(at))).unwrap_or_default()
}

/// The day of a time in seconds since 1970, UTC: `2026-11-20` (days to civil date, proleptic Gregorian calendar).
#[must_use]
pub fn date(seconds: u64) -> String {
    // Eras of 400 years begin on 1 March of year 0, which is 719468 days before 1970.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Names come from the disk: whoever wrote them must not reach the terminal's control codes.
#[must_use]
pub fn printable(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_as_dates() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_078_012_800, "2004-02-29"),
            (1_795_132_800, "2026-11-20"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), day);
        }
    }

    #[test]
    fn superblocks_are_told_in_words() {
        let osd =
            |part: &str| Osd { id: Some(7), uuid: "u".into(), cluster: "0c0f".into(), part: part.into() };
        let lvm = |group: &str, volumes: &[&str], osds| Detail::Lvm {
            group: group.into(),
            volumes: volumes.iter().map(|v| (*v).to_owned()).collect(),
            osds,
        };
        let rows = [
            (
                Detail::Gpt { primary: false, backup: true },
                "backup of a GPT partition table alone, at the end",
            ),
            (
                Detail::Md {
                    name: "old:0".into(),
                    uuid: "x".into(),
                    level: "raid5".into(),
                    devices: 3,
                    used: Some(0),
                },
                "member of the Linux RAID array \"old:0\" (raid5 of 3, last used on 1970-01-01)",
            ),
            (lvm("vg", &["a", "b"], vec![]), "LVM volume group \"vg\" with a, b"),
            (lvm("ceph-x", &["osd-block"], vec![osd("block")]), "Ceph OSD 7 of cluster 0c0f"),
            (Detail::Osd(osd("db")), "Ceph OSD 7 of cluster 0c0f (its db device)"),
            (
                Detail::FileSystem {
                    fstype: "ext4".into(),
                    label: "a\x1b".into(),
                    mounted_on: "/srv".into(),
                    used: None,
                },
                "ext4 file system \"a?\", mounted on /srv",
            ),
        ];
        for (detail, words) in rows {
            assert_eq!(detail.words().join("; "), words);
        }
    }
}
