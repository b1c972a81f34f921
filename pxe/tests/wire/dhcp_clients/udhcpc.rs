//! busybox's client, which is in many an initrd.

use maekin_host::cmd::Cmd;
use nix::sys::signal::Signal;

use super::{Place, address, reserved_for_another};
use crate::dhcp_conflict::wait_counted;
use crate::namespace::ip;
use crate::rig::{CLIENT, in_rig};

pub(crate) fn client(place: &Place, interface: &str) -> Cmd {
    Cmd::new("udhcpc")
        .args(["-f", "-R", "-t", "8", "-T", "1", "-A", "1", "-O", "search", "-i", interface, "-s"])
        .arg(place.path("script"))
}

#[test]
fn udhcpc_gets_renews_loses_and_gives_back_a_lease() {
    in_rig(|rig| {
        rig.restart_with("[dhcp]\nsearch = [\"a.test\", \"b.test\"]\n");
        let mut place = Place::new();
        place.start(&client(&place, CLIENT));
        assert_eq!(place.next("bound"), "bound 10.77.0.100  a.test b.test");
        place.signal(Signal::SIGUSR1);
        assert_eq!(address(&place.next("renew")), "10.77.0.100");
        rig.kill_and_restart_by_config();
        place.signal(Signal::SIGUSR1);
        assert_eq!(address(&place.next("renew")), "10.77.0.100", "the server's death is not noticed");
        place.end();
        place.start(&client(&place, CLIENT));
        assert_eq!(address(&place.next("bound")), "10.77.0.100", "the machine was switched off and on");
        rig.reload_with(&reserved_for_another("10.77.0.100"));
        rig.wait_offered([2, 0, 0, 0, 0, 0x99], "10.77.0.100");
        place.signal(Signal::SIGUSR1);
        place.next("nak");
        assert_eq!(address(&place.next("bound")), "10.77.0.101");
        place.signal(Signal::SIGTERM);
        wait_counted("dhcp_released", 1);
    });
}

#[test]
fn udhcpc_declines_an_address_in_use() {
    in_rig(|rig| {
        // Who uses it is behind the server, where it does not hear its own questions.
        rig.on_server(|| ip("address add 10.77.0.100/24 dev s0"));
        let mut place = Place::new();
        place.start(&client(&place, CLIENT).arg("-a"));
        assert_eq!(address(&place.next("bound")), "10.77.0.101");
        wait_counted("dhcp_declined", 1);
    });
}
