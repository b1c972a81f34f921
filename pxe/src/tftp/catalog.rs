//! Which names TFTP gives out, and what is behind each: an allow-list, so that no name is ever a path.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The name under which iPXE looks for its script before anything else.
pub const AUTOEXEC: &str = "autoexec.ipxe";

/// Files that are given out, whole in memory: the boot loaders are few and small.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    files: BTreeMap<String, Arc<[u8]>>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This file.
    File(Arc<[u8]>),
    /// The script that is made for each client.
    Autoexec,
}

impl Catalog {
    /// Adds a file.
    pub fn insert(&mut self, name: &str, content: Arc<[u8]>) {
        self.files.insert(name.to_owned(), content);
    }

    /// Names and sizes, in order.
    pub fn list(&self) -> impl Iterator<Item = (&str, usize)> {
        self.files.iter().map(|(name, content)| (name.as_str(), content.len()))
    }

    /// Looks a name up as clients write them: a slash or backslash in front, and the directory of the bundle, are
    /// the same file.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Found> {
        let name = name.trim_start_matches(['/', '\\']);
        let name = name.strip_prefix("boot/net/").unwrap_or(name);
        if name == AUTOEXEC {
            return Some(Found::Autoexec);
        }
        self.files.get(name).cloned().map(Found::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_are_found() {
        let mut catalog = Catalog::default();
        catalog.insert("ipxe.efi", b"loader".as_slice().into());
        let file = || Some(Found::File(b"loader".as_slice().into()));
        let rows: &[(&str, Option<Found>)] = &[
            ("ipxe.efi", file()),
            ("/ipxe.efi", file()),
            ("\\ipxe.efi", file()),
            ("boot/net/ipxe.efi", file()),
            ("/boot/net/ipxe.efi", file()),
            ("/boot/net/autoexec.ipxe", Some(Found::Autoexec)),
            ("autoexec.ipxe", Some(Found::Autoexec)),
            ("../ipxe.efi", None),
            ("boot/../ipxe.efi", None),
            ("/etc/passwd", None),
            ("IPXE.EFI", None),
            ("", None),
            ("boot/net/", None),
        ];
        for (name, wanted) in rows {
            assert_eq!(catalog.find(name), *wanted, "{name}");
        }
    }
}
