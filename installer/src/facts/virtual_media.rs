//! Media that management controllers show to a machine as USB drives: an image on somebody's laptop, or a folder. They
//! look like drives and can be written to, and must never be taken for one.

use maekin_rootfs::glob::name_matches;

use super::Disk;

/// Vendor and model as they are reported, lower case, `*` for any characters; and whose they are.
const KNOWN: [(&str, &str, &str); 13] = [
    ("ami", "virtual *", "the management controller (AMI MegaRAC)"),
    ("idrac", "*", "the management controller (Dell iDRAC)"),
    ("ilo", "*", "the management controller (HPE iLO)"),
    ("aten", "virtual*", "the management controller (ATEN, Supermicro)"),
    ("pepps", "*", "the management controller (Raritan, Supermicro)"),
    ("openbmc", "*", "the management controller (OpenBMC)"),
    ("linux", "file-*stor gadget*", "the management controller (OpenBMC)"),
    ("fts", "remote storage*", "the management controller (Fujitsu iRMC)"),
    ("cisco", "*-mapped v*", "the management controller (Cisco CIMC)"),
    ("*", "cimc-mapped v*", "the management controller (Cisco CIMC)"),
    ("pikvm", "*", "PiKVM"),
    ("*", "virtual media*", "a management controller"),
    ("*", "virtual hdisk*", "a management controller"),
];

/// What virtual USB drives are called by makers that are not in the table.
const KINDS: [&str; 6] =
    ["virtual hdd*", "virtual fdd*", "virtual floppy*", "virtual cd*", "virtual dvd*", "virtual usb key*"];

/// Who shows this drive to the machine, where it is no real one. Only USB is looked at: a hypervisor's virtual disk is a
/// machine's real one.
#[must_use]
pub fn shown_by(vendor: &str, disk: &Disk) -> Option<String> {
    if disk.transport != "usb" {
        return None;
    }
    let plain = |text: &str| text.trim().to_lowercase().replace('_', " ");
    let (vendor, model) = (plain(vendor), plain(&disk.model));
    // lsblk gives the vendor alone or, from USB's own strings, before the model.
    let short = model.strip_prefix(vendor.as_str()).map_or(model.as_str(), str::trim);
    let whole = [vendor.as_str(), model.as_str()].join(" ");
    let fits = |pattern: &str| [short, &model, whole.as_str()].iter().any(|name| name_matches(pattern, name));
    let known = KNOWN.iter().find(|(v, m, _)| name_matches(v, &vendor) && fits(m));
    known
        .map(|(_, _, who)| (*who).to_owned())
        .or_else(|| KINDS.iter().any(|kind| fits(kind)).then(|| "a management controller".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_of_management_controllers_are_told_from_drives() {
        let rows = [
            ("AMI", "Virtual HDisk0", "usb", Some("AMI")),
            ("AMI", "Virtual_HDisk0", "usb", Some("AMI")),
            ("AMI", "AMI Virtual HDISK0", "usb", Some("AMI")),
            ("AMI", "Virtual Floppy0", "usb", Some("AMI")),
            ("iDRAC", "Virtual Floppy", "usb", Some("iDRAC")),
            ("iDRAC", "LCDRIVE", "usb", Some("iDRAC")),
            ("iLO", "Virtual USB Key", "usb", Some("iLO")),
            ("ATEN", "Virtual Disk", "usb", Some("ATEN")),
            ("Linux", "File-Stor Gadget", "usb", Some("OpenBMC")),
            ("Linux", "File-CD Gadget", "usb", None),
            ("OpenBMC", "Virtual Media Device", "usb", Some("OpenBMC")),
            ("FTS", "Remote Storage0", "usb", Some("iRMC")),
            ("Cisco", "vKVM-Mapped vHDD", "usb", Some("CIMC")),
            ("Cisco", "CIMC-Mapped vHDD", "usb", Some("CIMC")),
            ("PiKVM", "Flash Drive", "usb", Some("PiKVM")),
            ("", "Virtual Media", "usb", Some("controller")),
            ("Acme", "Virtual HDD 1", "usb", Some("controller")),
            // Real drives and hypervisors' disks.
            ("SanDisk", "Ultra Fit", "usb", None),
            ("HP iLO", "Internal SD-CARD", "usb", None),
            ("Msft", "Virtual Disk", "sas", None),
            ("VMware", "Virtual disk", "spi", None),
            ("VMware", "Virtual NVMe Disk", "nvme", None),
            ("Samsung", "Virtually indestructible", "usb", None),
            ("", "", "usb", None),
        ];
        for (vendor, model, transport, want) in rows {
            let disk = Disk { model: model.to_owned(), transport: transport.to_owned(), ..Disk::default() };
            let got = shown_by(vendor, &disk);
            match want {
                Some(who) => {
                    assert!(got.as_deref().is_some_and(|got| got.contains(who)), "{vendor} {model}: {got:?}");
                }
                None => assert_eq!(got, None, "{vendor} {model}"),
            }
        }
    }
}
