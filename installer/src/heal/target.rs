//! What a healing can do to a machine, beyond what an installation can.

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use maekin_image::ids::Array;

use crate::apply::target::Target;

/// A running machine to heal. Each call has reached the medium when it returns, and every error names the device.
#[allow(clippy::missing_errors_doc)] // said once above
pub trait HealTarget: Target {
    /// Takes a member out of its running array.
    fn take_out(&mut self, array: Array, member: &str) -> Result<()>;
    /// Puts a half into its running array; `by_bitmap`: by what changed since it was in it, where that is known.
    fn join(&mut self, array: Array, member: &Path, by_bitmap: bool) -> Result<()>;
    /// Waits until all halves of these arrays are up to date, as long as that goes on; `moved` is told how many bytes
    /// of them all are.
    fn await_sync(&mut self, arrays: &[Array], moved: &mut dyn FnMut(u64)) -> Result<()>;
    /// Mounts an ESP to read from it; others may have it mounted so too.
    fn mount_to_read(&mut self, device: &Path) -> Result<()>;
    /// Opens a file of a mounted device.
    fn open_file(&mut self, device: &Path, path: &str) -> Result<Box<dyn Read>>;
    /// Changes the node file, which is on the running state.
    fn change_node(&mut self, change: &mut dyn FnMut(&str) -> Result<String>) -> Result<()>;
}
