use crate::http::routes::tests::{Rig, ask, post, rig};
use maekin_api::boot::Decision;
use maekin_swarm::wire::Neighbours;
use serde_json::json;

async fn standing() -> Rig {
    rig(Ok(Decision::Local)).await
}

fn report(rig: &Rig, port: u16, have: &str) -> String {
    let image = rig.shared.release.find("root").unwrap().sha256;
    json!({ "image": image, "port": port, "have": have }).to_string()
}

#[tokio::test]
async fn rack_a_machine_is_told_of_neighbours_and_sent_what_is_rare() {
    let rig = standing().await;
    let (status, body) = post(&rig, "/swarm/announce", &report(&rig, 7000, "00")).await;
    let answer: Neighbours = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answer.machines.len(), answer.sources.len()), (200, 0, 0), "itself is no neighbour");
    let (status, body) = post(&rig, "/swarm/chunk", &report(&rig, 7000, "00")).await;
    assert_eq!((status, body.as_str()), (200, "the root image"), "and nothing of what lies behind it");
    let (status, _) = post(&rig, "/swarm/chunk", &report(&rig, 7000, "01")).await;
    assert_eq!(status, 204);
    let metrics = ask(&rig, "GET", "/metrics", "").await.2;
    for line in [
        "maekin_pxe_swarm_bytes_total 14",
        "maekin_pxe_swarm_machines{state=\"whole\"} 1",
        "maekin_pxe_swarm_sending 0",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

#[tokio::test]
async fn rack_what_is_no_report_of_our_image_is_refused_in_words() {
    let rig = standing().await;
    let good = report(&rig, 1, "00");
    let rows = [
        ("no JSON", "x".to_owned(), 400, "not a report"),
        ("unknown words", good.replace("port", "door"), 400, "not a report"),
        ("port that is none", good.replace(":1,", ":70000,").replace(":1}", ":70000}"), 400, "not a report"),
        ("another image", json!({"image": "0", "port": 1, "have": "00"}).to_string(), 409, "another release"),
        ("more chunks than there are", good.replace("\"00\"", "\"02\""), 400, "not a bitmap"),
        ("a bitmap of another length", good.replace("\"00\"", "\"0000\""), 400, "not a bitmap"),
        ("too long", format!("{good}{}", " ".repeat(300 << 10)), 413, "at most"),
    ];
    for path in ["/swarm/announce", "/swarm/chunk"] {
        for (name, body, want, words) in &rows {
            let (status, text) = post(&rig, path, body).await;
            assert_eq!(status, *want, "{path}, {name}: {text}");
            assert!(text.contains(words), "{path}, {name}: {text}");
        }
        assert_eq!(ask(&rig, "GET", path, "").await.0, 405);
    }
    assert!(ask(&rig, "GET", "/metrics", "").await.2.contains("swarm_machines{state=\"fetching\"} 0"));
}
