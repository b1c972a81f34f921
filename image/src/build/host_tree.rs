//! Directories of the build machine as trees: everything belongs to root, and of a file's mode only whether it may be
//! run is taken, so that neither the umask nor who checked the sources out shows in the image.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use maekin_rootfs::tree::{Entry, Node, Tree};

/// Reads `dir` with all that is in it.
pub(crate) fn read(dir: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    read_into(&mut tree, dir, "")?;
    Ok(tree)
}

fn read_into(tree: &mut Tree, dir: &Path, prefix: &str) -> Result<()> {
    let entries =
        fs::read_dir(dir).with_context(|| format!("cannot read the directory {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read the directory {}", dir.display()))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            bail!("{} has a name that is not UTF-8", entry.path().display())
        };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            tree.insert(&path, Entry::dir());
            read_into(tree, &entry.path(), &format!("{path}/"))?;
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            tree.insert(path, Entry::symlink(target));
        } else if kind.is_file() {
            tree.insert(path, file(&entry.path())?);
        } else {
            bail!("{} is neither a file, a directory nor a symbolic link", entry.path().display());
        }
    }
    Ok(())
}

/// Reads one regular file.
pub(crate) fn file(path: &Path) -> Result<Entry> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let run = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
    Ok(Entry::file(content, if run { 0o755 } else { 0o644 }))
}

/// The path within its tree that a symbolic link at `path` leads to, if it is one and stays inside.
pub(crate) fn link_target(path: &str, entry: &Entry) -> Option<String> {
    let Node::Symlink(target) = &entry.node else { return None };
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_within_the_tree() {
        let rows = [
            ("beside", "a/b", "c", Some("a/c")),
            ("up", "a/b/c", "../d", Some("a/d")),
            ("out", "a", "../../d", None),
        ];
        for (name, path, target, wanted) in rows {
            assert_eq!(link_target(path, &Entry::symlink(target)).as_deref(), wanted, "{name}");
        }
        assert_eq!(link_target("a", &Entry::dir()), None);
    }

    #[test]
    fn modes_and_owners_are_normal() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for (name, mode) in [("run", 0o700), ("read", 0o600)] {
            let path = dir.path().join("sub").join(name);
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let tree = read(dir.path()).unwrap();
        assert_eq!(tree.get("sub/run").unwrap(), &Entry::file("run", 0o755));
        assert_eq!(tree.get("sub/read").unwrap(), &Entry::file("read", 0o644));
    }
}
