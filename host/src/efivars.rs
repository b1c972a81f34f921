//! The firmware's list of boot entries, read from its variables (UEFI specification, chapters 3.1 and 10.3) and not
//! from a program's text. What firmware wrote there is not trusted: a damaged entry is left out.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where the kernel shows the variables.
pub const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// `EFI_GLOBAL_VARIABLE`.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Bytes of attributes before a variable's value (Linux, `Documentation/filesystems/efivarfs.rst`).
const ATTRIBUTES: usize = 4;
/// `LOAD_OPTION_ACTIVE`.
const ACTIVE: u32 = 1;

/// What the firmware boots, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootList {
    /// The entry that this start came from.
    pub current: Option<u16>,
    /// Numbers of entries, in the order that they are tried.
    pub order: Vec<u16>,
    /// All entries, by number.
    pub entries: Vec<BootOption>,
}

/// One boot entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootOption {
    /// Its number.
    pub number: u16,
    /// Its label.
    pub label: String,
    /// It is tried without being asked for.
    pub active: bool,
    /// The unique GUID of the GPT partition that it boots from, where it names one.
    pub partition: Option<Uuid>,
    /// The loader's path, with `\`; empty where it names none.
    pub loader: String,
}

/// Reads the list from a directory like [`EFIVARS`]; empty where the machine was not booted by UEFI.
#[must_use]
pub fn read(dir: &Path) -> BootList {
    let value = |name: &str| {
        let bytes = fs::read(dir.join(format!("{name}-{GLOBAL}"))).ok()?;
        bytes.get(ATTRIBUTES..).map(<[u8]>::to_vec)
    };
    let mut entries: Vec<BootOption> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            let number = parse_name(&name)?;
            parse_option(number, &value(&format!("Boot{}", name.get(4..8)?))?)
        })
        .collect();
    entries.sort_by_key(|entry| entry.number);
    BootList {
        current: value("BootCurrent").and_then(|bytes| parse_order(&bytes).first().copied()),
        order: value("BootOrder").map(|bytes| parse_order(&bytes)).unwrap_or_default(),
        entries,
    }
}

/// The number in a variable's name like `Boot001A-8be4df61-...`.
fn parse_name(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?.strip_suffix(GLOBAL)?.strip_suffix('-')?;
    let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    hex.then(|| u16::from_str_radix(digits, 16).ok())?
}

/// A list of numbers (`BootOrder`), or one (`BootCurrent`).
#[must_use]
pub fn parse_order(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// An entry (`EFI_LOAD_OPTION`) from its variable's value.
#[must_use]
pub fn parse_option(number: u16, bytes: &[u8]) -> Option<BootOption> {
    let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let path_len = usize::from(u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?));
    let (label, used) = utf16(bytes.get(6..)?)?;
    let path = bytes.get(6 + used..)?.get(..path_len)?;
    let mut option = BootOption { number, label, active: attributes & ACTIVE != 0, ..BootOption::default() };
    walk(path, &mut option);
    Some(option)
}

/// Walks the nodes of a device path: type, subtype, length of the whole node.
fn walk(mut path: &[u8], option: &mut BootOption) {
    while let [kind, subtype, low, high, ..] = *path {
        let len = usize::from(u16::from_le_bytes([low, high]));
        let Some(node) = path.get(..len).filter(|_| len >= 4) else { return };
        match (kind, subtype) {
            // Hard drive: partition number, start, size, signature, format of the table, kind of signature.
            (4, 1) if node.get(41) == Some(&2) => {
                option.partition = node.get(24..40).and_then(|raw| Uuid::from_slice_le(raw).ok());
            }
            // File path; its zero may be missing.
            (4, 4) => {
                let name = [&node[4..], &[0, 0]].concat();
                option.loader += &utf16(&name).map(|(text, _)| text).unwrap_or_default();
            }
            (0x7f, 0xff) => return,
            _ => {}
        }
        path = &path[len..];
    }
}

/// Text up to its zero, and how many bytes it took with it.
fn utf16(bytes: &[u8]) -> Option<(String, usize)> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let end = units.iter().position(|unit| *unit == 0)?;
    Some((String::from_utf16_lossy(&units[..end]), 2 * (end + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::uuid;

    const PART: Uuid = uuid!("a1b2c3d4-e5f6-4711-8899-aabbccddeeff");

    fn text(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    fn node(kind: u8, subtype: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(4 + body.len()).unwrap().to_le_bytes();
        [&[kind, subtype, len[0], len[1]], body].concat()
    }

    fn option(label: &str, active: bool, path: &[u8]) -> Vec<u8> {
        let len = u16::try_from(path.len()).unwrap();
        let attributes = u32::from(active);
        [&attributes.to_le_bytes()[..], &len.to_le_bytes(), &text(label), path, b"optional data"].concat()
    }

    fn disk_path() -> Vec<u8> {
        let mut drive = vec![0; 38];
        drive[20..36].copy_from_slice(&PART.to_bytes_le());
        drive[36..38].copy_from_slice(&[2, 2]);
        [node(4, 1, &drive), node(4, 4, &text(r"\EFI\debian\shimx64.efi")), node(0x7f, 0xff, &[])].concat()
    }

    #[test]
    fn entries_are_read_from_the_variables() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, value: &[u8]| {
            let bytes = [&7u32.to_le_bytes(), value].concat();
            fs::write(dir.path().join(format!("{name}-{GLOBAL}")), bytes).unwrap();
        };
        put("BootOrder", &[0x1a, 0, 0, 0]);
        put("BootCurrent", &[0x1a, 0]);
        put("Boot001A", &option("Maekin disk 1", true, &disk_path()));
        put("Boot0000", &option("UEFI PXEv4", false, &[node(1, 1, &[1, 2]), node(0x7f, 0xff, &[])].concat()));
        put("BootOptionSupport", &[1, 2, 3, 4]);
        put("Boot0002", &[1]);
        put("Boot00G0", &option("not hex", true, &[]));
        let list = read(dir.path());
        assert_eq!((list.current, list.order), (Some(0x1a), vec![0x1a, 0]));
        let ours = BootOption {
            number: 0x1a,
            label: "Maekin disk 1".to_owned(),
            active: true,
            partition: Some(PART),
            loader: r"\EFI\debian\shimx64.efi".to_owned(),
        };
        let pxe = BootOption { label: "UEFI PXEv4".to_owned(), ..BootOption::default() };
        assert_eq!(list.entries, [pxe, ours]);
        assert_eq!(read(Path::new("/nowhere")), BootList::default());
    }

    #[test]
    fn damaged_entries_do_no_harm() {
        let whole = option("Maekin disk 1", true, &disk_path());
        for len in 0..whole.len() {
            let _ = parse_option(1, &whole[..len]);
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = 0xff;
            let _ = parse_option(1, &bytes);
            bytes[at] = 0;
            let _ = parse_option(1, &bytes);
        }
        assert_eq!(parse_option(1, &[0xff; 64]), None);
    }
}
