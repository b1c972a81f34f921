//! Debian's packages installed into a tree, by mmdebstrap, from a repository of exactly the locked ones. The result
//! is a tar archive, so that owners and devices need no privileges afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use maekin_host::cmd::{self, Cmd};
use maekin_host::file;
use maekin_rootfs::lock::Lock;
use maekin_rootfs::packages::{Definition, SetName};

use super::cache::{Cache, Key};
use super::debs;
use super::steps::Steps;

/// How long the installation may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// What no image needs; left out by dpkg already, which is faster than taking it out again.
const EXCLUDED: [&str; 6] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bug/*",
];

/// The layer `<set>-tree`: a tar archive of the installed packages, with the units enabled that the definition names.
pub(crate) fn install(
    definition: &Definition,
    lock: &Lock,
    set: SetName,
    cache: &Cache,
    steps: &Steps,
) -> Result<PathBuf> {
    let name = format!("{}-tree", set.text());
    let preset = preset(&definition.set(set).enable);
    let key = Key::new(&name, 1)
        .with("packages", debs::set_text(lock, set))
        .with("epoch", lock.epoch.to_string())
        .with("excluded", EXCLUDED.concat())
        .with("preset", &preset);
    cache.layer(steps, &name, "installing Debian's packages", &key, |tar| {
        ensure!(cmd::exists("mmdebstrap"), "mmdebstrap is not there; install the package mmdebstrap");
        let root = nix::unistd::geteuid().is_root();
        if !root {
            check_passable(&cache.work())?;
        }
        let work = cache.work().join(&name);
        let repository = work.join("packages");
        debs::flat_repository(&repository, &debs::verified(lock, set, cache)?)?;
        let preset_path = work.join("00-maekin.preset");
        file::write_atomic(&preset_path, preset.as_bytes(), 0o644)?;
        let tmp = work.join("tmp");
        fs::create_dir_all(&tmp).context("cannot create a directory for mmdebstrap")?;
        let names: Vec<&str> = lock.set(set).map(|p| p.name.as_str()).collect();
        let mode = if root { "root" } else { "unshare" };
        // What mmdebstrap mounts must not outlive it, however it ends: it does so in namespaces of its own.
        let mmdebstrap = if root {
            let namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
            Cmd::new("unshare").args(namespaces).arg("mmdebstrap")
        } else {
            Cmd::new("mmdebstrap")
        };
        mmdebstrap
            .args(["--variant=essential", "--architectures=amd64", "--format=tar"])
            .arg(format!("--mode={mode}"))
            .arg(format!("--include={}", names.join(",")))
            .args(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude={path}")))
            .arg(format!(
                "--customize-hook=upload {} /usr/lib/systemd/system-preset/00-maekin.preset",
                preset_path.display()
            ))
            .arg("--customize-hook=chroot \"$1\" systemctl --quiet preset-all")
            .arg("") // all suites are in the source line
            .arg(tar)
            .arg(format!("deb [trusted=yes] copy:{} ./", repository.display()))
            .env("SOURCE_DATE_EPOCH", lock.epoch.to_string())
            .env("PYTHONHASHSEED", "0")
            .env("TMPDIR", &tmp)
            .env("LC_ALL", "C")
            .limit(LIMIT)
            .run()?;
        Ok(())
    })
}

/// Without root's rights the packages are installed by another user of a namespace of its own, who must be able to
/// pass the directories that lead to the cache.
fn check_passable(path: &Path) -> Result<()> {
    for dir in path.ancestors() {
        let mode = fs::metadata(dir)
            .with_context(|| format!("cannot look at {}", dir.display()))?
            .permissions()
            .mode();
        ensure!(
            mode & 0o001 != 0,
            "{} lets nobody else pass, and an unprivileged build installs packages as another user; \
             name a cache elsewhere with --cache, or run `chmod o+x` on it",
            dir.display()
        );
    }
    Ok(())
}

/// A systemd.preset(5) file that enables these units and no others.
fn preset(enable: &[String]) -> String {
    let mut lines: Vec<String> = enable.iter().map(|unit| format!("enable {unit}\n")).collect();
    lines.push("disable *\n".to_owned());
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_enabled_but_what_is_named() {
        assert_eq!(preset(&["a.service".to_owned()]), "enable a.service\ndisable *\n");
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir_all(closed.join("cache")).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = check_passable(&closed.join("cache")).unwrap_err().to_string();
        assert!(error.contains("closed lets nobody"), "{error}");
    }
}
