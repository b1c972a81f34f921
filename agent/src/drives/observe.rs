//! What drives there are, and who holds them, as the machine says at this moment. Reads only; nothing here decides.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use maekin_api::drives::Slot;
use maekin_host::block::{self, BlockDevice};
use maekin_host::smart::Smart;
use maekin_host::{cmd::CmdError, enclosure};
use maekin_image::ids;
use maekin_image::layout::Part;
use maekin_rootfs::drives::Found;
use uuid::Uuid;

use super::attached::{Attached, attached};
use super::identity::{identify, told};

/// Most drives of a node that are told of: one with more has the rest left out, and says so.
pub(crate) const MOST: usize = 128;
/// Where udev names drives by where they are plugged in.
const BY_PATH: &str = "/dev/disk/by-path";

/// A drive as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What it is known by.
    pub(crate) id: String,
    /// Whether it brings that along to wherever it is plugged in.
    pub(crate) stable: bool,
    /// Another drive says that it is this one, too: a clone, or a second path to it.
    pub(crate) twin: bool,
    /// Device node.
    pub(crate) device: PathBuf,
    pub(crate) serial: String,
    pub(crate) model: String,
    pub(crate) wwn: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Bytes of a logical sector.
    pub(crate) sector: u64,
    pub(crate) rotational: bool,
    pub(crate) transport: String,
    /// Whether other machines may reach it, too.
    pub(crate) attached: Attached,
    pub(crate) slot: Slot,
    pub(crate) removable: bool,
    pub(crate) read_only: bool,
    /// The place (0 or 1) of a boot drive of this installation that it is in.
    pub(crate) boot: Option<u8>,
    /// Who holds it, in words; empty: nobody. A volume group or an array on it that nobody has mounted holds nothing.
    pub(crate) held: String,
    /// What is on it; `None`: it was not looked at.
    pub(crate) found: Option<Found>,
    /// What it says of its health; `None`: nothing, or it was not asked.
    pub(crate) smart: Option<Smart>,
}

/// All drives, without what is on them.
///
/// # Errors
/// [`CmdError`].
pub(crate) fn drives(install: Uuid) -> Result<Vec<Seen>, CmdError> {
    let devices = block::list()?;
    let mut seen = rows(install, &devices, &by_path(Path::new(BY_PATH)), block::is_claimed);
    for drive in &mut seen {
        let (sys, name) = (Path::new("/sys"), kernel_name(&drive.device));
        drive.slot.bay = enclosure::bay(sys, &name);
        drive.attached = attached(sys, &name, &drive.transport);
    }
    Ok(seen)
}

/// The kernel's name of a device node.
pub(crate) fn kernel_name(device: &Path) -> String {
    device.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The drives among `devices`, by id. `claimed` says of a device node whether somebody has it for himself.
pub(crate) fn rows(
    install: Uuid,
    devices: &[BlockDevice],
    by_path: &BTreeMap<PathBuf, String>,
    claimed: impl Fn(&Path) -> bool,
) -> Vec<Seen> {
    let drives = devices.iter().filter(|device| device.is_drive());
    let mut seen: Vec<Seen> = drives.map(|device| row(install, device, by_path, &claimed)).collect();
    // Of several that say they are one, the one that the node starts from goes first.
    seen.sort_by(|a, b| (&a.id, a.boot.is_none(), &a.device).cmp(&(&b.id, b.boot.is_none(), &b.device)));
    let ids: Vec<String> = seen.iter().map(|drive| drive.id.clone()).collect();
    for (at, drive) in seen.iter_mut().enumerate() {
        let before = at.checked_sub(1).and_then(|at| ids.get(at));
        drive.twin = before == Some(&drive.id) || ids.get(at + 1) == Some(&drive.id);
    }
    // One entry for the two of them: of the one that is used, if any is, and else of whichever, since neither is taken.
    seen.dedup_by(|a, b| a.id == b.id);
    if seen.len() > MOST {
        tracing::warn!(drives = seen.len(), told = MOST, "this node has more drives than are told of");
        seen.truncate(MOST);
    }
    seen
}

fn row(
    install: Uuid,
    device: &BlockDevice,
    by_path: &BTreeMap<PathBuf, String>,
    claimed: &impl Fn(&Path) -> bool,
) -> Seen {
    let text = |field: &Option<String>| field.as_deref().unwrap_or_default().to_owned();
    let path = by_path.get(&device.path).cloned().unwrap_or_default();
    let model = text(&device.model).replace('_', " ");
    let identity = identify(&text(&device.wwn), &model, &text(&device.serial), &path, &device.name);
    let transport = match text(&device.tran) {
        empty if empty.is_empty() && device.name.starts_with("vd") => "virtio".to_owned(),
        transport => transport,
    };
    let boot = place(install, device);
    let held = match device.mounts().first() {
        _ if boot.is_some() => String::new(), // by ourselves
        Some(point) => format!("it is mounted on {}", told(point)),
        None if held(device, claimed) => "another program has it open for itself".to_owned(),
        None => String::new(),
    };
    Seen {
        id: identity.id,
        stable: identity.stable,
        twin: false,
        device: device.path.clone(),
        serial: told(&text(&device.serial)),
        model: told(&model),
        wwn: told(&text(&device.wwn)),
        size: device.size,
        sector: device.log_sec,
        rotational: device.rota,
        transport: told(&transport),
        attached: Attached::default(),
        slot: Slot { path: told(&path), bay: String::new() },
        removable: device.rm,
        read_only: device.ro,
        boot,
        held,
        found: None,
        smart: None,
    }
}

/// Whether somebody has it for himself. What is stacked on it (an array or a volume group of somebody's that the system
/// found) claims it, and uses it for nothing: then it counts whether somebody has that.
fn held(device: &BlockDevice, claimed: &impl Fn(&Path) -> bool) -> bool {
    if !device.carries() {
        return claimed(&device.path);
    }
    // What DRBD or RBD makes of it is for a peer, or another node, as much as for this one.
    let foreign = |child: &BlockDevice| ["drbd", "rbd", "nbd"].iter().any(|of| child.name.starts_with(of));
    device.children.iter().any(|child| foreign(child) || held(child, claimed))
}

/// Which place of a boot drive of this installation a drive is in, by the GUIDs of its partitions.
fn place(install: Uuid, device: &BlockDevice) -> Option<u8> {
    let is = |place: u8| {
        Part::ALL.iter().any(|part| {
            let guid = ids::part_guid(install, place, *part).to_string();
            device.children.iter().any(|child| child.partuuid.as_deref() == Some(guid.as_str()))
        })
    };
    [0, 1].into_iter().find(|place| is(*place))
}

fn by_path(dir: &Path) -> BTreeMap<PathBuf, String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let target = fs::canonicalize(entry.path()).ok()?;
        Some((target, entry.file_name().to_string_lossy().into_owned()))
    });
    named.collect()
}

/// What tells at no cost whether a drive may have become another one: its size and its partitions, by kernel name. `sys` is
/// like `/sys`.
pub(crate) fn prints(sys: &Path) -> BTreeMap<String, String> {
    let pseudo = ["zram", "ram", "loop", "fd", "nbd", "rbd", "drbd", "md", "dm-", "sr"];
    let names = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    };
    let drives = names(&sys.join("block"));
    let own = drives.into_iter().filter(|name| !pseudo.iter().any(|prefix| name.starts_with(prefix)));
    own.take(2 * MOST)
        .map(|name| {
            let dir = sys.join("block").join(&name);
            let number = |dir: &Path, file: &str| {
                fs::read_to_string(dir.join(file)).unwrap_or_default().trim().to_owned()
            };
            let mut print = number(&dir, "size");
            for part in names(&dir).into_iter().filter(|part| part.starts_with(&name)) {
                let at = dir.join(&part);
                print += &format!(" {part} {} {}", number(&at, "start"), number(&at, "size"));
            }
            (name, print)
        })
        .collect()
}

#[cfg(test)]
mod tests;
