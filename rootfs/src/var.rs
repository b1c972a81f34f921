//! `/var` of a node is a file system of its own, empty on the first boot. Its directories as Debian's packages made
//! them go into a tmpfiles.d file, which makes them, with their owners, on every boot where they are missing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::glob;
use crate::tree::Listed;

/// Directories below `/var` that only the packaging tools use.
const NOT_NEEDED: [&str; 12] = [
    "var/backups",
    "var/cache/adduser",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/pam",
    "var/lib/python",
    "var/lib/sgml-base",
    "var/lib/systemd/deb-systemd-*",
    "var/lib/ucf",
    "var/lib/xml-core",
];

/// The text of a tmpfiles.d file for the directories among `skipped` that lie below `var/`.
#[must_use]
pub fn tmpfiles(skipped: &BTreeMap<String, Listed>) -> String {
    let mut text = String::from("# Directories of Debian's packages; made by the image builder.\n");
    for (path, file) in skipped {
        let wanted =
            path.starts_with("var/") && !NOT_NEEDED.iter().any(|pattern| glob::covers(pattern, path));
        if file.dir && wanted && !path.contains(char::is_whitespace) {
            let _ = writeln!(text, "d /{path} {:04o} {} {} -", file.mode, file.uid, file.gid); // a String takes all
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_var_with_their_owners() {
        let dir = |mode, uid| Listed { dir: true, mode, uid, gid: uid };
        let skipped = BTreeMap::from([
            ("tmp/x".to_owned(), dir(0o755, 0)),
            ("var/lib/dpkg/info".to_owned(), dir(0o755, 0)),
            ("var/lib/etcd".to_owned(), dir(0o700, 101)),
            ("var/lib/etcd/file".to_owned(), Listed { dir: false, ..dir(0o644, 0) }),
            ("var/local".to_owned(), dir(0o2775, 50)),
        ]);
        let text = tmpfiles(&skipped);
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(lines, ["d /var/lib/etcd 0700 101 101 -", "d /var/local 2775 50 50 -"]);
    }
}
