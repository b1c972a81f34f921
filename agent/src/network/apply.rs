//! The effects: networkd's units, name servers, the firewall and the interfaces of the running system, as the initrd
//! would render them at a start. It lies in the volatile `/etc`: a start finds nothing of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maekin_host::cmd::{Cmd, CmdError};
use maekin_host::file::{FileError, write_atomic};
use maekin_host::ip;
use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::render::{RenderedFile, Unusable, render};

use crate::settings::Settings;

/// How long is waited for networkd to read its files again, and for the firewall to be replaced: less in all than what a
/// trial has for putting back.
const LIMIT: Duration = Duration::from_secs(5);
/// Where networkd's units lie.
const UNITS: &str = "systemd/network";
/// What the image's own `/etc/resolv.conf` points at.
const STUB: &str = "../run/systemd/resolve/stub-resolv.conf";

/// A network could not be applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// It contradicts itself.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program.
    #[error(transparent)]
    Cmd(#[from] CmdError),
    /// The work was lost.
    #[error("the thread that applies the network ended")]
    Lost,
}

/// Makes the machine's network that of `config`. `gone` are the interfaces that go, in this order. What fails stops nothing
/// behind it: a network that is put back for the most part may be all that the node is still reached over.
///
/// # Errors
/// [`ApplyError`], the first one; all the rest was done.
pub(super) fn apply(settings: &Settings, config: &NodeConfig, gone: &[String]) -> Result<(), ApplyError> {
    let files = files(settings, config)?;
    let names: BTreeSet<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    let etc = settings.root.join("etc");
    let mut first = None;
    let mut note = |done: Result<(), ApplyError>| {
        if let Err(e) = done {
            tracing::warn!(error = %crate::errors::chain(&e), "a step of applying the network");
            first.get_or_insert(e);
        }
    };
    for path in units(&etc).iter().filter(|path| !names.contains(path.as_path())) {
        note(remove(path).map_err(Into::into));
    }
    for (path, file) in &files {
        note(write_atomic(path, file.content.as_bytes(), file.mode).map_err(Into::into));
    }
    if !names.contains(etc.join("resolv.conf").as_path()) {
        note(restore_resolver(&etc).map_err(Into::into));
    }
    // The firewall first: it knows where the cluster's network is, and it is replaced as a whole or not at all.
    note(systemctl(settings, "reload-or-restart", "nftables.service").map_err(Into::into));
    for name in gone {
        let there = || Path::new("/sys/class/net").join(name).exists();
        note(delete(name, there).map_err(Into::into));
    }
    // Told to read its files again, networkd leaves interfaces alone that it has made; started again it keeps leases.
    note(systemctl(settings, "restart", "systemd-networkd.service").map_err(Into::into));
    first.map_or(Ok(()), Err)
}

/// Takes an interface away that may be gone already, with the one that it was on.
fn delete(name: &str, there: impl Fn() -> bool) -> Result<(), CmdError> {
    if !there() {
        return Ok(());
    }
    ip::delete(name).or_else(|e| if there() { Err(e) } else { Ok(()) })
}

/// Has a service follow its files. One that takes long goes on by itself, and is not begun again.
fn systemctl(settings: &Settings, verb: &str, unit: &str) -> Result<(), CmdError> {
    match Cmd::new(&settings.systemctl).args([verb, unit]).limit(LIMIT).run() {
        Err(e @ CmdError::TimedOut { .. }) => {
            tracing::warn!(error = %crate::errors::chain(&e), "the network takes long to be applied");
            Ok(())
        }
        other => other,
    }
}

/// The files of the network, below `etc`.
fn files(settings: &Settings, config: &NodeConfig) -> Result<Vec<(PathBuf, RenderedFile)>, Unusable> {
    let of_network = |path: &str| path.starts_with(UNITS) || ["resolv.conf", "nftables.conf"].contains(&path);
    let place = |file: RenderedFile| {
        let path = file.path.strip_prefix("/etc/").filter(|path| of_network(path))?;
        Some((settings.root.join("etc").join(path), file))
    };
    Ok(render(config)?.into_iter().filter_map(place).collect())
}

/// The units that we rendered: of others there are none to be touched.
fn units(etc: &Path) -> Vec<PathBuf> {
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains("-maekin") && (name.ends_with(".network") || name.ends_with(".netdev"))
    };
    // Where the directory cannot be read there is nothing to take away.
    let Ok(entries) = fs::read_dir(etc.join(UNITS)) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect()
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError { action: "cannot remove", path: path.to_owned(), source: e })
        }
        _ => Ok(()),
    }
}

/// Without name servers of its own the node asks its resolver, as the image has it.
fn restore_resolver(etc: &Path) -> Result<(), FileError> {
    let path = etc.join("resolv.conf");
    if fs::read_link(&path).is_ok() {
        return Ok(());
    }
    remove(&path)?;
    std::os::unix::fs::symlink(STUB, &path).map_err(|source| FileError {
        action: "cannot make",
        path,
        source,
    })
}

#[cfg(test)]
mod tests;
