//! What UEFI HTTP boot, shim and GRUB ask for: the loaders beside each other under `/boot/`, and GRUB's menus.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::file;
use super::routes::{Shared, text};
use crate::counters::count;
use crate::grub;
use crate::hw::HwAddr;
use crate::script::Target;
use crate::tftp::catalog::AUTOEXEC;

/// Option 93 of a machine whose GRUB came by HTTP.
const HTTP_ARCH: u16 = 16;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/boot/{*path}", get(loader))
        .route("/grub/grub.cfg", get(first_menu))
        .route("/grub.cfg", get(menu))
}

async fn loader(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(path): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    count(&shared.counters.http_requests);
    // shim 16 puts `/grubx64.efi` behind the slash that its own directory ends with.
    let name = path.trim_start_matches('/');
    if let (AUTOEXEC, IpAddr::V4(client)) = (name, peer.ip()) {
        return text(shared.autoexec(client, HTTP_ARCH));
    }
    match shared.release.loader(name) {
        Some(served) => {
            tracing::debug!(client = %peer.ip(), %method, file = %name, "HTTP boot");
            file::respond(served, &method, &headers, &shared.counters).await
        }
        // shim asks for lists of what is revoked, and for certificates, which need not be there.
        None => {
            tracing::debug!(client = %peer.ip(), %method, file = %name.escape_debug(), "HTTP boot: not there");
            (StatusCode::NOT_FOUND, "no boot loader of this name\n").into_response()
        }
    }
}

async fn first_menu(State(shared): State<Shared>, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Response {
    count(&shared.counters.http_requests);
    let (http, others) = shared.masters(peer);
    // Who came over IPv6 has no other address yet.
    let others = if peer.is_ipv6() { &[] } else { others.as_slice() };
    text(grub::first_menu(&http, others, HTTP_ARCH))
}

/// The query of `/grub.cfg`. GRUB may not know its own hardware address, and then writes nothing there.
#[derive(Debug, Deserialize)]
struct MenuQuery {
    #[serde(default)]
    mac: String,
    uuid: Option<String>,
    #[serde(default)]
    arch: u16,
}

async fn menu(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Result<Query<MenuQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    count(&shared.counters.http_requests);
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return (StatusCode::BAD_REQUEST, format!("{}\n", e.body_text())).into_response(),
    };
    let hw = match query.mac.parse::<HwAddr>() {
        Ok(hw) => hw,
        Err(e) if !query.mac.is_empty() => {
            return (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response();
        }
        Err(_) => match leased_to(&shared, peer.ip()) {
            Some(hw) => hw,
            None => return text(grub::unavailable("This machine did not say which one it is.")),
        },
    };
    let (http, others) = shared.masters(peer);
    let target = Target { http: &http, others: &others, hw, arch: query.arch };
    count(&shared.counters.grub_menus);
    match shared.decide(&target, query.uuid.as_deref(), peer).await {
        Ok(decision) => text(grub::menu(&decision, &target)),
        Err(why) => text(grub::unavailable(&why)),
    }
}

fn leased_to(shared: &Shared, peer: IpAddr) -> Option<HwAddr> {
    let IpAddr::V4(client) = peer else { return None };
    shared.store.lock().leases.holder(client)
}

#[cfg(test)]
mod tests {
    use super::super::routes::tests::{TICKET, ask, raw, rig};
    use maekin_api::boot::Decision;

    #[tokio::test]
    async fn shim_and_grub_find_what_they_ask_for_by_the_names_built_into_them() {
        let rig = rig(Ok(Decision::Install { ticket: TICKET.to_owned() })).await;
        let menu = "/grub.cfg?mac=52:54:00:00:00:01&uuid=&arch=7";
        let rows = [
            ("firmware asks the size", "HEAD", "/boot/shimx64.efi", 200, "content-length: 4", ""),
            ("and loads shim", "GET", "/boot/shimx64.efi", 200, "", "shim"),
            (
                "shim's optional lists",
                "GET",
                "/boot/revocations_sku.efi",
                404,
                "",
                "no boot loader of this name\n",
            ),
            ("shim 15 loads GRUB", "GET", "/boot/grubx64.efi", 200, "", "network grub"),
            ("shim 16 loads GRUB", "GET", "/boot//grubx64.efi", 200, "", "network grub"),
            ("iPXE, where somebody wants it", "GET", "/boot/ipxe.efi", 200, "", "uefi loader"),
            ("GRUB's modules and lists", "GET", "/grub/x86_64-efi/command.lst", 404, "", ""),
            ("a way out", "GET", "/boot/..%2f..%2fprivate", 404, "", "no boot loader of this name\n"),
        ];
        for (name, method, path, status, head, body) in rows {
            let got = ask(&rig, method, path, "").await;
            assert_eq!((got.0, got.2.as_str()), (status, body), "{name}");
            assert!(got.1.contains(head), "{name}: {}", got.1);
        }
        let (status, _, first) = ask(&rig, "GET", "/grub/grub.cfg", "").await;
        assert!(status == 200 && first.contains("/grub.cfg?mac=${net_default_mac}&"), "{first}");
        let (status, _, own) = ask(&rig, "GET", menu, "").await;
        assert!(status == 200 && own.contains(&format!("\"maekin.ticket={TICKET}\"")), "{own}");
        let (_, _, lost) = ask(&rig, "GET", "/grub.cfg?mac=&uuid=&arch=7", "").await;
        assert!(lost.contains("did not say which one it is"), "{lost}");
        assert_eq!(ask(&rig, "GET", "/grub.cfg?mac=x", "").await.0, 400);
    }

    /// GRUB 2.12 compares the name with case, and without the length waits until the connection ends.
    #[tokio::test]
    async fn the_length_of_an_answer_is_spelled_as_grub_reads_it() {
        let rig = rig(Ok(Decision::Local)).await;
        for path in ["/grub/grub.cfg", "/grub.cfg?mac=52:54:00:00:00:01", "/release/vmlinuz"] {
            let answer =
                raw(&rig, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nContent-Length: "),
                "{answer}"
            );
        }
    }
}
