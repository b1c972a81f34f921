//! Which names TFTP gives out, and what is behind each: an allow-list, so that no name is ever a path.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The name under which iPXE looks for its script before anything else.
pub const AUTOEXEC: &str = "autoexec.ipxe";

/// What shim and GRUB ask for and do well without: lists of what is revoked, and lists of modules.
#[must_use]
pub fn is_optional(name: &str) -> bool {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let list = name.ends_with(".lst") || name.starts_with("revocations_");
    list || name.starts_with("shim_certificate_") || name == "mmx64.efi"
}

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
    fn what_shim_and_grub_do_without_is_no_news() {
        let optional =
            ["revocations_sku.efi", "shim_certificate_0.efi", "/grub/x86_64-efi/command.lst", "\\mmx64.efi"];
        for (name, is) in optional.map(|name| (name, true)).into_iter().chain([("grubx64.efi", false)]) {
            assert_eq!(is_optional(name), is, "{name}");
        }
    }

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
