//! `packages.lock`: the exact packages of every set.
//!
//! One line a package, sorted, columns separated by spaces: name, version, architecture, SHA-256, path in the
//! archive, sets. Two header lines: `inputs`, the digest of what was resolved, and `epoch`, the time of the lock,
//! which is the time of every file of a build (SOURCE_DATE_EPOCH).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::packages::SetName;

/// The lock file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// SHA-256 of [`crate::packages::Definition::resolution_inputs`] when it was made, hex.
    pub inputs: String,
    /// When it was made, seconds since 1970.
    pub epoch: u64,
    /// The packages, by name and architecture, sorted.
    pub packages: Vec<Locked>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// Name.
    pub name: String,
    /// Version, with its epoch.
    pub version: String,
    /// `amd64` or `all`.
    pub arch: String,
    /// SHA-256 of the `.deb`, hex.
    pub sha256: String,
    /// Path below the archive's root.
    pub path: String,
    /// Sets that it belongs to.
    pub sets: BTreeSet<SetName>,
}

/// A line of a lock file cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LockError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// What became of a package between two locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(String, String),
    /// It is gone.
    Removed(String, String),
    /// Its version, or its content under the same version, is another: name, old, new version.
    Moved(String, String, String),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Added(name, version) => write!(f, "{name} {version} is new"),
            Self::Removed(name, version) => write!(f, "{name} {version} is no longer needed"),
            Self::Moved(name, old, new) => write!(f, "{name} {old} -> {new}"),
        }
    }
}

impl Locked {
    /// The name of its `.deb` as apt writes it: the colon of a version's epoch is escaped.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.arch)
    }
}

impl Lock {
    /// The same with those packages alone that are `wanted`.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Locked) -> bool) -> Self {
        let packages = self.packages.iter().filter(|p| wanted(p)).cloned().collect();
        Self { packages, inputs: self.inputs.clone(), epoch: self.epoch }
    }

    /// Parses a lock file.
    ///
    /// # Errors
    /// [`LockError`], with the line.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let mut lock = Self::default();
        for (i, line) in text.lines().enumerate() {
            let fail = |problem| LockError { line: i + 1, problem };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split(' ').collect();
            match fields[..] {
                ["inputs", digest] => digest.clone_into(&mut lock.inputs),
                ["epoch", epoch] => {
                    lock.epoch = epoch.parse().map_err(|_| fail("the epoch is not a number of seconds"))?;
                }
                [name, version, arch, sha256, path, sets] => {
                    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                        return Err(fail("the fourth column is not a SHA-256"));
                    }
                    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                        return Err(fail("the path leads out of the archive"));
                    }
                    if name.contains('/') || version.contains('/') || arch.contains('/') {
                        return Err(fail("a name with a slash"));
                    }
                    let sets = sets.split(',').map(SetName::parse).collect::<Option<_>>();
                    lock.packages.push(Locked {
                        name: name.to_owned(),
                        version: version.to_owned(),
                        arch: arch.to_owned(),
                        sha256: sha256.to_owned(),
                        path: path.to_owned(),
                        sets: sets.ok_or_else(|| fail("an unknown package set"))?,
                    });
                }
                _ => return Err(fail("neither a package with six columns nor a header line")),
            }
        }
        lock.packages.sort();
        Ok(lock)
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            String::from("# Made by `maekin-image relock`; see rootfs/src/lock.rs for the columns.\n");
        let _ = write!(text, "inputs {}\nepoch {}\n", self.inputs, self.epoch); // a String takes all
        let mut packages = self.packages.clone();
        packages.sort();
        for p in &packages {
            let sets: Vec<_> = p.sets.iter().map(|set| set.text()).collect();
            let (name, version, arch, sha256, path) = (&p.name, &p.version, &p.arch, &p.sha256, &p.path);
            let _ = writeln!(text, "{name} {version} {arch} {sha256} {path} {}", sets.join(","));
        }
        text
    }

    /// The packages of one set, sorted.
    pub fn set(&self, set: SetName) -> impl Iterator<Item = &Locked> {
        self.packages.iter().filter(move |p| p.sets.contains(&set))
    }

    /// The version of a package.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&str> {
        self.packages.iter().find(|p| p.name == name).map(|p| p.version.as_str())
    }
}

/// What changed from `old` to `new`, by name.
#[must_use]
pub fn diff(old: &Lock, new: &Lock) -> Vec<Change> {
    let by_name = |lock: &Lock| -> BTreeMap<(String, String), (String, String)> {
        let key = |p: &Locked| (p.name.clone(), p.arch.clone());
        lock.packages.iter().map(|p| (key(p), (p.version.clone(), p.sha256.clone()))).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut changes = Vec::new();
    for (key, (version, sha256)) in &old {
        match new.get(key) {
            None => changes.push(Change::Removed(key.0.clone(), version.clone())),
            Some((v, s)) if v != version || s != sha256 => {
                changes.push(Change::Moved(key.0.clone(), version.clone(), v.clone()));
            }
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    changes.extend(added.map(|(key, (version, _))| Change::Added(key.0.clone(), version.clone())));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Locked {
        Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "amd64".to_owned(),
            sha256: "ab".repeat(32),
            path: format!("pool/{name}.deb"),
            sets: BTreeSet::from([SetName::Root, SetName::Tools]),
        }
    }

    fn lock(packages: &[(&str, &str)]) -> Lock {
        let packages = packages.iter().map(|(n, v)| package(n, v)).collect();
        Lock { inputs: "cd".repeat(32), epoch: 7, packages }
    }

    #[test]
    fn text_and_back() {
        let lock = lock(&[("bash", "5.2-1"), ("libvdeplug2t64", "1:4.0.1-5.1+b1")]);
        assert_eq!(Lock::parse(&lock.text()).unwrap(), lock);
        assert_eq!(lock.packages[1].file_name(), "libvdeplug2t64_1%3a4.0.1-5.1+b1_amd64.deb");
    }

    #[test]
    fn broken_lines_are_named() {
        let digest = "ab".repeat(32);
        let rows = [
            ("too few columns", "bash 1 amd64".to_owned()),
            ("short digest", "bash 1 amd64 abcd pool/x root".to_owned()),
            ("no digest", format!("bash 1 amd64 {} pool/x root", "zz".repeat(32))),
            ("unknown set", format!("bash 1 amd64 {digest} pool/x rooot")),
            ("path upwards", format!("bash 1 amd64 {digest} pool/../../x root")),
            ("absolute path", format!("bash 1 amd64 {digest} /etc/passwd root")),
            ("name with a slash", format!("../bash 1 amd64 {digest} pool/x root")),
            ("epoch", "epoch yesterday".to_owned()),
        ];
        for (name, line) in rows {
            assert_eq!(Lock::parse(&format!("# head\n{line}\n")).unwrap_err().line, 2, "{name}");
        }
    }

    #[test]
    fn changes_between_locks() {
        let old = lock(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let mut new = lock(&[("a", "1"), ("b", "2"), ("d", "1")]);
        let changes: Vec<_> = diff(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(changes, ["b 1 -> 2", "c 1 is no longer needed", "d 1 is new"]);
        assert_eq!(diff(&old, &old), []);
        new = old.clone();
        new.packages[0].sha256 = "00".repeat(32);
        assert_eq!(diff(&old, &new).len(), 1, "the same version with other content has moved");
    }
}
