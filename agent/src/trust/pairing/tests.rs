use maekin_api::trust::PairingOffer;
use proptest::prelude::*;

use super::code::{NONCE, Parties, code, commitment, parse_nonce};
use super::inviting::{Inviting, Open, committed};
use super::waiting::Waiting;
use super::*;

fn offer(ca: &str) -> PairingOffer {
    PairingOffer { cluster: "rack".into(), ca_sha256: ca.repeat(32), member_sha256: "cd".repeat(32) }
}

/// A pairing without anybody in between; the codes on both sides.
fn honest(waiting: [u8; NONCE], inviting: [u8; NONCE]) -> (String, String, Waiting) {
    let mut node = Waiting::default();
    let said = node.begin(offer("ab"), "key", waiting, 1000).unwrap();
    let member = committed(offer("ab"), "key", &said, inviting).unwrap();
    let shown = node.reveal(member.nonce(), 1001).unwrap();
    let code = member.finish(&shown).unwrap();
    (node.shown(1002).unwrap().0, code, node)
}

proptest! {
    #[test]
    fn join_both_consoles_show_the_same_six_digits(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let (node, member, _) = honest(a, b);
        prop_assert_eq!(&node, &member);
        prop_assert!(node.len() == 6 && node.bytes().all(|b| b.is_ascii_digit()));
    }

    #[test]
    fn join_a_number_that_was_not_committed_to_is_refused(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), other in any::<[u8; 32]>()) {
        prop_assume!(a != other);
        let mut node = Waiting::default();
        let said = node.begin(offer("ab"), "key", a, 1000).unwrap();
        let member = committed(offer("ab"), "key", &said, b).unwrap();
        prop_assert_eq!(member.finish(&other), Err(PairingError::Commitment));
    }

    /// A man in the middle plays the member towards the node, with a CA of his own, and a node towards the member, with
    /// a key of his own. He may choose his numbers as he likes, and each only before he sees the one of that side.
    #[test]
    fn join_a_man_in_the_middle_makes_the_codes_differ(
        a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), to_node in any::<[u8; 32]>(), to_member in any::<[u8; 32]>(),
    ) {
        let mut node = Waiting::default();
        node.begin(offer("66"), "key", a, 1000).unwrap();
        let his = Parties { offer: offer("ab"), key_sha256: "his".into() };
        let member = committed(offer("ab"), "his", &commitment(&to_member, &his), b).unwrap();
        node.reveal(&to_node, 1001).unwrap();
        let (left, right) = (node.shown(1002).unwrap().0, member.finish(&to_member).unwrap());
        // Once in a million they are the same by chance: his only way.
        prop_assume!(left != right);
        let mut list = Inviting::default();
        list.add(Open { code: right, name: "n".into(), address: "a".into(), key_sha256: "his".into(), at: 1000 }, 1000);
        prop_assert!(list.take(&left, 1003).is_err(), "the code of the node's console lets nobody in");
        prop_assert_eq!(node.invited(&"66".repeat(32), 1003), Err(PairingError::NotApproved));
    }

    #[test]
    fn join_numbers_are_read_or_refused(text in "[0-9a-fA-F]{0,70}|\\PC{0,70}") {
        if let Ok(nonce) = parse_nonce(&text) {
            prop_assert_eq!(maekin_image::manifest::hex(&nonce), text);
        }
    }
}

#[test]
fn join_codes_are_spread_over_all_that_there_are() {
    let parties = Parties { offer: offer("ab"), key_sha256: "key".into() };
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..2000_u32 {
        let mut nonce = [0; NONCE];
        nonce[..4].copy_from_slice(&n.to_be_bytes());
        seen.insert(code(&nonce, &[1; NONCE], &parties));
    }
    // Of 2,000 out of a million, two are expected to be the same.
    assert!(seen.len() > 1980, "{}", seen.len());
    assert!(seen.first().unwrap().as_str() < "010000" && seen.last().unwrap().as_str() > "990000");
}

#[test]
fn join_the_man_in_the_middle_relays_the_commitment_and_gains_nothing() {
    // He shows the node's own commitment to the member, as if its key were his.
    let mut node = Waiting::default();
    let said = node.begin(offer("ab"), "key", [1; NONCE], 1000).unwrap();
    let member = committed(offer("ab"), "his", &said, [2; NONCE]).unwrap();
    let shown = node.reveal(member.nonce(), 1001).unwrap();
    assert_eq!(
        member.finish(&shown),
        Err(PairingError::Commitment),
        "the commitment holds for the node's key"
    );
}

#[test]
fn join_one_pairing_at_a_time_and_one_number_for_each() {
    let mut node = Waiting::default();
    assert_eq!(node.reveal(&[0; NONCE], 999), Err(PairingError::OutOfTurn), "nothing was begun");
    node.begin(offer("ab"), "key", [1; NONCE], 1000).unwrap();
    assert_eq!(node.begin(offer("66"), "key", [2; NONCE], 1200), Err(PairingError::Busy(100)));
    node.reveal(&[3; NONCE], 1201).unwrap();
    assert_eq!(
        node.reveal(&[4; NONCE], 1202),
        Err(PairingError::OutOfTurn),
        "no second try at the same commitment"
    );
    let code = node.shown(1203).unwrap().0;
    assert!(matches!(node.decide("xxxxxx", true, 1204), Err(PairingError::NoCode(_))), "another code");
    assert_eq!(node.invited(&"ab".repeat(32), 1205), Err(PairingError::NotApproved));
    node.decide(&code, true, 1206).unwrap();
    assert_eq!(node.invited(&"66".repeat(32), 1207), Err(PairingError::OtherCluster));
    assert_eq!(node.invited(&"ab".repeat(32), 1208), Err(PairingError::OutOfTurn), "over");

    let mut node = Waiting::default();
    node.begin(offer("ab"), "key", [1; NONCE], 1000).unwrap();
    node.reveal(&[3; NONCE], 1001).unwrap();
    let code = node.shown(1002).unwrap().0;
    node.decide(&code, false, 1003).unwrap();
    assert_eq!(
        node.begin(offer("ab"), "key", [5; NONCE], 1005),
        Err(PairingError::Busy(5)),
        "guesses are slow"
    );
    node.begin(offer("ab"), "key", [5; NONCE], 1010).unwrap();
    node.reveal(&[3; NONCE], 1011).unwrap();
    let code = node.shown(1012).unwrap().0;
    node.decide(&code, true, 1013).unwrap();
    node.invited(&"ab".repeat(32), 1014).unwrap();
    node.begin(offer("ab"), "key", [6; NONCE], 2000).unwrap();
    assert_eq!(node.reveal(&[3; NONCE], 2000 + LIFE), Err(PairingError::OutOfTurn), "too late");
}

#[test]
fn join_offers_that_are_none_are_refused() {
    type Row = (&'static str, fn(&mut PairingOffer));
    let rows: [Row; 4] = [
        ("a name with an escape", |o| o.cluster = "\u{1b}[2J".into()),
        ("no name", |o| o.cluster.clear()),
        ("a short digest", |o| o.ca_sha256 = "ab".into()),
        ("a long one", |o| o.member_sha256 = "a".repeat(4096)),
    ];
    for (name, change) in rows {
        let mut offer = offer("ab");
        change(&mut offer);
        let got = Waiting::default().begin(offer, "key", [1; NONCE], 1);
        assert!(matches!(got, Err(PairingError::Malformed(_))), "{name}");
    }
}

#[test]
fn join_a_member_remembers_few_pairings_and_not_for_long() {
    let mut list = Inviting::default();
    let open = |n: u64| Open {
        code: format!("{n:06}"),
        name: "n".into(),
        address: "a".into(),
        key_sha256: n.to_string(),
        at: 1000 + n,
    };
    (0..100).for_each(|n| list.add(open(n), 1000 + n));
    assert_eq!(list.list(1100).len(), 32);
    assert!(list.take("000099", 1100).is_ok() && list.take("000099", 1100).is_err(), "once");
    assert!(list.list(1000 + 100 + LIFE).is_empty());
}
