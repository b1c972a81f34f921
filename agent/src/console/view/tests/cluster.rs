//! Codes that are compared, nodes that wait, leaving the cluster, and going on alone.

use maekin_api::cluster::{CaChange, CaChangePhase};
use maekin_api::discovery::{Discovered, DiscoveredState};
use maekin_api::trust::{PairingInfo, PairingSide};

use super::*;
use crate::console::promote::Promotion;

/// A code that is to be compared, on a member.
pub(crate) fn pairing() -> PairingInfo {
    PairingInfo {
        code: "730112".into(),
        side: PairingSide::Member,
        name: "node-9".into(),
        address: "10.77.0.9:8443".into(),
        sha256: "ab".repeat(32),
        approved: false,
        at: 999_990,
    }
}

fn heard(n: usize, cluster: &str) -> Discovered {
    Discovered {
        id: format!("{n:012x}"),
        name: format!("node-{n}"),
        state: if cluster.is_empty() { DiscoveredState::Waiting } else { DiscoveredState::Member },
        release: "0.1.0".into(),
        addresses: vec![format!("10.77.0.{n}:8443")],
        interface: "ens3".into(),
        cluster: cluster.into(),
        ca: "36b74e118798932f".into(),
        since: 999_000,
        last: 999_990,
        by: "node-1".into(),
    }
}

#[test]
fn console_codes_and_nodes_that_wait_look_as_agreed() {
    let page = |page, selected| Model { page, selected, ..whole() };
    let prompt = |kind, typed: &str| Some(Prompt { console: 0, kind, typed: typed.into() });
    let mut waiting = page(Page::Cluster, 2);
    waiting.snapshot.discovered = vec![heard(9, "")];
    check("pair-waiting", &Model { prompt: prompt(PromptKind::Pair, ""), ..waiting.clone() });
    waiting.snapshot.discovered =
        (9..16).map(|n| heard(n, "")).chain([heard(1, "other"), heard(2, "other")]).collect();
    check("pair-many", &waiting);
    waiting.snapshot.pairings = vec![pairing()];
    check("pair-code", &waiting);
    waiting.snapshot.pairings.push(PairingInfo { code: "000001".into(), ..pairing() });
    check("pair-codes", &Model { prompt: prompt(PromptKind::PairCode { yes: true }, "7301"), ..waiting });

    let mut alone = page(Page::Join, 9);
    alone.snapshot = Snapshot { node: alone.snapshot.node, ..Snapshot::default() };
    if let Some(node) = &mut alone.snapshot.node {
        let step = "waiting to be let into a cluster".into();
        node.membership = Membership::Working { step, last_error: String::new() };
    }
    check("pair-alone", &alone);
    let offered =
        PairingInfo { side: PairingSide::Waiting, name: "rack".into(), address: String::new(), ..pairing() };
    alone.snapshot.pairings = vec![offered.clone()];
    check("pair-offered", &alone);
    alone.snapshot.pairings = vec![PairingInfo { approved: true, ..offered }];
    check("pair-approved", &alone);

    let leaving = page(Page::Join, 9);
    check(
        "leave-password",
        &Model { prompt: prompt(PromptKind::LeavePassword, "secret"), ..leaving.clone() },
    );
    check("leave-sure", &Model { prompt: prompt(PromptKind::LeaveSure, "lea"), ..leaving.clone() });
    let message = "This node does not leave (HTTP 409): node-1 has the only vote of the record: without it the record is \
                   gone; add members until there are three, so that others have one too, or restore the record on \
                   another member from a backup (docs/cluster.md)";
    check("leave-refused", &Model { message: message.into(), ..leaving });
}

#[test]
fn console_going_on_alone_says_what_it_risks() {
    let mut model = Model { page: Page::Cluster, selected: 2, ..whole() };
    model.snapshot.cluster = None;
    model.snapshot.problem = "the cluster's record cannot be reached".into();
    if let Some(node) = &mut model.snapshot.node {
        node.quorum = maekin_api::node::Quorum::CutOff { since: 999_000 };
    }
    check("alone", &model);
    let prompt = |kind, typed: &str| Some(Prompt { console: 0, kind, typed: typed.into() });
    check(
        "alone-password",
        &Model { prompt: prompt(PromptKind::PromotePassword, "secret"), ..model.clone() },
    );
    let promotion = Promotion {
        name: "node-1".into(),
        url: "https://10.77.0.1:2379".into(),
        lost: "this node's copy goes up to revision 4711; what the first node said yes to after that is lost"
            .into(),
    };
    let sure = |promotion, typed| prompt(PromptKind::PromoteSure { promotion }, typed);
    check("alone-sure", &Model { prompt: sure(promotion.clone(), "node"), ..model.clone() });
    let long =
        Promotion { name: "x".repeat(63), url: format!("https://[{}]:2379", "2001:".repeat(8)), ..promotion };
    check("worst-alone-sure", &Model { prompt: sure(long, ""), ..model });
}

#[test]
fn console_a_change_of_the_ca_says_how_far_it_is_and_whom_it_waits_for() {
    let change = |phase, waits_for: &[&str]| {
        let mut model = Model { page: Page::Cluster, selected: 2, ..whole() };
        if let Some(cluster) = &mut model.snapshot.cluster {
            cluster.ca_change = Some(CaChange {
                phase,
                since: 999_000,
                new_sha256: "ab".repeat(32),
                waits_for: waits_for.iter().map(|name| (*name).to_owned()).collect(),
            });
        }
        model
    };
    check("ca-change", &change(CaChangePhase::Trust, &["node-2"]));
    check("worst-ca-change", &change(CaChangePhase::Issue, &["node-2", "node-3", &"x".repeat(63)]));
}

#[test]
fn console_a_machine_that_was_told_of_the_old_ca_says_how_it_is_helped() {
    let mut model = Model { page: Page::Window, selected: 3, ..whole() };
    let told = install(7, Progress::Installed);
    let remedy = "the cluster's CA was changed: make a token (`maekin-agent token create`) and give it to \
                  `maekin-agent join` on the machine";
    model.snapshot.installs = vec![Install { remedy: remedy.to_owned(), ..told }];
    check("install-remedy", &model);
}
