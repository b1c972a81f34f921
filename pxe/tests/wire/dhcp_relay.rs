//! A network behind a relay agent, dnsmasq's.

use maekin_host::cmd::Cmd;
use nix::sys::signal::Signal;
use std::fs;

use crate::dhcp_clients::{Place, address, udhcpc};
use crate::dhcp_conflict::wait_counted;
use crate::namespace::{Namespace, ip};
use crate::rig::in_rig;

const CONFIG: &str = r#"
[[dhcp.subnet]]
network = "10.78.0.0/24"
router = "10.78.0.1"
search = ["far.test"]
[[dhcp.subnet.pool]]
first = "10.78.0.100"
last = "10.78.0.199"
"#;

/// The test's own namespace is the relay agent's: one end of the wire to the server, and one of another to `far`.
#[test]
fn a_machine_behind_a_relay_agent_gets_renews_and_gives_back_an_address() {
    in_rig(|rig| {
        rig.on_server(|| ip("route add 10.78.0.0/24 via 10.77.0.50"));
        rig.restart_with(CONFIG);
        let far = Namespace::new();
        let id = far.run(nix::unistd::gettid);
        ip(&format!("link add r0 type veth peer name f0 netns {id}"));
        ip("address add 10.78.0.1/24 dev r0");
        ip("link set r0 up");
        far.run(|| ip("link set f0 up"));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("forwarding in this namespace");
        let relay = Cmd::new("dnsmasq").args([
            "-d",
            "-C",
            "/dev/null",
            "-p",
            "0",
            "--dhcp-relay=10.78.0.1,10.77.0.1",
        ]);
        let mut agent = Place::new();
        agent.start(&relay);
        let mut place = Place::new();
        let client = udhcpc::client(&place, "f0");
        let mut place = far.run(move || {
            place.start(&client);
            place
        });
        assert_eq!(place.next("bound"), "bound 10.78.0.100 10.78.0.1 far.test");
        far.run(|| ip("route add default via 10.78.0.1"));
        place.signal(Signal::SIGUSR1);
        assert_eq!(address(&place.next("renew")), "10.78.0.100", "past the relay agent");
        place.signal(Signal::SIGTERM);
        wait_counted("dhcp_released", 1);
    });
}
