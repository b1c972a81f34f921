//! Block devices: what there is (lsblk(8)), what is on them (wipefs(8), which looks and does not wipe), and dull
//! operations on one device. Parsers take text; readers call them.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FallocateFlags, fallocate};
use serde::{Deserialize, Deserializer, Serialize};

use crate::cmd::{Cmd, CmdError};
use crate::wait::{self, TimedOut};

/// The columns asked of lsblk: an explicit list, because its "all" is neither stable nor always valid JSON.
const COLUMNS: &str = "NAME,PATH,TYPE,SIZE,RO,RM,ROTA,TRAN,SERIAL,WWN,MODEL,VENDOR,LOG-SEC,PHY-SEC,PTTYPE,START,\
    PARTTYPE,PARTLABEL,PARTUUID,FSTYPE,LABEL,UUID,MOUNTPOINTS";

/// A block device as lsblk(8) tells it, with its partitions and what is stacked on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct BlockDevice {
    /// Kernel name, e.g. `nvme0n1`.
    pub name: String,
    /// Device node.
    pub path: PathBuf,
    /// `disk`, `part`, `rom`, `raid1`, `crypt`, ...
    pub r#type: String,
    /// Bytes.
    #[serde(deserialize_with = "number")]
    pub size: u64,
    /// Cannot be written.
    #[serde(deserialize_with = "truth")]
    pub ro: bool,
    /// Removable medium.
    #[serde(deserialize_with = "truth")]
    pub rm: bool,
    /// Spins.
    #[serde(deserialize_with = "truth")]
    pub rota: bool,
    /// Transport: `sata`, `sas`, `nvme`, `usb`, ...
    pub tran: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwn: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Maker.
    pub vendor: Option<String>,
    /// Logical sector, bytes.
    #[serde(deserialize_with = "number")]
    pub log_sec: u64,
    /// Physical sector, bytes.
    #[serde(deserialize_with = "number")]
    pub phy_sec: u64,
    /// `gpt`, `dos`.
    pub pttype: Option<String>,
    /// Of a partition: its first sector, in units of 512 bytes.
    pub start: Option<u64>,
    /// Of a partition: its type.
    pub parttype: Option<String>,
    /// Of a partition: its GPT name.
    pub partlabel: Option<String>,
    /// Of a partition: its unique GUID.
    pub partuuid: Option<String>,
    /// File system or superblock type.
    pub fstype: Option<String>,
    /// File system label.
    pub label: Option<String>,
    /// File system UUID.
    pub uuid: Option<String>,
    /// Where it is mounted.
    pub mountpoints: Vec<Option<String>>,
    /// Partitions, and what is stacked on it.
    pub children: Vec<BlockDevice>,
}

impl BlockDevice {
    /// A drive: not optical, not stacked on others, not in memory.
    #[must_use]
    pub fn is_drive(&self) -> bool {
        let pseudo = ["zram", "ram", "loop", "fd", "nbd", "rbd", "drbd", "md", "dm-", "sr"];
        self.r#type == "disk"
            && self.size > 0
            && !pseudo.iter().any(|prefix| self.name.starts_with(prefix))
            && !(self.name.starts_with("mmcblk") && self.name.contains("boot"))
    }

    /// Every place where it, or anything on it, is mounted.
    #[must_use]
    pub fn mounts(&self) -> Vec<String> {
        let own = self.mountpoints.iter().flatten().cloned();
        own.chain(self.children.iter().flat_map(Self::mounts)).collect()
    }

    /// Whether something other than a partition is stacked on it or on one of its partitions: an array, a volume group.
    #[must_use]
    pub fn carries(&self) -> bool {
        self.children.iter().any(|child| child.r#type != "part" || child.carries())
    }
}

/// A signature found on a device by wipefs(8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Where it begins, hex.
    pub offset: String,
    /// What it is, e.g. `ext4`, `linux_raid_member`.
    pub r#type: String,
    /// Its UUID.
    #[serde(default)]
    pub uuid: Option<String>,
    /// Its label.
    #[serde(default)]
    pub label: Option<String>,
    /// `filesystem`, `raid`, `partition-table`, `crypto`, ...
    #[serde(default)]
    pub usage: Option<String>,
}

/// Parses `lsblk --json`.
///
/// # Errors
/// Where it is not what lsblk writes.
pub fn parse_lsblk(json: &str) -> serde_json::Result<Vec<BlockDevice>> {
    #[derive(Deserialize)]
    struct Output {
        blockdevices: Vec<BlockDevice>,
    }
    serde_json::from_str::<Output>(json).map(|output| output.blockdevices)
}

/// Parses `wipefs --json`; no text at all means no signatures.
///
/// # Errors
/// Where it is not what wipefs writes.
pub fn parse_wipefs(json: &str) -> serde_json::Result<Vec<Signature>> {
    #[derive(Deserialize)]
    struct Output {
        signatures: Vec<Signature>,
    }
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str::<Output>(json).map(|output| output.signatures)
}

/// All block devices.
///
/// # Errors
/// [`CmdError`].
pub fn list() -> Result<Vec<BlockDevice>, CmdError> {
    let cmd = Cmd::new("lsblk").args(["--json", "--bytes", "--output", COLUMNS]);
    let text = cmd.text()?;
    parse_lsblk(&text).map_err(|source| CmdError::Output { line: cmd.line(), source })
}

/// Every signature on `device`, at both ends.
///
/// # Errors
/// [`CmdError`].
pub fn signatures(device: &Path) -> Result<Vec<Signature>, CmdError> {
    let columns = "OFFSET,TYPE,UUID,LABEL,USAGE";
    let cmd = Cmd::new("wipefs").args(["--json", "--no-act", "--output", columns]).arg(device);
    let text = cmd.text()?;
    parse_wipefs(&text).map_err(|source| CmdError::Output { line: cmd.line(), source })
}

/// The node of partition `number` of `disk`: `/dev/sda1`, `/dev/nvme0n1p1`.
#[must_use]
pub fn partition_path(disk: &Path, number: u32) -> PathBuf {
    let disk = disk.display().to_string();
    let infix = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    PathBuf::from(format!("{disk}{infix}{number}"))
}

/// Whether the device can be told to make ranges zero without being sent the zeros.
#[must_use]
pub fn offers_write_zeroes(name: &str) -> bool {
    let path = format!("/sys/class/block/{name}/queue/write_zeroes_max_bytes");
    fs::read_to_string(path).is_ok_and(|text| text.trim().parse::<u64>().is_ok_and(|n| n > 0))
}

/// Most bytes zeroed by one request. Drives announce limits that are no multiple of their sectors (QEMU's virtio disk
/// with 4096-byte sectors: 2 GiB less 512), and the kernel cuts long requests there, which they then refuse.
const ZERO_AT_ONCE: u64 = 1 << 30;

/// Makes `len` bytes from `offset` zero; the device does it by itself where it can.
///
/// # Errors
/// The device's error.
pub fn zero(device: &File, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.checked_add(len).ok_or(io::ErrorKind::InvalidInput)?;
    let mut at = offset;
    while at < end {
        let n = (end - at).min(ZERO_AT_ONCE);
        let (Ok(from), Ok(count)) = (i64::try_from(at), i64::try_from(n)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let how = FallocateFlags::FALLOC_FL_ZERO_RANGE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        fallocate(device, how, from, count)?;
        at += n;
    }
    Ok(())
}

/// Lets the kernel read the partition table of `disk` anew and waits for the nodes of partitions 1 to `count`.
///
/// # Errors
/// Why not, naming the disk.
pub fn reread_table(disk: &Path, count: u32) -> Result<(), RereadError> {
    settle()?;
    // udev reads the table too when it sees the disk closed after writing, and then the kernel says "busy".
    let mut last = None;
    let reread = wait::until(
        &format!("the kernel to read the partition table of {}", disk.display()),
        Duration::from_secs(20),
        Duration::from_millis(250),
        || match Cmd::new("blockdev").arg("--rereadpt").arg(disk).run() {
            Ok(()) => Some(()),
            Err(e) => {
                last = Some(e);
                None
            }
        },
    );
    if reread.is_err()
        && let Some(e) = last
    {
        return Err(e.into());
    }
    settle()?;
    for number in 1..=count {
        let path = partition_path(disk, number);
        let what = format!("the partition {}", path.display());
        wait::until(&what, Duration::from_secs(20), Duration::from_millis(50), || {
            path.exists().then_some(())
        })?;
    }
    Ok(())
}

/// The partition table could not be read anew.
#[derive(Debug, thiserror::Error)]
pub enum RereadError {
    /// The kernel refused.
    #[error(transparent)]
    Refused(#[from] CmdError),
    /// A partition did not appear.
    #[error(transparent)]
    Missing(#[from] TimedOut),
}

/// Waits until udev has handled all events, at most two minutes: a machine with many drives, or a slow one, takes long.
///
/// # Errors
/// [`CmdError`].
pub fn settle() -> Result<(), CmdError> {
    Cmd::new("udevadm").args(["settle", "--timeout=120"]).limit(Duration::from_secs(130)).run()
}

/// Drops what the kernel caches of `device`, so that the next read comes from the medium.
///
/// # Errors
/// [`CmdError`].
pub fn drop_cache(device: &Path) -> Result<(), CmdError> {
    Cmd::new("blockdev").arg("--flushbufs").arg(device).run()
}

/// Whether someone has claimed the block device for himself: a mount, an array, LVM, a storage daemon (open(2), O_EXCL
/// without O_CREAT).
#[must_use]
pub fn is_claimed(device: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = (nix::fcntl::OFlag::O_EXCL | nix::fcntl::OFlag::O_CLOEXEC).bits();
    let opened = File::options().read(true).custom_flags(flags).open(device);
    opened.is_err_and(|e| e.raw_os_error() == Some(nix::errno::Errno::EBUSY as i32))
}

/// The bytes that an open device or file has; it stands at its first byte afterwards.
///
/// # Errors
/// The device's error.
pub fn size(device: &mut File) -> io::Result<u64> {
    let size = device.seek(SeekFrom::End(0))?;
    device.seek(SeekFrom::Start(0))?;
    Ok(size)
}

/// Reads `len` bytes at `offset` through the cache; fewer at the end of the device.
///
/// # Errors
/// The device's error.
pub fn read_at(device: &Path, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(device)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// util-linux before 2.33 wrote `"0"` and `"1"` for booleans.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truth {
        Bool(bool),
        Text(String),
        Null(()),
    }
    Ok(match Truth::deserialize(deserializer)? {
        Truth::Bool(value) => value,
        Truth::Text(text) => text == "1",
        Truth::Null(()) => false,
    })
}

/// ... and numbers as strings.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Count(u64),
        Text(String),
        Null(()),
    }
    Ok(match Number::deserialize(deserializer)? {
        Number::Count(value) => value,
        Number::Text(text) => text.trim().parse().map_err(serde::de::Error::custom)?,
        Number::Null(()) => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn partitions_of_disks_that_end_in_a_digit_have_a_p() {
        for (disk, part) in [("/dev/sda", "/dev/sda3"), ("/dev/nvme0n1", "/dev/nvme0n1p3")] {
            assert_eq!(partition_path(Path::new(disk), 3), Path::new(part));
        }
    }

    #[test]
    fn old_and_new_lsblk_are_understood() {
        let new = r#"{"blockdevices":[{"name":"sda","path":"/dev/sda","type":"disk","size":512,"ro":false,"rm":true,
            "rota":null,"serial":null,"log-sec":512,"mountpoints":[null]}]}"#;
        let old = r#"{"blockdevices":[{"name":"sda","path":"/dev/sda","type":"disk","size":"512","ro":"0","rm":"1",
            "rota":"0","serial":null,"log-sec":"512","mountpoints":[null]}]}"#;
        assert_eq!(parse_lsblk(new).unwrap(), parse_lsblk(old).unwrap());
        assert!(parse_lsblk("{}").is_err() && parse_lsblk("").is_err());
    }

    #[test]
    fn drives_are_told_from_what_only_looks_like_one() {
        let device = |name: &str, kind: &str, children| BlockDevice {
            name: name.into(),
            r#type: kind.into(),
            size: 1 << 30,
            children,
            ..BlockDevice::default()
        };
        let rows = [
            ("vda", "disk", true),
            ("nvme0n1", "disk", true),
            ("mmcblk0", "disk", true),
            ("mmcblk0boot0", "disk", false),
            ("loop0", "loop", false),
            ("rbd0", "disk", false),
            ("drbd0", "disk", false),
            ("nbd0", "disk", false),
            ("sr0", "rom", false),
            ("sda1", "part", false),
        ];
        for (name, kind, want) in rows {
            assert_eq!(device(name, kind, vec![]).is_drive(), want, "{name}");
        }
        assert!(!BlockDevice { size: 0, ..device("sdb", "disk", vec![]) }.is_drive(), "an empty reader");
        let part = |children| device("sda1", "part", children);
        assert!(!device("sda", "disk", vec![part(vec![])]).carries());
        assert!(device("sda", "disk", vec![part(vec![device("md1", "raid1", vec![])])]).carries());
        let mounted = BlockDevice { mountpoints: vec![None, Some("/srv".into())], ..part(vec![]) };
        assert_eq!(device("sda", "disk", vec![mounted]).mounts(), ["/srv"]);
    }

    proptest::proptest! {
        #[test]
        fn drives_any_text_of_the_tools_is_taken_or_left(text in ".{0,200}") {
            let _ = (parse_lsblk(&text), parse_wipefs(&text));
            let named = format!("{{\"blockdevices\":[{{\"name\":{text}}}],\"signatures\":[{{\"type\":{text}}}]}}");
            let _ = (parse_lsblk(&named), parse_wipefs(&named));
        }
    }

    #[test]
    fn what_nobody_has_claimed_is_not_claimed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_claimed(file.path()) && !is_claimed(Path::new("/nowhere")));
    }

    #[test]
    fn no_output_of_wipefs_is_no_signature() {
        assert!(parse_wipefs("").unwrap().is_empty());
        let json = r#"{"signatures":[{"offset":"0x438","type":"ext4","uuid":"u","label":null,"usage":"filesystem"}]}"#;
        assert_eq!(parse_wipefs(json).unwrap()[0].r#type, "ext4");
        assert!(parse_wipefs("[]").is_err());
    }

    #[test]
    fn zeroing_a_range_leaves_its_neighbours() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 3 * 4096]).unwrap();
        zero(&file, 4096, 4096).unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes[4095], bytes[4096], bytes[8191], bytes[8192], bytes.len()), (7, 0, 0, 7, 3 * 4096));
    }
}
