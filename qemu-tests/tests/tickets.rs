//! A machine that nobody has let in: it waits on its own screen, hears a no and a yes, and then installs itself.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::time::Duration;

use maekin_api::install::{Deny, Progress, Standing, Terms, What};
use maekin_host::wait;
use maekin_qemu_tests::disk;
use maekin_qemu_tests::fixture::Fixture;
use maekin_qemu_tests::node::Firmware;
use maekin_qemu_tests::rack::{Firmwares, Plan, Watch};
use maekin_qemu_tests::terminal::Terminal;

const TOOL: &str = env!("CARGO_BIN_EXE_rack");
/// Firmware, loader, kernel and initrd, by hardware virtualisation.
const BOOT: Duration = Duration::from_secs(90);
/// From a person's word to the machine's screen.
const HEAR: Duration = Duration::from_secs(20);

#[test]
fn a_machine_waits_hears_no_and_yes_and_installs_itself_without_a_restart() {
    let fixture = Fixture::get(Firmware::Bios, TOOL.as_ref()).unwrap();
    let plan = Plan { nodes: 2, firmwares: Firmwares::All(Firmware::Bios), ..Plan::default() };
    let rack = fixture.clone_into("tickets", &plan, TOOL.as_ref()).unwrap();
    rack.boot_first(&mut Watch::default(), &mut |_| {}).unwrap();
    let api = rack.api(&rack.nodes()[0]).unwrap();

    rack.wait_master().unwrap();
    let stranger = rack.node("node-2").unwrap();
    rack.power_on("node-2").unwrap();
    let mut screen = Terminal::new(rack.machine(stranger).serial_log());
    let mut see = |what: &str, wanted: &[&str], limit| screen.see(what, wanted, rack.limit(limit)).unwrap();
    see(
        "the wait screen",
        &["waiting to be let in", "the install window is closed", "d: boot from its disk"],
        BOOT,
    );
    let told = |seen: &maekin_api::install::SeenMachine| seen.inventory.is_some();
    let what = "the stranger to tell what it is";
    let seen = wait::until(what, rack.limit(HEAR), Duration::from_secs(1), || {
        api.machines().ok()?.into_iter().find(told)
    })
    .unwrap();
    see("the code, the same on both screens", &[&format!("The code of this machine is {}", seen.code)], HEAR);
    assert_eq!(Some(seen.mac.as_str()), stranger.rack_mac());
    let drives = seen.inventory.unwrap().disks;
    assert_eq!(drives.len(), stranger.drives.len());
    assert!(drives.iter().any(|drive| drive.serial == stranger.drives[0].serial), "{drives:?}");
    assert_eq!(api.installs().unwrap(), []);

    let no = Deny { reason: "not in this rack".to_owned(), minutes: 0 };
    let denied = api.deny(&seen.code, &no).unwrap();
    assert!(matches!(denied.standing, Standing::Denied { .. }), "{denied:?}");
    see("the no", &["DENIED: admin from", "said no: not in this rack"], HEAR);
    assert!(disk::is_untouched(&stranger.drives[0].file).unwrap(), "not a sector was written");

    let terms = Terms { hostname: "rack1-{n:02}".to_owned(), ..Terms::default() };
    let install = api.approve(&seen.code, &terms).unwrap();
    assert_eq!(install.hostname, "rack1-01");
    let what = "the installation to be under way";
    let under_way = wait::until(what, rack.limit(BOOT), Duration::from_secs(1), || {
        let installs = api.installs().ok()?;
        installs.into_iter().find(|i| matches!(i.progress, Progress::Installing { percent: 1.., .. }))
    })
    .unwrap();
    assert_eq!(under_way.ticket, install.ticket);
    let story: Vec<What> = under_way.story.iter().map(|event| event.what).collect();
    assert_eq!(
        story[..5],
        [What::Seen, What::Waiting, What::Approved, What::Booting, What::Step],
        "bound since it was approved, and not started anew: {story:?}"
    );
    see("the installation on its screen", &["installing", "Step "], HEAR);
}
