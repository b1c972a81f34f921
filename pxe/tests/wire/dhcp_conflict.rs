//! An address that somebody uses without having been given it.

use std::net::Ipv4Addr;
use std::time::Duration;

use maekin_host::wait;

use crate::client::{dhcp, http};
use crate::rig::{CLIENT, Rig, in_rig};
use crate::{ip, lease};

/// The value of a counter.
pub(crate) fn counted(name: &str) -> u64 {
    let (_, text) = http::get("/metrics", "");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("maekin_pxe_{name}_total ")));
    line.and_then(|n| n.trim().parse().ok()).expect("a counter")
}

/// Waits until a counter is at least `least`.
pub(crate) fn wait_counted(name: &str, least: u64) {
    let limit = Duration::from_secs(20);
    wait::until(name, limit, Duration::from_millis(20), || (counted(name) >= least).then_some(()))
        .expect("a count");
}

#[test]
fn an_address_in_use_is_found_before_it_is_offered() {
    in_rig(|rig: &mut Rig| {
        let client = dhcp::Client::open(CLIENT);
        rig.take_address(ip(101));
        rig.kill_and_restart();
        wait_counted("dhcp_in_use", 1);
        let got: Vec<Ipv4Addr> = (1..=3).map(|n| lease(&client, [2, 0, 0, 0, 0, n])).collect();
        assert_eq!(got, [ip(100), ip(102), ip(103)]);
        // Nobody is asked about this one now; whoever uses it is heard when he speaks.
        rig.take_address(ip(105));
        assert_eq!(http::get("/release/root", "").0, 200);
        wait_counted("dhcp_in_use", 2);
        let got: Vec<Ipv4Addr> = (4..=5).map(|n| lease(&client, [2, 0, 0, 0, 0, n])).collect();
        assert_eq!(got, [ip(104), ip(106)]);
    });
}
