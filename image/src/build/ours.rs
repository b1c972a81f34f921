//! Our own files: programs, units and settings, and how they get into a root image that is not compressed again for
//! them. Their contents lie in one directory, `/maekin`, added behind Debian's part; Debian's part has symbolic links
//! to them at their places. So only a new *name* makes the large part anew.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use maekin_image::manifest::PUBLIC_KEY_PATH;
use maekin_rootfs::tree::{Entry, Node, Tree};

use super::host_tree;

/// Directory of our files' contents in the root image.
pub(crate) const DIR: &str = "maekin";

/// Our programs, as cargo made them.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) installer: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) pxe: PathBuf,
    pub(crate) cli: PathBuf,
}

/// Our files.
pub(crate) struct Ours {
    /// Of the root image, at their places.
    pub(crate) root: Tree,
    /// Of the initrd.
    pub(crate) initrd: Tree,
}

impl Ours {
    /// Collects the files of `rootfs/files` and the programs.
    pub(crate) fn collect(
        files: &Path,
        programs: &Programs,
        public_key: &str,
        version: &str,
        lock: &str,
    ) -> Result<Self> {
        let program = |path: &Path| {
            let entry = host_tree::file(path);
            entry.context("our programs are not built; run `cargo build --release -p maekin-installer -p maekin-agent -p maekin-pxe -p maekin-cli`")
        };
        let key = PUBLIC_KEY_PATH.trim_start_matches('/');
        let mut root = host_tree::read(&files.join("root"))?;
        root.insert("usr/bin/maekin-agent", program(&programs.agent)?);
        root.insert("usr/bin/maekin-pxe", program(&programs.pxe)?);
        root.insert("usr/bin/maekin", program(&programs.cli)?);
        // It heals the boot drives of a running node.
        root.insert("usr/bin/maekin-installer", program(&programs.installer)?);
        root.insert(key, Entry::file(public_key, 0o644));
        root.insert("usr/share/maekin/packages.lock", Entry::file(lock, 0o644));
        root.insert("usr/lib/os-release", Entry::file(os_release(version), 0o644));
        let mut initrd = host_tree::read(&files.join("initrd"))?;
        initrd.insert("usr/bin/maekin-installer", program(&programs.installer)?);
        initrd.insert(key, Entry::file(public_key, 0o644));
        Ok(Self { root, initrd })
    }

    /// What of the root's files Debian's part has: links to their contents, and what has no content.
    pub(crate) fn links(&self) -> Tree {
        let mut tree = Tree::default();
        for (path, entry) in self.root.iter() {
            let entry = match &entry.node {
                Node::File(_) => {
                    let up = "../".repeat(path.matches('/').count());
                    Entry::symlink(format!("{up}{DIR}/{path}"))
                }
                _ => entry.clone(),
            };
            tree.insert(path, entry);
        }
        tree
    }

    /// The contents of the root's files, below [`DIR`].
    pub(crate) fn contents(&self) -> Tree {
        let mut tree = Tree::default();
        for (path, entry) in self.root.iter().filter(|(_, entry)| matches!(entry.node, Node::File(_))) {
            tree.insert(format!("{DIR}/{path}"), entry.clone());
        }
        tree
    }
}

/// os-release(5) of the root image.
fn os_release(version: &str) -> String {
    format!(
        "PRETTY_NAME=\"Maekin {version}\"\nNAME=\"Maekin\"\nID=maekin\nID_LIKE=debian\nVERSION_ID=\"{version}\"\n\
         IMAGE_ID=maekin\nIMAGE_VERSION=\"{version}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(content: &str) -> Ours {
        let mut root = Tree::default();
        root.insert("usr/bin/agent", Entry::file(content, 0o755));
        root.insert("usr/lib/wants/a.service", Entry::symlink("../a.service"));
        Ours { root, initrd: Tree::default() }
    }

    #[test]
    fn links_lead_to_contents_from_any_depth() {
        let ours = ours("x");
        let (links, contents) = (ours.links(), ours.contents());
        let link = links.get("usr/bin/agent").unwrap();
        let target = host_tree::link_target("usr/bin/agent", link).unwrap();
        assert_eq!(contents.get(&target), Some(&Entry::file("x", 0o755)));
        assert_eq!(links.get("usr/lib/wants/a.service"), Some(&Entry::symlink("../a.service")));
    }

    #[test]
    fn another_content_is_the_same_links() {
        let paths = |ours: Ours| format!("{:?}", ours.links());
        assert_eq!(paths(ours("x")), paths(ours("y")));
    }
}
