//! Roy Marples' client. It keeps its leases and sockets in one place for the whole machine, by the name of the
//! interface, so there is one test of it.

use std::fs;

use maekin_host::cmd::Cmd;

use super::{Place, address, reserved_for_another};
use crate::dhcp_conflict::{counted, wait_counted};
use crate::namespace::ip;
use crate::rig::{CLIENT, Rig, in_rig};

fn client(place: &Place) -> Cmd {
    Cmd::new("dhcpcd").arg("-f").arg(place.path("conf")).arg("-c").arg(place.path("script")).arg("-4")
}

/// Has it end, by itself: it is several processes. `-x` keeps the lease, `-k` gives it back.
fn stop(rig: &Rig, place: &mut Place, how: &str) {
    client(place).args([how, CLIENT]).run().expect("dhcpcd");
    place.end();
    rig.take_address([10, 77, 0, 50].into()); // it removes all there are
}

#[test]
fn dhcpcd_gets_renews_reboots_with_declines_and_gives_back_a_lease() {
    in_rig(|rig| {
        rig.restart_by_config();
        let lease = format!("/var/lib/dhcpcd/{CLIENT}.lease");
        let _ = fs::remove_file(&lease); // of an earlier run, if there was one
        let mut place = Place::new();
        fs::write(place.path("conf"), "noipv4ll\nnoarp\nreboot 3\nnodelay\n").expect("a file");
        let here = ["-B", CLIENT];
        place.start(&client(&place).args(here));
        assert_eq!(place.next("BOUND"), "BOUND 10.77.0.100");
        client(&place).args(["-N", CLIENT]).run().expect("dhcpcd -N");
        assert_eq!(address(&place.next("RENEW")), "10.77.0.100");
        stop(rig, &mut place, "-x");
        place.start(&client(&place).args(here));
        assert_eq!(address(&place.next("REBOOT")), "10.77.0.100", "INIT-REBOOT");
        stop(rig, &mut place, "-x");
        rig.reload_with(&reserved_for_another("10.77.0.100"));
        rig.wait_offered([2, 0, 0, 0, 0, 0x99], "10.77.0.100");
        let naks = counted("dhcp_naks");
        place.start(&client(&place).args(here));
        assert_eq!(address(&place.next("BOUND")), "10.77.0.101", "its address is another's now");
        wait_counted("dhcp_naks", naks + 1);
        stop(rig, &mut place, "-k");
        wait_counted("dhcp_released", 1);
        let _ = fs::remove_file(&lease);
        fs::write(place.path("conf"), "noipv4ll\nnodelay\n").expect("a file");
        rig.on_server(|| ip("address add 10.77.0.101/24 dev s0"));
        place.start(&client(&place).args(here));
        wait_counted("dhcp_declined", 1);
        stop(rig, &mut place, "-x");
    });
}
