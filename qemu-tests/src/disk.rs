//! Drive files, by `qemu-img`.

use std::path::Path;

use maekin_host::cmd::{Cmd, CmdError};

/// Makes an empty drive of `size` bytes; it takes no room on the host until something is written.
///
/// # Errors
/// What `qemu-img` says.
pub fn create(file: &Path, size: u64) -> Result<(), CmdError> {
    // Without lazy refcounts every new cluster updates metadata in the file; the host does not crash under test.
    let options = "lazy_refcounts=on,cluster_size=128k";
    Cmd::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-o", options])
        .arg(file)
        .arg(size.to_string())
        .run()
}

/// Makes a drive that reads as `base` until it is written to; `base` must not change any more.
///
/// # Errors
/// What `qemu-img` says.
pub fn overlay(file: &Path, base: &Path) -> Result<(), CmdError> {
    Cmd::new("qemu-img").args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]).arg(base).arg(file).run()
}

/// Makes a drive of `size` bytes that holds an ext4 file system named `label`, as of a machine used for something else.
///
/// # Errors
/// What `mkfs.ext4` or `qemu-img` says.
pub fn create_in_use(file: &Path, size: u64, label: &str) -> Result<(), CmdError> {
    let raw = file.with_extension("raw");
    Cmd::new("qemu-img").args(["create", "-q", "-f", "raw"]).arg(&raw).arg(size.to_string()).run()?;
    Cmd::new("mkfs.ext4").args(["-q", "-F", "-L", label]).arg(&raw).run()?;
    Cmd::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).args([&raw, file]).run()?;
    let _ = std::fs::remove_file(&raw); // it lies in the rack's directory, which goes as a whole
    Ok(())
}

/// Makes a drive of `size` bytes that begins with `head`, as another system would have left it.
///
/// # Errors
/// What `qemu-img` says, or that the file cannot be written.
pub fn create_with(file: &Path, size: u64, head: &[u8]) -> anyhow::Result<()> {
    let raw = file.with_extension("raw");
    std::fs::write(&raw, head)?;
    Cmd::new("qemu-img").args(["resize", "-q", "-f", "raw"]).arg(&raw).arg(size.to_string()).run()?;
    Cmd::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).args([&raw, file]).run()?;
    let _ = std::fs::remove_file(&raw); // it lies in the rack's directory, which goes as a whole
    Ok(())
}

/// Whether nothing was ever written to a drive made by [`create`]. Works while a guest has it.
///
/// # Errors
/// What `qemu-img` says.
pub fn is_untouched(file: &Path) -> Result<bool, CmdError> {
    let map: Vec<serde_json::Value> =
        Cmd::new("qemu-img").args(["map", "-U", "--output=json", "-f", "qcow2"]).arg(file).json()?;
    Ok(map.iter().all(|extent| extent["data"] == false))
}

/// Makes sure that two drives read the same. Works while a guest has them.
///
/// # Errors
/// Where they differ, in `qemu-img`'s words.
pub fn ensure_same(a: &Path, b: &Path) -> Result<(), CmdError> {
    Cmd::new("qemu-img").args(["compare", "-U", "-f", "qcow2", "-F", "qcow2"]).args([a, b]).run()
}

/// Makes a drive larger.
///
/// # Errors
/// What `qemu-img` says.
pub fn grow(file: &Path, size: u64) -> Result<(), CmdError> {
    Cmd::new("qemu-img").args(["resize", "-q", "-f", "qcow2"]).arg(file).arg(size.to_string()).run()
}

/// Writes `pattern` over `length` bytes at `offset`, as a guest that is long gone would have.
///
/// # Errors
/// What `qemu-io` says.
pub fn scribble(file: &Path, pattern: u8, offset: u64, length: u64) -> Result<(), CmdError> {
    let write = format!("write -P {pattern} {offset} {length}");
    Cmd::new("qemu-io").args(["-f", "qcow2", "-c", &write]).arg(file).run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn virtual_size(file: &Path) -> u64 {
        let info: Value = Cmd::new("qemu-img").args(["info", "--output=json"]).arg(file).json().unwrap();
        info["virtual-size"].as_u64().unwrap()
    }

    #[test]
    fn an_overlay_grows_and_leaves_its_base_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (base, top) = (dir.path().join("base.qcow2"), dir.path().join("top.qcow2"));
        create(&base, 1 << 30).unwrap();
        assert!(is_untouched(&base).unwrap());
        ensure_same(&base, &base).unwrap();
        overlay(&top, &base).unwrap();
        grow(&top, 2 << 30).unwrap();
        scribble(&top, 0x5a, 0, 4096).unwrap();
        assert!(!is_untouched(&top).unwrap() && ensure_same(&base, &top).is_err());
        assert_eq!((virtual_size(&base), virtual_size(&top)), (1 << 30, 2 << 30));
        let zeroes = Cmd::new("qemu-io").args(["-f", "qcow2", "-c", "read -P 0 0 4096"]).arg(&base);
        assert!(!zeroes.text().unwrap().contains("fail"), "the base still reads as zeroes");
    }
}
