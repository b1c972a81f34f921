//! ISC's client.

use std::fs;

use maekin_host::cmd::Cmd;

use super::{Place, address, reserved_for_another};
use crate::dhcp_conflict::{counted, wait_counted};
use crate::rig::{CLIENT, in_rig};

fn client(place: &Place) -> Cmd {
    let files = ["-sf", "script", "-lf", "leases", "-pf", "pid", "-cf", "conf"];
    let mut cmd = Cmd::new("dhclient").args(["-4", "--decline-wait-time", "1"]);
    for pair in files.chunks(2) {
        cmd = cmd.arg(pair[0]).arg(place.path(pair[1]));
    }
    cmd
}

fn place(conf: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("conf"), format!("timeout 20;\nretry 1;\ninitial-interval 1;\n{conf}"))
        .expect("a file");
    fs::write(place.path("leases"), "").expect("a file");
    place
}

#[test]
fn dhclient_gets_renews_reboots_with_and_gives_back_a_lease() {
    in_rig(|rig| {
        rig.restart_by_config();
        // It has no signal for it; it renews when T1 is over.
        let mut place = place("supersede dhcp-renewal-time 2;\nsupersede dhcp-rebinding-time 100;\n");
        place.start(&client(&place).args(["-d", CLIENT]));
        assert_eq!(place.next("BOUND"), "BOUND 10.77.0.100");
        assert_eq!(address(&place.next("RENEW")), "10.77.0.100");
        place.start(&client(&place).args(["-d", CLIENT]));
        assert_eq!(address(&place.next("REBOOT")), "10.77.0.100", "INIT-REBOOT");
        let naks = counted("dhcp_naks");
        place.end();
        rig.reload_with(&reserved_for_another("10.77.0.100"));
        rig.wait_offered([2, 0, 0, 0, 0, 0x99], "10.77.0.100");
        place.start(&client(&place).args(["-d", CLIENT]));
        assert_ne!(address(&place.next("BOUND")), "10.77.0.100", "its address is another's now");
        wait_counted("dhcp_naks", naks + 1);
        place.end();
        client(&place).args(["-r", CLIENT]).run().expect("dhclient -r");
        wait_counted("dhcp_released", 1);
    });
}

#[test]
fn dhclient_declines_what_its_script_refuses() {
    in_rig(|_| {
        let mut place = place("");
        place.refuse("10.77.0.100");
        place.start(&client(&place).args(["-d", CLIENT]));
        place.next("refused 10.77.0.100");
        assert_eq!(address(&place.next("BOUND")), "10.77.0.101");
        wait_counted("dhcp_declined", 1);
    });
}
