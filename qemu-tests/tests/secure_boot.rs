//! Secure Boot with the keys that servers are sold with: what is whole boots, from a stick and from either drive; what
//! was altered is refused by whoever vouches for it, or told where nobody does.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::{BootFrom, Firmware, NodeSpec};
use maekin_qemu_tests::rack::{Plan, Rack, TestRack, Watch};
use maekin_qemu_tests::release::Release;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// From power-on to GRUB, and to the initrd's verdict, by hardware virtualisation.
const LOADER_LIMIT: Duration = Duration::from_secs(30);
const INITRD_LIMIT: Duration = Duration::from_secs(60);
const NODE_LIMIT: Duration = Duration::from_secs(120);

/// A node installed from a stick under Secure Boot, with one drive pulled and a firmware that knows nothing but its keys.
fn with_only(kept: usize) -> (TestRack, NodeSpec) {
    let fixture = Fixture::get(Firmware::SecureBoot, TOOL.as_ref()).unwrap();
    let name = format!("secure-only-{kept}");
    let mut rack = fixture.clone_into(&name, &Plan::single(Firmware::SecureBoot), TOOL.as_ref()).unwrap();
    let spec = rack.nodes()[0].clone();
    rack.pull("node-1", 1 - kept).unwrap();
    rack.machine(&spec).forget_nvram(&spec).unwrap();
    (rack, spec)
}

fn starts(rack: &Rack) -> Watch {
    let mut watch = Watch::default();
    watch.power_on(rack, "node-1", None).unwrap();
    watch.until_ready(rack.limit(NODE_LIMIT), |_| {}).unwrap();
    watch
}

/// Runs `commands` with the only drive's ESP at `/run/alter`, as somebody would who has the drive in another machine,
/// and cuts the power.
fn alter(rack: &Rack, spec: &NodeSpec, commands: &str) {
    let script = format!(
        "set -e; systemctl stop maekin-agent maekin-pxe
         for at in $(findmnt -rno TARGET /dev/vda2); do umount $at; done
         mkdir -p /run/alter; mount /dev/vda2 /run/alter; {commands}; umount /run/alter; sync"
    );
    rack.ssh(spec, &script).unwrap();
    rack.machine(spec).power_off().unwrap();
}

/// Says that Secure Boot is on, as the node tells it and as its kernel has it, and that nothing minds being locked down.
fn is_secure(rack: &Rack, spec: &NodeSpec) {
    let node = rack.api(spec).unwrap().node().unwrap();
    assert_eq!((node.firmware.as_str(), node.secure_boot), ("uefi", Some(true)));
    let lockdown = rack.ssh(spec, "cat /sys/kernel/security/lockdown").unwrap();
    assert!(lockdown.contains("[integrity]"), "{lockdown}");
    // Debian's kernel says of itself that it may not hibernate.
    let failed = rack
        .ssh(spec, "systemctl --failed --no-legend; dmesg | grep 'Lockdown:' | grep -v hibernation || true")
        .unwrap();
    assert_eq!(failed.trim(), "", "nothing failed, and nothing was kept from what it wanted to do");
    rack.ssh(spec, "modprobe -a drbd rbd dm_thin_pool vhost_net").unwrap();
    let suspicions = rack.ssh(spec, "grep -c suspicions /run/maekin/boot.json || true").unwrap();
    assert_eq!(suspicions.trim(), "0", "what it was started from is what was installed");
}

#[test]
fn an_altered_kernel_is_refused_and_the_other_drives_is_started() {
    let (mut rack, spec) = with_only(0);
    starts(&rack);
    is_secure(&rack, &spec);
    alter(&rack, &spec, "printf MAEKIN | dd of=/run/alter/maekin/a/vmlinuz bs=1 seek=5000000 conv=notrunc");

    let mut serial = rack.machine(&spec).serial();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    let limit = rack.limit(LOADER_LIMIT);
    serial.expect("GRUB to refuse the kernel", "bad shim signature", limit).unwrap();
    serial.expect("GRUB to say so in words", "its signature is refused", limit).unwrap();
    serial.expect("GRUB to give up", "no drive of this installation has a kernel", limit).unwrap();
    rack.machine(&spec).power_off().unwrap();

    // With the other drive back, and the stick forgotten in the machine and first in its boot order.
    rack.plug("node-1", 1).unwrap();
    let answer = Answer::new(rack.password(), Vec::new());
    rack.insert_stick(&Release::find().unwrap(), &answer).unwrap();
    rack.change("node-1", |node| node.boot.insert(0, BootFrom::Medium)).unwrap();
    let watch = starts(&rack);
    let progress = &watch.nodes()[0].progress;
    assert!(progress.installer.is_none(), "the stick's menu started what is installed: {progress:?}");
    let cmdline = rack.ssh(&spec, "cat /proc/cmdline").unwrap();
    assert!(cmdline.contains("maekin.via=medium"), "{cmdline}");
    let refused = std::fs::read(rack.machine(&spec).serial_log()).unwrap(); // firmware says what is no UTF-8
    let refused = String::from_utf8_lossy(&refused);
    assert!(refused.matches("bad shim signature").count() >= 2, "the altered kernel was refused again");
}

#[test]
#[ignore = "long: a chain of starts"]
fn what_no_signature_covers_is_told_and_an_altered_root_is_refused() {
    let (rack, spec) = with_only(1);
    starts(&rack);
    is_secure(&rack, &spec);
    let menu = "/run/alter/maekin/grub/grub.cfg";
    // Four zero bytes are padding of a cpio archive: the initrd works as before.
    let initrd = "head -c 4 /dev/zero >> /run/alter/maekin/a/initrd";
    alter(&rack, &spec, &format!("{initrd}; sed -i 's/console=tty0/console=tty0 altered/' {menu}"));

    let mut serial = rack.machine(&spec).serial();
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    let limit = rack.limit(INITRD_LIMIT);
    let mut told = String::new();
    for part in ["words that the menu does not write: altered", "maekin/a/initrd on boot drive 2"] {
        told += &serial.expect("the initrd to tell what it was started from", part, limit).unwrap();
    }
    serial.expect("the agent", "maekin-agent: ready", rack.limit(NODE_LIMIT)).unwrap();
    let state = rack.ssh(&spec, "cat /run/maekin/boot.json").unwrap();
    for part in
        ["does not write: altered", "maekin/a/initrd on boot drive 2", "maekin/grub/grub.cfg on boot drive 2"]
    {
        assert!(state.contains(part), "no {part} in {state}\n{told}");
    }

    // One bit of the first block, which holds the root file system's superblock. There is no other half.
    let flip = "b=$(dd if=/dev/vda3 bs=1 skip=8 count=1 2>/dev/null | od -An -tu1); \
                printf \"\\\\$(printf %o $((b ^ 1)))\" | dd of=/dev/vda3 bs=1 seek=8 conv=notrunc";
    alter(&rack, &spec, flip);
    serial.skip().unwrap();
    rack.power_on("node-1").unwrap();
    let refused = "the system image on the boot drives is damaged or was altered, and is refused";
    serial.expect("verity to refuse the root", refused, limit).unwrap();
}
