//! How a drive is attached: one that is attached to this machine alone may be taken where it is blank; one that other
//! machines may reach, too, as a LUN of a storage network, is somebody's business to say. What the cluster's record says of
//! drives is no help there: the other machine may be of another cluster.

use std::fs;
use std::path::Path;

use super::identity::told;

/// By which SCSI hosts virtual machines have their disks. lsblk has no word for these.
const VIRTUAL: [&str; 3] = ["virtio_scsi", "vmw_pvscsi", "storvsc_host"];
/// Most controllers of an NVMe drive that are asked.
const CONTROLLERS: usize = 64;

/// How.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Attached {
    /// To this machine, and no other.
    Direct,
    /// By a network, in words.
    Network(String),
    /// It is not known, in what words there are.
    Unknown(String),
    /// It was not asked.
    #[default]
    Unasked,
}

impl Attached {
    /// Why somebody else may reach the drive, too; `None`: nobody does.
    pub(crate) fn doubt(&self) -> Option<String> {
        match self {
            Self::Direct => None,
            Self::Network(by) => Some(format!("it is attached by {by}: other machines may reach it")),
            Self::Unknown(by) if !by.is_empty() => {
                Some(format!("it is attached by {by}: whether other machines reach it is not known"))
            }
            Self::Unknown(_) | Self::Unasked => {
                Some("how it is attached is not known: other machines may reach it".to_owned())
            }
        }
    }
}

/// Of the drive with this kernel name; `transport` is lsblk's word for it, `sys` is like `/sys`.
pub(crate) fn attached(sys: &Path, name: &str, transport: &str) -> Attached {
    match transport {
        "sata" | "ata" | "sas" | "virtio" => Attached::Direct,
        "nvme" => nvme(sys, name),
        "fc" => Attached::Network("Fibre Channel".to_owned()),
        "fcoe" => Attached::Network("Fibre Channel over Ethernet".to_owned()),
        "iscsi" => Attached::Network("iSCSI".to_owned()),
        "sbp" => Attached::Network("FireWire".to_owned()),
        "" if name.starts_with("xvd") => Attached::Direct, // a disk that Xen gives to a virtual machine
        "" => match scsi_host(sys, name) {
            Some(host) if VIRTUAL.contains(&host.as_str()) => Attached::Direct,
            host => Attached::Unknown(host.unwrap_or_default()),
        },
        other => Attached::Unknown(told(other)),
    }
}

/// By what the controllers of an NVMe drive are attached: it may have several, and each counts.
fn nvme(sys: &Path, name: &str) -> Attached {
    let device = sys.join("block").join(name).join("device");
    let word = |dir: &Path| fs::read_to_string(dir.join("transport")).ok().map(|text| told(&text));
    let below = || {
        let entries = fs::read_dir(&device).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("nvme"));
        names.filter_map(|entry| word(&entry.path())).take(CONTROLLERS).collect::<Vec<_>>()
    };
    // The drive is below its controller, or, where it may have several, below what has the controllers.
    let words = word(&device).map_or_else(below, |word| vec![word]);
    match words.iter().find(|word| *word != "pcie") {
        Some(other) => Attached::Network(format!("NVMe over {other}")),
        None if words.is_empty() => Attached::Unknown("NVMe".to_owned()),
        None => Attached::Direct,
    }
}

/// The driver of the SCSI host that has a drive.
fn scsi_host(sys: &Path, name: &str) -> Option<String> {
    let device = fs::canonicalize(sys.join("block").join(name).join("device")).ok()?;
    let mut parts = device.iter().map(|part| part.to_string_lossy());
    let number = |part: &str| {
        part.strip_prefix("host").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let host = parts.rfind(|part| number(part))?;
    let text = fs::read_to_string(sys.join("class/scsi_host").join(&*host).join("proc_name")).ok()?;
    Some(told(&text)).filter(|text| !text.is_empty() && text != "<NULL>")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn drives_that_other_machines_may_reach_are_told_from_those_of_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        let file = |path: &str, text: &str| {
            let path = sys.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let device = |name: &str, target: &str| {
            fs::create_dir_all(sys.join("block").join(name)).unwrap();
            fs::create_dir_all(sys.join(target)).unwrap();
            symlink(sys.join(target), sys.join("block").join(name).join("device")).unwrap();
        };
        for (name, host, driver) in [
            ("sda", 0, "virtio_scsi\n"),
            ("sdb", 1, "megaraid_sas\n"),
            ("sdc", 2, "ib_srp\n"),
            ("sdd", 3, "storvsc_host\n"),
            ("sde", 4, "<NULL>\n"),
        ] {
            device(name, &format!("devices/pci0/host{host}/target{host}:0:0/{host}:0:0:0"));
            file(&format!("class/scsi_host/host{host}/proc_name"), driver);
        }
        for (name, transport) in
            [("nvme0", "pcie\n"), ("nvme1", "tcp\n"), ("nvme2", "pcie\n"), ("nvme3", "rdma\n")]
        {
            file(&format!("devices/{name}/transport"), transport);
        }
        device("nvme0n1", "devices/nvme0");
        device("nvme1n1", "devices/nvme1");
        // Such as have several controllers.
        for (subsystem, controllers) in
            [("a", &["nvme0", "nvme2"][..]), ("b", &["nvme0", "nvme3"]), ("c", &[])]
        {
            let place = format!("devices/subsystem-{subsystem}");
            device(&format!("nvme{subsystem}n1"), &place);
            for controller in controllers {
                symlink(sys.join("devices").join(controller), sys.join(&place).join(controller)).unwrap();
            }
        }
        let rows = [
            ("SATA", "sdz", "sata", None),
            ("IDE of an emulated machine", "sdz", "ata", None),
            ("SAS", "sdz", "sas", None),
            ("virtio, as in the test racks", "vda", "virtio", None),
            ("virtio-scsi, as in the test racks", "sda", "", None),
            ("NVMe, as in the test racks", "nvme0n1", "nvme", None),
            ("NVMe with two controllers", "nvmean1", "nvme", None),
            ("Hyper-V", "sdd", "", None),
            ("Xen", "xvda", "", None),
            ("Fibre Channel", "sdz", "fc", Some("by Fibre Channel: other machines")),
            ("FCoE", "sdz", "fcoe", Some("over Ethernet")),
            ("iSCSI", "sdz", "iscsi", Some("by iSCSI")),
            ("NVMe over TCP", "nvme1n1", "nvme", Some("by NVMe over tcp")),
            ("NVMe, one controller far away", "nvmebn1", "nvme", Some("by NVMe over rdma")),
            ("NVMe that says nothing", "nvmecn1", "nvme", Some("by NVMe: whether")),
            ("a RAID controller", "sdb", "", Some("by megaraid_sas: whether")),
            ("InfiniBand", "sdc", "", Some("by ib_srp: whether")),
            ("a host without a name", "sde", "", Some("how it is attached is not known")),
            ("nothing known", "sdz", "", Some("how it is attached is not known")),
            ("a word of later", "sdz", "tele\u{1b}pathy", Some("by tele?pathy: whether")),
        ];
        for (name, drive, transport, want) in rows {
            let got = attached(sys, drive, transport).doubt();
            match (&got, want) {
                (None, None) => {}
                (Some(got), Some(want)) => assert!(got.contains(want), "{name}: {got}"),
                _ => panic!("{name}: {got:?}"),
            }
        }
        assert!(
            Attached::default().doubt().is_some(),
            "one that was not asked for is not taken to be direct"
        );
    }
}
