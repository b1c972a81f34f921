//! Consent is given to a content, not to a drive's name: a token is a digest over which drive it is and what is on it.
//! When either changes, the token no longer fits, and nothing is written.

use maekin_image::manifest::sha256_hex;

use crate::facts::Disk;

/// The token that stands for "what is on this drive now may be destroyed": `0123-4567-89ab-cdef`.
#[must_use]
pub fn token(disk: &Disk) -> String {
    let contents = &disk.contents;
    let mut text =
        format!("maekin consent 2\n{}\n{}\n{}\n{}\n", disk.serial, disk.wwn, disk.model, disk.size);
    text += &format!("{}\n", contents.ends);
    let mut add = |place: u32, s: &maekin_host::block::Signature| {
        text += &format!("{place} {} {} {:?} {:?}\n", s.offset, s.r#type, s.uuid, s.label);
    };
    for signature in &contents.signatures {
        add(0, signature);
    }
    for part in &contents.partitions {
        for signature in &part.signatures {
            add(part.number, signature);
        }
    }
    for p in &contents.partitions {
        text += &format!("{} {} {} {} {} {:?}\n", p.number, p.start, p.size, p.guid, p.kind, p.label);
    }
    for (place, details) in std::iter::once((0, &contents.details))
        .chain(contents.partitions.iter().map(|p| (p.number, &p.details)))
    {
        text += &details.iter().map(|detail| format!("{place} {detail:?}\n")).collect::<String>();
    }
    let hex = sha256_hex(text.as_bytes());
    [&hex[..4], &hex[4..8], &hex[8..12], &hex[12..16]].join("-")
}

/// Whether `text` has the form of a token.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 4 && groups.iter().all(|group| maekin_rootfs::validate::is_hex(group, 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::{disk, used};

    #[test]
    fn a_token_is_bound_to_the_drive_and_to_what_is_on_it() {
        let old = used("vda", 12);
        assert!(is_token(&token(&old)));
        assert_eq!(token(&old), token(&Disk { name: "vdb".into(), path: "/dev/vdb".into(), ..old.clone() }));
        let mut label = old.clone();
        label.contents.signatures[0].label = None;
        let mut ends = old.clone();
        ends.contents.ends = "f".repeat(64);
        let rows = [
            ("another serial number", Disk { serial: "other".into(), ..old.clone() }),
            ("another size", Disk { size: old.size + 512, ..old.clone() }),
            ("another label", label),
            ("other bytes at its ends", ends),
            ("blank", Disk { serial: old.serial.clone(), ..disk("vda", 12) }),
        ];
        for (name, changed) in rows {
            assert_ne!(token(&old), token(&changed), "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_taken_for_one() {
        for text in
            ["", "yes", "0123-4567-89ab", "0123-4567-89ab-cdeg", "0123-4567-89AB-CDEF", "01234-567-89ab-cdef"]
        {
            assert!(!is_token(text), "{text}");
        }
    }
}
