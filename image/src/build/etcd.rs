//! The record's programs as they ship, left in the output: what is tested on this machine is then what runs on the nodes.
//! Of the packages only these programs are taken, which need no more than a C library; the rest of the image needs one as
//! new as itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use maekin_host::cmd::Cmd;
use maekin_host::file;
use maekin_rootfs::lock::{Lock, Locked};
use maekin_rootfs::packages::SetName;

use super::cache::{Cache, remove};
use super::debs;
use super::steps::Steps;

/// Directory of the output that they lie in, and nothing else that is run. `xtask` looks there.
const DIR: &str = "etcd";
/// Beside them: the packages that they are from.
const FROM: &str = "packages";
const PROGRAMS: [&str; 3] = ["etcd", "etcdctl", "etcdutl"];
const PACKAGES: [&str; 2] = ["etcd-client", "etcd-server"];

/// Whether a package has one of them.
pub(crate) fn is_of(package: &Locked) -> bool {
    package.sets.contains(&SetName::Root) && PACKAGES.contains(&package.name.as_str())
}

/// Leaves them in `out`, where they are not there from the same packages.
pub(crate) fn leave(lock: &Lock, cache: &Cache, steps: &Steps, out: &Path) -> Result<()> {
    let lock = lock.only(is_of);
    let (dir, from) = (out.join(DIR), debs::set_text(&lock, SetName::Root));
    let whole = PROGRAMS.iter().all(|program| dir.join(program).is_file());
    if whole && fs::read_to_string(dir.join(FROM)).is_ok_and(|text| text == from) {
        steps.cached(DIR);
        return Ok(());
    }
    steps.run(DIR, "unpacking it for tests", || {
        let part = out.join(".etcd.part");
        remove(&part)?;
        let tree = part.join("tree");
        fs::create_dir_all(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
        for deb in debs::verified(&lock, SetName::Root, cache)? {
            Cmd::new("dpkg-deb").arg("-x").arg(deb).arg(&tree).run()?;
        }
        for program in PROGRAMS {
            let unpacked = tree.join("usr/bin").join(program);
            ensure!(
                unpacked.is_file(),
                "neither of the packages {} has usr/bin/{program}; name the one that has in {}",
                PACKAGES.join(" and "),
                file!()
            );
            fs::rename(&unpacked, part.join(program)).context("cannot move a program")?;
        }
        remove(&tree)?;
        file::write_atomic(&part.join(FROM), from.as_bytes(), 0o644)?;
        remove(&dir)?;
        fs::rename(&part, &dir).with_context(|| format!("cannot finish {}", dir.display()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    /// A package in the cache that has these files, each of which says `version`.
    fn deb(cache: &Cache, work: &Path, name: &str, version: &str, files: &[&str]) -> Locked {
        let tree = work.join(format!("{name}-{version}"));
        for dir in ["DEBIAN", "usr/bin"] {
            fs::create_dir_all(tree.join(dir)).unwrap();
        }
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.test>\nDescription: test\n"
        );
        fs::write(tree.join("DEBIAN/control"), control).unwrap();
        files.iter().for_each(|file| fs::write(tree.join("usr/bin").join(file), version).unwrap());
        let mut package = Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "all".to_owned(),
            sha256: String::new(),
            path: format!("pool/{name}_{version}_all.deb"),
            sets: BTreeSet::from([SetName::Root]),
        };
        let path = cache.debs().join(package.file_name());
        Cmd::new("dpkg-deb").args(["--root-owner-group", "-b"]).args([&tree, &path]).run().unwrap();
        package.sha256 = debs::digest(&path).unwrap();
        package
    }

    fn names(dir: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn only_the_records_programs_are_left_and_they_follow_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (work, out, steps) = (dir.path().join("work"), dir.path().join("out"), Steps::new());
        let cache = Cache::open(&dir.path().join("cache"), false, &steps).unwrap();
        // Each is made once: one that is made a second later is another file.
        let server = deb(&cache, &work, "etcd-server", "1", &["etcd"]);
        let client = ["1", "2"].map(|v| deb(&cache, &work, "etcd-client", v, &["etcdctl", "etcdutl"]));
        let other = deb(&cache, &work, "other", "1", &["etcdutl", "sh"]);
        let told = |dir: &Path| PROGRAMS.map(|program| fs::read_to_string(dir.join(program)).unwrap());
        let leave = |packages: Vec<Locked>| {
            leave(&Lock { packages, ..Lock::default() }, &cache, &steps, &out).map(|()| out.join("etcd"))
        };

        let at: PathBuf = leave(vec![client[0].clone(), server.clone(), other.clone()]).unwrap();
        assert_eq!(names(&at), ["etcd", "etcdctl", "etcdutl", "packages"].map(str::to_owned).into());
        assert_eq!(names(&out), [DIR.to_owned()].into(), "nothing of the way there is left");
        assert_eq!(told(&at), ["1"; 3]);

        fs::write(at.join("etcd"), "as it was").unwrap();
        leave(vec![client[0].clone(), server.clone()]).unwrap();
        assert_eq!(told(&at)[0], "as it was", "the same packages: not made again");
        leave(vec![client[1].clone(), server.clone()]).unwrap();
        assert_eq!(told(&at), ["1", "2", "2"], "another package");
        fs::remove_file(at.join("etcdutl")).unwrap();
        leave(vec![client[1].clone(), server.clone()]).unwrap();
        assert_eq!(told(&at), ["1", "2", "2"], "one was gone");

        let old = deb(&cache, &work, "etcd-client", "0", &["etcdctl"]);
        let error = format!("{:#}", leave(vec![old, server, other]).unwrap_err());
        assert!(error.contains("usr/bin/etcdutl"), "{error}");
        assert_eq!(told(&at), ["1", "2", "2"], "what was there stays");
    }

    #[test]
    fn the_lock_of_this_checkout_has_their_packages() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rootfs/packages.lock");
        let lock = Lock::parse(&fs::read_to_string(path).unwrap()).unwrap();
        let named: Vec<_> = lock.packages.iter().filter(|p| is_of(p)).map(|p| p.name.as_str()).collect();
        assert_eq!(named, PACKAGES);
    }
}
