//! Configuration files made as they shall be, and the services that read them told. That somebody is to be told is
//! written down before a file changes, so that an agent that ends in between does it after its restart; a machine that
//! restarts renders the files anew before the services start. Nothing is decided here.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use maekin_host::cmd::CmdError;
use maekin_host::file::{FileError, read_text, write_atomic};
use maekin_rootfs::render::Unusable;

use super::node_file::{self, NodeFileError};
use super::plan::{Step, Wish, plan_steps, plan_wishes};
use crate::settings::Settings;

/// Largest file that is compared, bytes.
const LARGEST: u64 = 4 << 20;

/// Files could not be made as they shall be.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// The node file.
    #[error(transparent)]
    NodeFile(#[from] NodeFileError),
    /// Nothing can be rendered of it.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file, where there is no better word.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A service was not told.
    #[error("a service could not be told")]
    Tell(#[from] CmdError),
}

/// `path` below the root that we configure.
pub(super) fn below(settings: &Settings, path: &str) -> PathBuf {
    settings.root.join(path.trim_start_matches('/'))
}

/// What the file at `path` holds; `None` where there is none.
///
/// # Errors
/// [`ApplyError`].
pub(super) fn observe(settings: &Settings, path: &str) -> Result<Option<String>, ApplyError> {
    let path = below(settings, path);
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(read_text(&path, LARGEST)?))
}

/// Makes the files at `paths` what the node file says, and has `tell` done where that changed anything, or where it was
/// left undone before. Says whether it was.
///
/// # Errors
/// [`ApplyError`]; what is left is done when it is called again.
pub(super) fn follow_node_file(
    settings: &Settings,
    name: &str,
    paths: &[&str],
    tell: impl FnOnce() -> Result<(), ApplyError>,
) -> Result<bool, ApplyError> {
    let wishes = plan_wishes(&crate::network::applied(settings, node_file::current(settings)?), paths)?;
    settle(settings, name, &wishes, tell)
}

/// The same for any files.
///
/// # Errors
/// [`ApplyError`]; what is left is done when it is called again.
pub(super) fn settle(
    settings: &Settings,
    name: &str,
    wishes: &[Wish],
    tell: impl FnOnce() -> Result<(), ApplyError>,
) -> Result<bool, ApplyError> {
    let found: Result<Vec<_>, _> = wishes.iter().map(|wish| observe(settings, &wish.path)).collect();
    let steps = plan_steps(wishes, &found?);
    let mark = settings.run.join(format!("settings-{name}.pending"));
    if steps.is_empty() && !mark.exists() {
        return Ok(false);
    }
    write_atomic(&mark, b"", 0o600)?;
    for step in &steps {
        carry_out(settings, step)?;
    }
    tell()?;
    remove(&mark)?;
    Ok(true)
}

fn carry_out(settings: &Settings, step: &Step) -> Result<(), ApplyError> {
    match step {
        Step::Write { path, content, mode } => {
            tracing::info!(path, "settings: written");
            let path = below(settings, path);
            open_to_all(path.parent().unwrap_or(&settings.root))?;
            Ok(write_atomic(&path, content.as_bytes(), *mode)?)
        }
        Step::Remove { path } => {
            tracing::info!(path, "settings: removed");
            remove(&below(settings, path))
        }
    }
}

/// Makes a folder of configuration files, where there is none: services that are not root's look into it, and the agent
/// itself opens what it makes to nobody (its umask).
fn open_to_all(dir: &Path) -> Result<(), ApplyError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        open_to_all(parent)?;
    }
    let io = |source| ApplyError::Io { what: "cannot make", path: dir.to_owned(), source };
    match fs::create_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(io(e)),
        _ => {}
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(io)
}

/// Removes a file, where there is one.
///
/// # Errors
/// [`ApplyError`].
pub(super) fn remove(path: &Path) -> Result<(), ApplyError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ApplyError::Io { what: "cannot remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
