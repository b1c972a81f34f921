//! What happened, counted; `/metrics` shows it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $help:literal,)*) => {
        /// The counters of one server.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* #[doc = $help] pub $name: AtomicU64,)*
        }

        impl Counters {
            /// All of them in the Prometheus text format.
            #[must_use]
            pub fn text(&self) -> String {
                let mut text = String::new();
                $(
                    let name = concat!("maekin_pxe_", stringify!($name), "_total");
                    let value = self.$name.load(Ordering::Relaxed);
                    // Writing to a String cannot fail.
                    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} counter\n{name} {value}", $help);
                )*
                text
            }
        }
    };
}

counters! {
    dhcp_received: "DHCP packets received.",
    dhcp_malformed: "Packets on the DHCP port that are no DHCP message.",
    dhcp_offers: "DHCP OFFERs sent.",
    dhcp_acks: "DHCP ACKs sent.",
    dhcp_naks: "DHCP NAKs sent.",
    dhcp_silent: "DHCP messages that got no answer, by rule or for want of an address.",
    dhcp_unsupported: "Machines whose architecture there is no boot file for, each once an hour.",
    dhcp6_received: "DHCPv6 packets received.",
    dhcp6_malformed: "Packets on the DHCPv6 port that are no client's message.",
    dhcp6_answers: "DHCPv6 messages answered.",
    dhcp_foreign: "Signs of other DHCP servers heard.",
    dhcp_fallbacks: "Times that addresses were left to another DHCP server.",
    dhcp_returns: "Times that another DHCP server was gone and addresses were given again.",
    proxy_offers: "OFFERs of ProxyDHCP sent.",
    proxy_acks: "Boot servers' ACKs sent from port 4011.",
    dhcp_declined: "Addresses that clients declined.",
    dhcp_released: "Addresses that clients gave back.",
    dhcp_in_use: "Addresses set aside because somebody used them who was not given them.",
    tftp_started: "TFTP transfers started.",
    tftp_done: "TFTP transfers completed.",
    tftp_sized: "TFTP requests ended by the client once it had the file's size, as UEFI firmware does.",
    tftp_failed: "TFTP transfers given up.",
    tftp_refused: "TFTP requests refused.",
    tftp_bytes: "Bytes delivered by TFTP.",
    tftp_resent: "TFTP blocks sent more than once.",
    grub_menus: "Menus made for one machine's GRUB.",
    http_requests: "HTTP requests answered.",
    http_bytes: "Bytes of release files asked for over HTTP.",
    swarm_bytes: "Bytes of those that were chunks for machines that install together.",
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_is_shown() {
        let counters = Counters::default();
        count(&counters.tftp_done);
        let text = counters.text();
        assert!(text.contains("\nmaekin_pxe_tftp_done_total 1\n"), "{text}");
        assert!(text.contains("\nmaekin_pxe_http_bytes_total 0\n"), "{text}");
    }
}
