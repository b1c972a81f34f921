//! A tree as initramfs: cpio in the newc format, as the kernel's `Documentation/driver-api/early-userspace/
//! buffer-format.rst` has it. Inode numbers count from 1 in the order of paths and all times are given, so the same
//! tree is the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::tree::{Node, Tree};

const DIR: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHAR: u32 = 0o020_000;
/// Segments of an initrd start at multiples of this many bytes; the kernel skips zeros between them.
pub const ALIGNMENT: usize = 512;

/// Writes `tree` as a cpio archive with its trailer, every file of the time `mtime`.
///
/// # Errors
/// When `writer` fails, a file is larger than the format allows, or a hard link has no file.
pub fn write(tree: &Tree, mtime: u32, mut writer: impl Write) -> io::Result<()> {
    let links = hard_links(tree)?;
    for (ino, (path, entry)) in (1..).zip(tree.iter()) {
        let header = |kind: u32| {
            cpio::NewcBuilder::new(path)
                .ino(ino)
                .mode(kind | entry.mode)
                .uid(entry.uid)
                .gid(entry.gid)
                .mtime(mtime)
        };
        let none: &[u8] = &[];
        let (header, content) = match &entry.node {
            Node::Dir => (header(DIR).nlink(2), none),
            Node::Symlink(target) => (header(SYMLINK).nlink(1), target.as_bytes()),
            Node::Char(major, minor) => (header(CHAR).nlink(1).rdev_major(*major).rdev_minor(*minor), none),
            // All names of one file come with its content: the kernel makes them links of the first by inode number.
            Node::File(content) => match links.get(path) {
                Some(link) => (header(REGULAR).ino(link.ino).nlink(link.count), content.as_slice()),
                None => (header(REGULAR).nlink(1), content.as_slice()),
            },
            Node::Hardlink(target) => {
                let link = &links[target.as_str()];
                (header(REGULAR).ino(link.ino).nlink(link.count), link.content)
            }
        };
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("{path} is too large for cpio"))
        })?;
        let mut file = header.write(&mut writer, size);
        file.write_all(content)?;
        file.finish()?;
    }
    cpio::newc::trailer(&mut writer)?;
    Ok(())
}

/// Pads `segment` with zeros so that another may follow.
pub fn pad(segment: &mut Vec<u8>) {
    segment.resize(segment.len().next_multiple_of(ALIGNMENT), 0);
}

struct Link<'a> {
    ino: u32,
    count: u32,
    content: &'a [u8],
}

/// The files with more than one name, by the name that holds the content.
fn hard_links(tree: &Tree) -> io::Result<BTreeMap<&str, Link<'_>>> {
    let mut links = BTreeMap::<&str, Link<'_>>::new();
    for (path, entry) in tree.iter() {
        let Node::Hardlink(target) = &entry.node else { continue };
        let Some(Node::File(content)) = tree.get(target).map(|entry| &entry.node) else {
            let text = format!("{path} is a hard link to {target}, which is not in the tree");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        links.entry(target).or_insert(Link { ino: 0, count: 1, content }).count += 1;
    }
    for (ino, (path, _)) in (1..).zip(tree.iter()) {
        if let Some(link) = links.get_mut(path) {
            link.ino = ino;
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.insert("init", Entry::symlink("usr/lib/systemd/systemd"));
        tree.insert("usr/bin/b", Entry::file("content", 0o755));
        tree.insert(
            "usr/bin/a",
            Entry { node: Node::Hardlink("usr/bin/b".to_owned()), ..Entry::file("", 0o755) },
        );
        tree.insert("dev/console", Entry { node: Node::Char(5, 1), mode: 0o600, uid: 0, gid: 0 });
        tree
    }

    fn entries(bytes: &[u8]) -> Vec<(String, u32, u32, u32, u32)> {
        let mut rest = bytes;
        let mut found = Vec::new();
        loop {
            let reader = cpio::NewcReader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                return found;
            }
            found.push((
                entry.name().to_owned(),
                entry.mode(),
                entry.ino(),
                entry.nlink(),
                entry.file_size(),
            ));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn directories_come_before_their_content_and_links_share_an_inode() {
        let mut bytes = Vec::new();
        write(&tree(), 7, &mut bytes).unwrap();
        let row = |name: &str, mode, ino, nlink, size| (name.to_owned(), mode, ino, nlink, size);
        assert_eq!(
            entries(&bytes),
            [
                row("dev", 0o040_755, 1, 2, 0),
                row("dev/console", 0o020_600, 2, 1, 0),
                row("init", 0o120_777, 3, 1, 23),
                row("usr", 0o040_755, 4, 2, 0),
                row("usr/bin", 0o040_755, 5, 2, 0),
                row("usr/bin/a", 0o100_755, 7, 2, 7),
                row("usr/bin/b", 0o100_755, 7, 2, 7),
            ]
        );
    }

    #[test]
    fn the_same_tree_is_the_same_bytes() {
        let (mut one, mut two) = (Vec::new(), Vec::new());
        write(&tree(), 7, &mut one).unwrap();
        write(&tree(), 7, &mut two).unwrap();
        assert_eq!(one, two);
        pad(&mut one);
        assert!(one.len().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn a_link_to_nothing_is_refused() {
        let mut tree = tree();
        tree.retain(|path| path != "usr/bin/b");
        assert!(write(&tree, 0, Vec::new()).unwrap_err().to_string().contains("usr/bin/a"));
    }
}
