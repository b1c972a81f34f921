//! The record's programs as they ship (etcd, etcdctl, etcdutl), for tests and measurements: those of this machine's Debian may
//! be of another release, and may lack one. `maekin-image` leaves them in the output, from the packages that the image is
//! built from.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Context;
use maekin_host::cmd::{Cmd, exists};

use crate::{build, cargo, shown, step, workspace};

/// The program among them that other Debians lack.
const RARE: &str = "etcdutl";

/// Where they are once they were left there.
fn dir() -> PathBuf {
    workspace().join("out/etcd")
}

/// Has them in the output, without an image. Where that fails (there is no network, say), it is said, and what is here is
/// taken: a test that lacks a program says so itself, and fails where everything is to be tested.
pub(crate) fn provide() {
    if dir().join(RARE).is_file() {
        return;
    }
    let left = step::run("etcd as it ships", || {
        cargo().args(["build", "--release", "--locked", "-q", "-p", "maekin-image"]).run()?;
        Ok(shown(build::program("maekin-image")).arg("etcd").run()?)
    });
    match left {
        Err(e) if !exists(RARE) => println!("==> tests that take {RARE} will be skipped: {e:#}"),
        Err(e) => println!("==> this machine's own etcd is taken: {e:#}"),
        Ok(()) => {}
    }
}

/// A command whose programs find them before any others; where they are not there, as it was.
pub(crate) fn first(cmd: Cmd) -> anyhow::Result<Cmd> {
    if !dir().join(RARE).is_file() {
        return Ok(cmd);
    }
    let path = before(&dir(), std::env::var_os("PATH").as_deref())?;
    Ok(cmd.env("PATH", path))
}

/// A search path with a directory before all others.
fn before(dir: &Path, path: Option<&OsStr>) -> anyhow::Result<OsString> {
    let others = path.map(std::env::split_paths).into_iter().flatten();
    std::env::join_paths(std::iter::once(dir.to_owned()).chain(others))
        .with_context(|| format!("{} cannot be in a search path; move the checkout", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_found_before_what_is_installed() {
        let rows = [
            ("as usual", "/w/out/etcd", Some("/usr/bin:/bin"), Ok("/w/out/etcd:/usr/bin:/bin")),
            ("no search path", "/w/out/etcd", None, Ok("/w/out/etcd")),
            (
                "it is there already",
                "/w/out/etcd",
                Some("/bin:/w/out/etcd"),
                Ok("/w/out/etcd:/bin:/w/out/etcd"),
            ),
            ("what parts directories", "/w:x/out/etcd", Some("/bin"), Err(())),
        ];
        for (name, dir, path, want) in rows {
            let found = before(Path::new(dir), path.map(OsStr::new)).map_err(|_| ());
            assert_eq!(found, want.map(OsString::from), "{name}");
        }
    }
}
