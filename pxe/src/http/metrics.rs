//! `/metrics`: every counter and a few gauges, in the Prometheus text format.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::routes::Shared;
use crate::counters::{Counters, count};
use crate::dhcp::foreign::Role;

/// The format's own name of itself.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Its route.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    count(&shared.counters.http_requests);
    let (held, free) = shared.store.lock().leases.usage();
    let mut text = shared.counters.text();
    let mut gauge = |name: &str, help: &str, values: &[(&str, u64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP maekin_pxe_{name} {help}\n# TYPE maekin_pxe_{name} gauge");
        for (labels, value) in values {
            let _ = writeln!(text, "maekin_pxe_{name}{labels} {value}");
        }
    };
    let addresses = [("{state=\"held\"}", held as u64), ("{state=\"free\"}", free as u64)];
    gauge("addresses", "Addresses of the pool.", &addresses);
    let leads = u64::from(shared.leads.load(Ordering::Relaxed));
    let role = shared.guard.role();
    let roles = [Role::Looking, Role::Server, Role::Proxy, Role::Off];
    let names = ["looking", "server", "proxy", "off"].map(|name| format!("{{role=\"{name}\"}}"));
    let roles: Vec<_> = names.iter().map(String::as_str).zip(roles.map(|r| u64::from(r == role))).collect();
    gauge("dhcp_role", "What is done about addresses: 1 for that, 0 for the others.", &roles);
    gauge("leads", "1 where this master gives addresses and decides, 0 where it stands by.", &[("", leads)]);
    gauge("tftp_transfers", "TFTP transfers under way.", &[("", under_way(&shared.counters))]);
    text.extend(shared.swarm.as_ref().map(|swarm| swarm.gauges()));
    ([(CONTENT_TYPE, FORMAT)], text)
}

fn under_way(counters: &Counters) -> u64 {
    let ended = [&counters.tftp_done, &counters.tftp_sized, &counters.tftp_failed];
    // In this order, so that one that ends in between is not taken for one that never began.
    let ended: u64 = ended.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
    counters.tftp_started.load(Ordering::Relaxed).saturating_sub(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_under_way_are_those_that_did_not_end() {
        let counters = Counters::default();
        for counter in [&counters.tftp_started, &counters.tftp_started, &counters.tftp_started] {
            count(counter);
        }
        count(&counters.tftp_done);
        count(&counters.tftp_sized);
        assert_eq!(under_way(&counters), 1);
    }
}
