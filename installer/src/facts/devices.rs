//! What a drive hangs on: every device from it up to the root of the tree that a driver serves, by sysfs.

use std::fs;
use std::path::Path;

use maekin_image::drivers::Device;

/// The devices that the block device `name` needs, itself first; `sys` is like `/sys`.
#[must_use]
pub fn probe_devices(sys: &Path, name: &str) -> Vec<Device> {
    let Ok(devices) = fs::canonicalize(sys.join("devices")) else { return Vec::new() };
    let Ok(block) = fs::canonicalize(sys.join("class/block").join(name)) else { return Vec::new() };
    block.ancestors().take_while(|dir| **dir != devices).filter_map(|dir| device(&devices, dir)).collect()
}

fn device(devices: &Path, dir: &Path) -> Option<Device> {
    let modalias = fs::read_to_string(dir.join("modalias")).ok()?.trim().to_owned();
    let driver = dir.join("driver");
    let name = |link: &Path| Some(fs::canonicalize(link).ok()?.file_name()?.to_string_lossy().into_owned());
    let served = name(&driver).filter(|_| !modalias.is_empty())?;
    Some(Device {
        path: dir.strip_prefix(devices).unwrap_or(dir).display().to_string(),
        modalias,
        driver: served,
        // What is built in has a directory of parameters there too, but was never loaded.
        module: name(&driver.join("module")).filter(|_| driver.join("module/initstate").exists()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_way_from_a_drive_to_the_root_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let sys = dir.path();
        let virtio = sys.join("devices/pci0000:00/0000:00:02.0/0000:01:00.0/virtio1");
        let block = virtio.join("block/vda");
        for path in
            [&block, &sys.join("class/block"), &sys.join("module/virtio_blk"), &sys.join("module/portdrv")]
        {
            fs::create_dir_all(path).unwrap();
        }
        fs::write(sys.join("module/virtio_blk/initstate"), "live\n").unwrap();
        let serve = |dir: &Path, modalias: &str, driver: &str, module: &str| {
            let bus = sys.join("bus/drivers").join(driver);
            fs::create_dir_all(&bus).unwrap();
            symlink(sys.join("module").join(module), bus.join("module")).unwrap();
            fs::write(dir.join("modalias"), modalias).unwrap();
            symlink(&bus, dir.join("driver")).unwrap();
        };
        serve(&virtio, "virtio:d00000002v00001AF4\n", "virtio_blk", "virtio_blk");
        serve(&sys.join("devices/pci0000:00/0000:00:02.0"), "pci:v1b36bc06sc04i00\n", "pcieport", "portdrv");
        fs::write(virtio.join("../modalias"), "pci:nobody serves it\n").unwrap();
        symlink(&block, sys.join("class/block/vda")).unwrap();
        let got = probe_devices(sys, "vda");
        let rows: Vec<_> = got.iter().map(|d| (d.driver.as_str(), d.module.as_deref())).collect();
        assert_eq!(rows, [("virtio_blk", Some("virtio_blk")), ("pcieport", None)]);
        assert_eq!(got[0].path, "pci0000:00/0000:00:02.0/0000:01:00.0/virtio1");
        assert!(
            probe_devices(sys, "vdz").is_empty() && probe_devices(Path::new("/nowhere"), "vda").is_empty()
        );
    }
}
