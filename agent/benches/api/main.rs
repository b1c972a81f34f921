//! Reads and writes through the API of three nodes, beside the same of their etcd asked directly: the same machine, the
//! same run, as many clients, each with a connection of its own under TLS, the same value.
//!
//! `cargo bench -p maekin-agent --bench api -- [FILE]` prints it, and writes it to FILE as JSON.

#![allow(clippy::expect_used, clippy::panic)] // a measurement that cannot be made ends in words

mod http;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use maekin_lab::rack::Rack;
use serde_json::{Value, json};

use http::Connection;

/// How long a rack may take to be whole.
const LIMIT: Duration = Duration::from_secs(180);
/// Clients at once, by turns.
const CLIENTS: [usize; 2] = [1, 32];
/// How long each is measured, and how often, by turns with the other.
const TIME: Duration = Duration::from_secs(5);
const TURNS: usize = 3;

/// What is written, by each client at a key of its own: how a machine's power is switched.
const POWER: &str = r#"{"settings":{"method":"wake-on-lan","broadcast":"10.0.0.255"}}"#;
/// What etcd is given: as much as the agent writes there.
const VALUE: &str = r#"{"v":1,"mac":"02:00:00:00:00:01","settings":{"method":"wake-on-lan","broadcast":"10.0.0.255"},"sealed":"","last":null}"#;

type Ask = Box<dyn FnMut() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send>;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let file = args.next().map(PathBuf::from);
    if !maekin_lab::possible("the bench") {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default(); // it fails where there is one
    let rack = Rack::raised(Path::new(env!("CARGO_BIN_EXE_maekin-agent")), 3, 3, LIMIT).expect("a rack");
    // Begun in the rack's network, its threads are in it too.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let rows = runtime.block_on(measure(&rack));
    let all = json!({ "seconds": TIME.as_secs(), "turns": TURNS, "rows": rows });
    println!("{all:#}");
    if let Some(file) = file {
        maekin_host::file::write_atomic(&file, all.to_string().as_bytes(), 0o644).expect("a file");
    }
}

async fn measure(rack: &Rack) -> Vec<Value> {
    let mut rows = Vec::new();
    for clients in CLIENTS {
        for what in ["read", "write"] {
            let (mut api, mut etcd) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                etcd.push(run(asks_etcd(rack, clients, what).await).await);
                api.push(run(asks_api(rack, clients, what).await).await);
            }
            let row = json!({
                "what": what, "clients": clients, "api": median(&mut api, 0), "api_p99": median(&mut api, 1),
                "etcd": median(&mut etcd, 0), "etcd_p99": median(&mut etcd, 1),
            });
            eprintln!("{row}");
            rows.push(row);
        }
    }
    rows
}

async fn asks_api(rack: &Rack, clients: usize, what: &str) -> Vec<Ask> {
    let mut asks: Vec<Ask> = Vec::new();
    let ca = rack.nodes[0].api().cluster().expect("a cluster").ca_sha256;
    for n in 0..clients {
        let address = rack.nodes[n % rack.nodes.len()].address;
        let (method, body) = if what == "read" { ("GET", "") } else { ("PUT", POWER) };
        let connection = Connection::open(address, &ca).await;
        let path = maekin_api::MACHINE_POWER.replace("{machine}", &format!("02:00:00:00:00:{n:02x}"));
        assert!(connection.ask("PUT", &path, POWER).await, "a value to be read");
        asks.push(Box::new(move || Box::pin(connection.ask(method, &path, body))));
    }
    asks
}

async fn asks_etcd(rack: &Rack, clients: usize, what: &'static str) -> Vec<Ask> {
    let mut asks: Vec<Ask> = Vec::new();
    for n in 0..clients {
        let node = &rack.nodes[n % rack.nodes.len()];
        let pem = |file: &str| std::fs::read(node.dir.join("state/pki").join(file)).expect("a member has it");
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(pem("ca.crt")))
            .identity(Identity::from_pem(pem("node.crt"), pem("node.key")))
            .domain_name(maekin_api::SERVER_NAME);
        let url = format!("https://{}:2379", node.address);
        let client = Client::connect([url], Some(ConnectOptions::new().with_tls(tls))).await.expect("etcd");
        let key = format!("/maekin/v1/bench/02:00:00:00:00:{n:02x}");
        client.kv_client().put(key.as_str(), VALUE, None).await.expect("a value");
        asks.push(Box::new(move || {
            let (mut kv, key) = (client.kv_client(), key.clone());
            Box::pin(async move {
                if what == "read" {
                    kv.get(key, None).await.is_ok()
                } else {
                    kv.put(key, VALUE, None).await.is_ok()
                }
            })
        }));
    }
    asks
}

/// Has all ask for a while, one question after another each: questions a second, and milliseconds that 99 of 100 took at
/// most.
async fn run(asks: Vec<Ask>) -> [f64; 2] {
    let begun = Instant::now();
    let clients = asks.into_iter().map(|mut ask| {
        tokio::spawn(async move {
            let mut took = Vec::new();
            while begun.elapsed() < TIME {
                let asked = Instant::now();
                assert!(ask().await, "a question was not answered");
                took.push(asked.elapsed().as_secs_f64() * 1000.0);
            }
            took
        })
    });
    let mut all = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        all.extend(client.await.expect("a client"));
    }
    all.sort_by(f64::total_cmp);
    let rank = (all.len() * 99).div_ceil(100).max(1) - 1;
    [all.len() as f64 / begun.elapsed().as_secs_f64(), all.get(rank).copied().unwrap_or_default()]
}

fn median(runs: &mut [[f64; 2]], of: usize) -> f64 {
    runs.sort_by(|a, b| a[of].total_cmp(&b[of]));
    runs[runs.len() / 2][of]
}
