//! What a rack consists of. Pure: free ports are an argument, and everything else follows from the plan.

use std::path::Path;

use uuid::Uuid;

use crate::accel;
use crate::node::{BootFrom, Bus, Drive, Firmware, Forward, Nic, NodeSpec};
use crate::switch::port_socket;

/// Ports of a node that are forwarded.
const FORWARDED: [u16; 2] = [22, 8443];
/// Namespace of the nodes' SMBIOS UUIDs.
const NAMESPACE: Uuid = uuid::uuid!("8f1c1b52-5a0e-4b43-9d0a-6d61656b696e");

/// Which firmware the nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmwares {
    /// All the same.
    All(Firmware),
    /// The first and third BIOS, the others UEFI, in turn.
    Mixed,
}

impl Firmwares {
    /// Firmware of node `index`, from 0.
    #[must_use]
    pub fn of(self, index: usize) -> Firmware {
        match self {
            Self::All(firmware) => firmware,
            Self::Mixed if index.is_multiple_of(2) => Firmware::Bios,
            Self::Mixed => Firmware::Uefi,
        }
    }
}

/// A rack to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many nodes.
    pub nodes: usize,
    /// Memory of each in MiB.
    pub memory_mib: u32,
    /// Virtual CPUs of each.
    pub vcpus: u32,
    /// Firmware of each.
    pub firmwares: Firmwares,
    /// Sizes of each node's drives in bytes.
    pub drives: Vec<u64>,
    /// Bytes in a sector of the drives.
    pub sector: u32,
    /// What the drives hang on.
    pub bus: Bus,
    /// Password of user `admin`.
    pub password: String,
}

impl Default for Plan {
    /// Three nodes, each with a pair of equal drives, and a password made up for it; processors as suits the host.
    fn default() -> Self {
        Self {
            nodes: 3,
            memory_mib: 2048,
            vcpus: accel::choose().0.vcpus(),
            firmwares: Firmwares::Mixed,
            drives: vec![10 << 30; 2],
            sector: 512,
            bus: Bus::Virtio,
            password: Uuid::new_v4().simple().to_string()[..16].to_owned(),
        }
    }
}

impl Plan {
    /// A single node.
    #[must_use]
    pub fn single(firmware: Firmware) -> Self {
        Self { nodes: 1, firmwares: Firmwares::All(firmware), ..Self::default() }
    }

    /// How many ports of the host it takes.
    #[must_use]
    pub fn ports(&self) -> usize {
        self.nodes * FORWARDED.len()
    }
}

/// The nodes of `plan` in `dir`: `node-1` boots its drives (its stick by the boot menu), the others the network and
/// then their drives, as machines in a rack are set up. `ports` holds [`Plan::ports`] ports.
#[must_use]
pub fn plan_specs(dir: &Path, plan: &Plan, ports: &[u16]) -> Vec<NodeSpec> {
    let ports = ports.chunks(FORWARDED.len());
    (1..=plan.nodes).zip(ports).map(|(number, ports)| plan_node(dir, plan, number, ports)).collect()
}

fn plan_node(dir: &Path, plan: &Plan, number: usize, ports: &[u16]) -> NodeSpec {
    let name = format!("node-{number}");
    let drive = |(i, size): (usize, &u64)| Drive {
        file: dir.join(&name).join(format!("drive-{i}.qcow2")),
        size: *size,
        sector: plan.sector,
        serial: format!("N{number:02}D{i}"),
        bus: plan.bus,
        plugged: true,
        socket: None,
    };
    let drives: Vec<Drive> = plan.drives.iter().enumerate().map(drive).collect();
    let mac = |nic: u8| format!("52:54:00:77:{nic:02x}:{number:02x}");
    let forwards = ports.iter().zip(FORWARDED).map(|(host, guest)| Forward { host: *host, guest }).collect();
    let disks = (0..drives.len()).map(BootFrom::Drive);
    let boot =
        if number == 1 { disks.collect() } else { [BootFrom::Nic(0)].into_iter().chain(disks).collect() };
    NodeSpec {
        uuid: Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        firmware: plan.firmwares.of(number - 1),
        vcpus: plan.vcpus,
        memory_mib: plan.memory_mib,
        drives,
        medium: None,
        nics: vec![
            Nic::Rack { mac: mac(0), socket: port_socket(&dir.join("switch"), &name) },
            Nic::Host { mac: mac(1), forwards },
        ],
        boot,
        oem_strings: Vec::new(),
        fw_cfg: Vec::new(),
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_is_shared_between_nodes() {
        let plan = Plan { nodes: 4, ..Plan::default() };
        let specs = plan_specs(Path::new("/r"), &plan, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let count =
            |of: &dyn Fn(&NodeSpec) -> Vec<String>| specs.iter().flat_map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(count(&|s| vec![s.uuid.to_string()]), 4);
        assert_eq!(count(&|s| s.nics.iter().map(|n| n.mac().to_owned()).collect()), 8);
        assert_eq!(count(&|s| s.drives.iter().map(|d| d.file.display().to_string()).collect()), 8);
        assert_eq!(count(&|s| s.drives.iter().map(|d| d.serial.clone()).collect()), 8);
        assert_eq!(count(&|s| [22, 8443].map(|p| s.forwarded(p).unwrap().to_string()).to_vec()), 8);
    }

    #[test]
    fn the_first_boots_its_drives_and_the_others_the_network() {
        let specs = plan_specs(Path::new("/r"), &Plan::default(), &[1, 2, 3, 4, 5, 6]);
        assert_eq!(specs[0].boot, [BootFrom::Drive(0), BootFrom::Drive(1)]);
        assert_eq!(specs[1].boot, [BootFrom::Nic(0), BootFrom::Drive(0), BootFrom::Drive(1)]);
        assert_eq!([0, 1, 2].map(|i| specs[i].firmware), [Firmware::Bios, Firmware::Uefi, Firmware::Bios]);
    }
}
