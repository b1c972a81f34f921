//! Machines that wait on their own screens.

use super::*;
use crate::http::who::ToDisk;
use maekin_api::machine::{DISK, FACTS, TELL, WAIT};
use std::time::Instant;

fn who(n: u8) -> serde_json::Value {
    json!({"mac": format!("52:54:00:00:00:{n:02x}"), "uuid": null, "arch": 7})
}

fn waits(reason: &str) -> Verdict {
    Verdict::Wait { code: "123-456".to_owned(), reason: reason.to_owned(), tell: false, disk: false }
}

fn say(rig: &Rig, verdict: Verdict) {
    *rig.fake.verdict.lock().unwrap() = Some(verdict);
}

#[tokio::test]
async fn a_machine_hears_what_changed_and_is_held_while_nothing_does() {
    let rig = rig(wait()).await;
    say(&rig, waits("closed"));
    let (status, body) = post(&rig, WAIT, &who(1).to_string()).await;
    assert_eq!((status, serde_json::from_str(&body).ok()), (200, Some(waits("closed"))), "at once");

    let mut ask = who(1);
    ask["known"] = serde_json::to_value(waits("closed")).unwrap();
    let ask = ask.to_string();
    let asked_before = rig.fake.asked.lock().unwrap().len();
    let (held, ()) = tokio::join!(post(&rig, WAIT, &ask), async {
        let limit = Duration::from_secs(10);
        let start = Instant::now();
        while rig.fake.asked.lock().unwrap().len() == asked_before && start.elapsed() < limit {
            tokio::task::yield_now().await;
        }
        say(&rig, Verdict::Install { ticket: TICKET.to_owned() });
    });
    assert_eq!(serde_json::from_str::<Verdict>(&held.1).unwrap(), Verdict::Install { ticket: TICKET.into() });

    say(&rig, Verdict::Install { ticket: "no ticket".to_owned() });
    assert_eq!(post(&rig, WAIT, &ask).await.0, 503, "a ticket that is none goes to no machine");
    *rig.fake.verdict.lock().unwrap() = None;
    assert_eq!(post(&rig, WAIT, &ask).await.0, 503, "nobody decides: the machine asks again");
}

#[tokio::test]
async fn facts_go_to_the_approver_and_hostile_ones_do_not() {
    let rig = rig(wait()).await;
    let facts = json!({"nics": [{"mac": "52:54:00:00:00:01"}]});
    let told = json!({"who": who(1), "facts": facts}).to_string();
    assert_eq!(post(&rig, TELL, &told).await.0, 204);
    let got = rig.fake.told.lock().unwrap().pop().unwrap();
    assert_eq!((got.machine.mac.as_str(), got.machine.arch, got.facts), ("52:54:00:00:00:01", 7, facts));

    let nobody = json!({"who": {"mac": "x", "uuid": null}, "facts": {}}).to_string();
    let huge = json!({"who": who(1), "facts": "x".repeat(FACTS)}).to_string();
    for (name, path, body, want) in [
        ("nothing", TELL, "", 400),
        ("no JSON", TELL, "\u{1}", 400),
        ("nobody", TELL, nobody.as_str(), 400),
        ("huge", TELL, huge.as_str(), 413),
        ("a huge question", WAIT, huge.as_str(), 413),
        ("deep", TELL, &"[".repeat(100_000), 400),
        ("no machine", WAIT, "{}", 400),
        ("no machine to the disk", DISK, "[]", 400),
    ] {
        assert_eq!(post(&rig, path, body).await.0, want, "{name}");
    }
    assert!(rig.fake.told.lock().unwrap().is_empty(), "none of it went on");
}

#[tokio::test]
async fn nobody_speaks_for_a_machine_that_was_leased_another_address() {
    let rig = rig(wait()).await;
    say(&rig, Verdict::Install { ticket: TICKET.to_owned() });
    let (other, leased) = ("52:54:00:00:00:02".parse::<HwAddr>().unwrap(), Ipv4Addr::new(127, 0, 0, 100));
    let now = rig.shared.store.now();
    rig.shared.store.lock().leases.bind(&other.into(), leased, 60, now).unwrap();
    let told = json!({"who": who(2), "facts": {}}).to_string();
    let answer = format!("/install/{TICKET}/answer");
    for (path, body) in
        [(WAIT, who(2).to_string()), (DISK, who(2).to_string()), (TELL, told.clone()), (&answer, told)]
    {
        let (status, text) = post(&rig, path, &body).await;
        assert_eq!(status, 403, "{path}");
        assert!(text.contains("did not come from the address leased") && !text.contains(TICKET), "{text}");
    }
    assert!(rig.fake.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_ticket_gives_its_answer_to_no_other_machine_and_says_why() {
    let rig = rig(wait()).await;
    let told = json!({"who": who(1), "facts": "another machine"}).to_string();
    let (status, text) = post(&rig, &format!("/install/{TICKET}/answer"), &told).await;
    assert_eq!((status, text.as_str()), (422, "drive S1 is missing\n"));
}

#[tokio::test]
async fn a_machine_whose_person_wants_its_disk_goes_there_once() {
    let rig = rig(wait()).await;
    let boot = "/boot.ipxe?mac=52:54:00:00:00:01&arch=7";
    let script = async || ask(&rig, "GET", boot, "").await.2;
    assert!(script().await.contains("It waits"));
    assert_eq!(post(&rig, DISK, &who(1).to_string()).await.0, 204);
    assert!(script().await.contains("booting from its disk"));
    assert!(script().await.contains("It waits"), "only once");
}

#[test]
fn wishes_for_the_disk_are_bounded() {
    let wishes = ToDisk::default();
    for n in 0..5000_u32 {
        let [_, _, high, low] = n.to_be_bytes();
        wishes.wish(format!("52:54:00:00:{high:02x}:{low:02x}").parse().unwrap());
    }
    assert!(wishes.take("52:54:00:00:00:01".parse().unwrap()));
    assert!(!wishes.take("52:54:00:00:13:00".parse().unwrap()), "there were too many before it");
}
