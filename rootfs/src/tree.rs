//! A file tree in memory, with owners and modes: read from tar, changed, written as tar or cpio. Sorted by path, so
//! that the same tree is always the same bytes.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// A file tree; paths have no leading `/`.
#[derive(Debug, Clone, Default)]
pub struct Tree(BTreeMap<String, Entry>);

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir,
    /// A regular file.
    File(Vec<u8>),
    /// A symbolic link, to this.
    Symlink(String),
    /// Another name of the regular file at this path.
    Hardlink(String),
    /// A character device, major and minor.
    Char(u32, u32),
}

impl Entry {
    /// A directory of root's, mode 0755.
    #[must_use]
    pub fn dir() -> Self {
        Self { node: Node::Dir, mode: 0o755, uid: 0, gid: 0 }
    }

    /// A regular file of root's.
    #[must_use]
    pub fn file(content: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self { node: Node::File(content.into()), mode, uid: 0, gid: 0 }
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(target: impl Into<String>) -> Self {
        Self { node: Node::Symlink(target.into()), mode: 0o777, uid: 0, gid: 0 }
    }
}

impl Tree {
    /// Puts `entry` at `path`, over what is there; directories that lead to it are made where missing.
    pub fn insert(&mut self, path: impl Into<String>, entry: Entry) {
        let path = path.into();
        for (at, _) in path.match_indices('/') {
            self.0.entry(path[..at].to_owned()).or_insert_with(Entry::dir);
        }
        self.0.insert(path, entry);
    }

    /// The entry at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// All entries, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Puts all of `other` into this tree, over what is there.
    pub fn merge(&mut self, other: Self) {
        for (path, entry) in other.0 {
            self.insert(path, entry);
        }
    }

    /// The same tree in a directory `dir`.
    #[must_use]
    pub fn under(self, dir: &str) -> Self {
        let mut tree = Self::default();
        for (path, entry) in self.0 {
            tree.insert(format!("{dir}/{path}"), entry);
        }
        tree
    }

    /// Takes out every path of which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|path, _| keep(path));
    }

    /// Reads a tar archive but what `skip` says to leave out.
    ///
    /// # Errors
    /// When the archive is broken, or has something that a tree cannot hold; the path is named.
    pub fn read_tar(reader: impl Read, mut skip: impl FnMut(&str) -> bool) -> io::Result<Self> {
        let mut tree = Self::default();
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = clean_path(&entry.path()?.to_string_lossy());
            if path.is_empty() || skip(&path) {
                continue;
            }
            let header = entry.header();
            let (mode, uid, gid) = (header.mode()? & 0o7777, id(header.uid()?)?, id(header.gid()?)?);
            let node = match read_node(&mut entry, &path)? {
                Some(node) => node,
                None => continue,
            };
            tree.insert(path, Entry { node, mode, uid, gid });
        }
        Ok(tree)
    }

    /// Adds the tree to a tar archive, every file of the time `mtime`.
    ///
    /// # Errors
    /// When the writer fails or a path does not fit.
    pub fn append_to<W: Write>(&self, builder: &mut tar::Builder<W>, mtime: u64) -> io::Result<()> {
        for (path, entry) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(entry.uid.into());
            header.set_gid(entry.gid.into());
            header.set_mtime(mtime);
            header.set_size(0);
            match &entry.node {
                Node::Dir => {
                    header.set_entry_type(tar::EntryType::Directory);
                    builder.append_data(&mut header, format!("{path}/"), io::empty())?;
                }
                Node::File(content) => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, path, content.as_slice())?;
                }
                Node::Symlink(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    builder.append_link(&mut header, path, target)?;
                }
                Node::Hardlink(target) => {
                    header.set_entry_type(tar::EntryType::Link);
                    builder.append_link(&mut header, path, target)?;
                }
                Node::Char(major, minor) => {
                    header.set_entry_type(tar::EntryType::Char);
                    header.set_device_major(*major)?;
                    header.set_device_minor(*minor)?;
                    builder.append_data(&mut header, path, io::empty())?;
                }
            }
        }
        Ok(())
    }
}

/// What a file of an archive was, without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whether it is a directory.
    pub dir: bool,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What [`copy_tar`] copied and what it left out.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Copied, by path.
    pub kept: BTreeMap<String, Listed>,
    /// Left out, by path.
    pub skipped: BTreeMap<String, Listed>,
}

/// Copies a tar archive entry by entry into `builder`, every file of the time `mtime`, but what `skip` says to leave
/// out. Content goes through; nothing large is held in memory.
///
/// # Errors
/// When the archive is broken, has extended attributes that matter (a capability would be lost), or a hard link
/// whose file was left out; the path is named.
pub fn copy_tar<W: Write>(
    reader: impl Read,
    builder: &mut tar::Builder<W>,
    mtime: u64,
    mut skip: impl FnMut(&str) -> bool,
) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = clean_path(&entry.path()?.to_string_lossy());
        if path.is_empty() {
            continue;
        }
        let mut header = entry.header().clone();
        let kind = header.entry_type();
        let (mode, uid, gid) = (header.mode()? & 0o7777, id(header.uid()?)?, id(header.gid()?)?);
        let listed = Listed { dir: kind.is_dir(), mode, uid, gid };
        if skip(&path) {
            listing.skipped.insert(path, listed);
            continue;
        }
        refuse_capability(&mut entry, &path)?;
        header.set_mtime(mtime);
        match entry.link_name()?.map(|target| target.to_string_lossy().into_owned()) {
            Some(target) if kind.is_hard_link() => {
                let target = clean_path(&target);
                if !listing.kept.contains_key(&target) {
                    return Err(broken(&path, "a hard link to a file that is left out"));
                }
                builder.append_link(&mut header, &path, target)?;
            }
            Some(target) => builder.append_link(&mut header, &path, target)?,
            None if kind.is_dir() => builder.append_data(&mut header, format!("{path}/"), io::empty())?,
            None => builder.append_data(&mut header, &path, &mut entry)?,
        }
        listing.kept.insert(path, listed);
    }
    Ok(listing)
}

fn refuse_capability(entry: &mut tar::Entry<'_, impl Read>, path: &str) -> io::Result<()> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(()) };
    for extension in extensions {
        if extension?.key_bytes().ends_with(b"security.capability") {
            return Err(broken(path, "a program with file capabilities, which the image would lose"));
        }
    }
    Ok(())
}

/// A path of an archive as trees have it: without `./`, `/` in front and at the end.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let path = path.trim_end_matches('/').trim_start_matches("./").trim_start_matches('/');
    if path == "." { String::new() } else { path.to_owned() }
}

fn read_node(entry: &mut tar::Entry<'_, impl Read>, path: &str) -> io::Result<Option<Node>> {
    use tar::EntryType;
    let target = |entry: &tar::Entry<'_, _>| -> io::Result<String> {
        let name = entry.link_name()?.ok_or_else(|| broken(path, "a link without target"))?;
        Ok(name.to_string_lossy().into_owned())
    };
    Ok(Some(match entry.header().entry_type() {
        EntryType::Directory => Node::Dir,
        EntryType::Regular | EntryType::Continuous => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Node::File(content)
        }
        EntryType::Symlink => Node::Symlink(target(entry)?),
        EntryType::Link => Node::Hardlink(clean_path(&target(entry)?)),
        EntryType::Char => {
            let header = entry.header();
            let number = |n: Option<u32>| n.ok_or_else(|| broken(path, "a device without number"));
            Node::Char(number(header.device_major()?)?, number(header.device_minor()?)?)
        }
        EntryType::Fifo | EntryType::Block => return Ok(None), // none of Debian's packages has one
        _ => return Err(broken(path, "a kind of file that an image cannot have")),
    }))
}

fn broken(path: &str, problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} in the archive is {problem}"))
}

fn id(id: u64) -> io::Result<u32> {
    u32::try_from(id).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "an owner beyond 32 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(tree: &Tree) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        tree.append_to(&mut builder, 1).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_filtered_copy_lacks_what_was_skipped_and_reports_it() {
        let mut tree = Tree::default();
        tree.insert("var/lib/etcd", Entry { node: Node::Dir, mode: 0o700, uid: 101, gid: 103 });
        tree.insert("usr/bin/a", Entry::file("a", 0o755));
        let mut copy = tar::Builder::new(Vec::new());
        let listing =
            copy_tar(tar_of(&tree).as_slice(), &mut copy, 9, |path| path.starts_with("var/")).unwrap();
        let back = Tree::read_tar(copy.into_inner().unwrap().as_slice(), |_| false).unwrap();
        assert_eq!(
            back.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            ["usr", "usr/bin", "usr/bin/a", "var"]
        );
        assert_eq!(listing.skipped["var/lib/etcd"], Listed { dir: true, mode: 0o700, uid: 101, gid: 103 });
        assert!(listing.kept["usr/bin"].dir && !listing.kept["usr/bin/a"].dir);
    }

    #[test]
    fn a_copy_whose_hard_link_lost_its_file_is_refused() {
        let mut tree = Tree::default();
        tree.insert("a", Entry::file("a", 0o755));
        tree.insert("b", Entry { node: Node::Hardlink("a".to_owned()), ..Entry::file("", 0o755) });
        let copied =
            copy_tar(tar_of(&tree).as_slice(), &mut tar::Builder::new(io::sink()), 9, |path| path == "a");
        assert!(copied.unwrap_err().to_string().contains('b'));
    }

    #[test]
    fn tar_and_back_keeps_everything() {
        let mut tree = Tree::default();
        tree.insert("etc/shadow", Entry { node: Node::File(b"x".to_vec()), mode: 0o640, uid: 0, gid: 42 });
        tree.insert("usr/bin/sudo", Entry::file("s", 0o4755));
        tree.insert("bin", Entry::symlink("usr/bin"));
        tree.insert(
            "usr/bin/sudoedit",
            Entry { node: Node::Hardlink("usr/bin/sudo".to_owned()), ..Entry::file("", 0o4755) },
        );
        let long = format!("{}/name", "very-long-directory-name/".repeat(8).trim_end_matches('/'));
        tree.insert(long, Entry::file("deep", 0o644));
        let bytes = tar_of(&tree);
        let back = Tree::read_tar(bytes.as_slice(), |_| false).unwrap();
        assert_eq!(back.0, tree.0);
        let some = Tree::read_tar(bytes.as_slice(), |path| path.starts_with("usr")).unwrap();
        assert!(some.get("usr/bin/sudo").is_none() && some.get("etc/shadow").is_some());
    }

    #[test]
    fn a_cut_archive_is_an_error() {
        let mut tree = Tree::default();
        tree.insert("a", Entry::file(vec![1; 2000], 0o644));
        let bytes = tar_of(&tree);
        assert!(Tree::read_tar(&bytes[..1000], |_| false).is_err());
    }

    #[test]
    fn paths_are_cleaned() {
        for (name, path, wanted) in [
            ("root", "./", ""),
            ("directory", "./usr/", "usr"),
            ("hidden", "./.x", ".x"),
            ("absolute", "/a/b", "a/b"),
        ] {
            assert_eq!(clean_path(path), wanted, "{name}");
        }
    }
}
