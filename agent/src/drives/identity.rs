//! What a drive is known by, wherever it is plugged in. Serial numbers and models are a stranger's words: ids have small
//! letters, digits, `-` and `.` only, and are bounded. Pure.

/// Longest id.
pub(crate) const LONGEST: usize = 64;
/// Longest text of a drive that is told.
pub(crate) const TEXT: usize = 64;

/// A drive's name, and whether it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The name.
    pub(crate) id: String,
    /// Whether the drive brings it along to wherever it is plugged in.
    pub(crate) stable: bool,
}

/// Names a drive: by its world-wide name, else by model and serial number, else by where it is plugged in.
pub(crate) fn identify(wwn: &str, model: &str, serial: &str, path: &str, name: &str) -> Identity {
    let stable = |id: String| Identity { id, stable: true };
    if let Some(id) = by_wwn(wwn) {
        return stable(id);
    }
    let serial = plain(serial);
    if has_digits(&serial) {
        let room = LONGEST.saturating_sub(serial.len() + 4);
        let model: String = plain(model).chars().take(room).collect();
        let parts = ["sn", &model, &serial].map(str::to_owned);
        let id = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        return stable(cut(&id));
    }
    let place = [path, name].map(plain).into_iter().find(|place| !place.is_empty());
    Identity { id: cut(&format!("at-{}", place.as_deref().unwrap_or("nowhere"))), stable: false }
}

/// Whether a text may be an id: it becomes part of a key.
pub(crate) fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (4..=LONGEST).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('.')
}

/// A text of a drive as it is told: printable, without blanks at its ends, bounded.
pub(crate) fn told(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { '?' } else { c }).take(TEXT).collect()
}

/// `wwn-5000c500a1b2c3d4` of `0x5000c500a1b2c3d4`, `nvme-eui.0025...` of `eui.0025...`. What the kernel makes up of vendor,
/// serial number and model (`nvme.1b36-...`) is too long to type, and says no more than these.
fn by_wwn(wwn: &str) -> Option<String> {
    let text = wwn.trim().to_ascii_lowercase();
    let (kind, digits) = match text.split_once('.') {
        Some((kind @ ("eui" | "naa" | "uuid"), digits)) => (format!("nvme-{kind}."), digits),
        Some(_) => return None,
        None => ("wwn-".to_owned(), text.strip_prefix("0x").unwrap_or(&text)),
    };
    let digits: String = digits.chars().filter(|c| *c != '-').collect();
    let hex = (8..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    // Drives whose maker filled nothing in have nothing but zeros behind the first digit.
    let filled = digits.bytes().skip(1).any(|b| b != b'0') && digits.bytes().any(|b| b != b'f');
    (hex && filled).then(|| format!("{kind}{digits}"))
}

/// Small letters, digits, `-` and `.`; what is none becomes one `-`.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars().take(4 * LONGEST) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' => plain.push(c),
            _ if !plain.ends_with('-') => plain.push('-'),
            _ => {}
        }
    }
    plain.trim_matches(['-', '.']).to_owned()
}

/// A serial number that is none: empty, or one sign again and again.
fn has_digits(serial: &str) -> bool {
    let mut signs = serial.chars().filter(|c| c.is_ascii_alphanumeric());
    let first = signs.next();
    first.is_some() && signs.any(|c| Some(c) != first)
}

/// Bounded by its end: where serial numbers differ.
fn cut(id: &str) -> String {
    let more = id.len().saturating_sub(LONGEST);
    if more == 0 { id.to_owned() } else { format!("{}{}", &id[..3], &id[more + 3..]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn drives_are_known_by_what_they_bring_along() {
        let rows = [
            ("SAS", "0x5000c500a1b2c3d4", "ST4000", "Z1", true, "wwn-5000c500a1b2c3d4"),
            (
                "SAS, long",
                "0x6001405F00000000A1B2C3D4E5F60718",
                "x",
                "y1",
                true,
                "wwn-6001405f00000000a1b2c3d4e5f60718",
            ),
            ("NVMe", "eui.0025388b91b0a1c2", "Samsung SSD", "S3Y9", true, "nvme-eui.0025388b91b0a1c2"),
            (
                "NVMe with a name that the kernel made up",
                "nvme.1b36-6162-51454d55-00000001",
                "QEMU NVMe Ctrl",
                "ab12",
                true,
                "sn-qemu-nvme-ctrl-ab12",
            ),
            ("virtio with a serial number", "", "", "spare1", true, "sn-spare1"),
            ("a name of zeros", "0x5000000000000000", "CHEAP", "A1", true, "sn-cheap-a1"),
            ("a name of ones", "0xffffffffffffffff", "CHEAP", "A1", true, "sn-cheap-a1"),
            ("a serial number of zeros", "", "CHEAP", "0000000000", false, "at-pci-0000-00-04.0"),
            ("nothing at all", "", "", "", false, "at-pci-0000-00-04.0"),
            ("hostile", "", "a/../b\u{1b}[2J", "x\n1", true, "sn-a-..-b-2j-x-1"),
        ];
        for (name, wwn, model, serial, stable, id) in rows {
            let got = identify(wwn, model, serial, "pci-0000:00:04.0", "vdb");
            assert_eq!((got.id.as_str(), got.stable), (id, stable), "{name}");
        }
        assert_eq!(identify("", "", "", "", "vdb").id, "at-vdb");
        assert_eq!(told(" a\u{1b}b "), "a?b");
    }

    proptest! {
        #[test]
        fn drives_names_are_always_good_for_a_key(
            wwn in ".{0,80}", model in ".{0,80}", serial in ".{0,200}", path in ".{0,80}",
        ) {
            let got = identify(&wwn, &model, &serial, &path, "vdb");
            prop_assert!(is_id(&got.id), "{:?}", got.id);
            prop_assert!(told(&serial).chars().count() <= TEXT);
        }

        #[test]
        fn drives_of_long_serial_numbers_differ(a in "[a-z0-9]{60,70}", b in "[a-z0-9]{12}", c in "[a-z0-9]{12}") {
            prop_assume!(b != c);
            let of = |end: &str| identify("", "model", &format!("{a}{end}"), "", "vdb").id;
            prop_assert_ne!(of(&b), of(&c));
        }
    }
}
