//! Racks without machines: the built agent with the real etcd, each node in network, process and mount namespaces of its
//! own, behind a switch that can cut any way between two of them. What takes a rack of virtual machines minutes takes
//! seconds here, and fifty nodes fit where three virtual ones do; what is not here is firmware, disks and systemd.
//!
//! A node is driven from outside: its node file, its power, its cable, its API. Nothing of the agent is linked. It takes
//! root, and leaves nothing behind: whatever it starts ends with the process that started it.
//!
//! | module | job |
//! | --- | --- |
//! | [`namespace`] | a thread that lives in a network of its own |
//! | [`switch`] | the network between nodes: cuts, and counts what goes over it |
//! | [`node`] | one node: its files, its power |
//! | [`rack`] | all of it together: raising, waiting until it is whole |
//! | [`api`] | a node's API, as a person's program uses it |
//! | [`writer`] | clients that write all along, and the book of what they saw |
//! | [`linear`] | whether that can be one history (pure) |
//! | [`pace`] | limits on a machine that has other things to do |
//! | [`seeded`] | numbers that a seed decides |

pub mod api;
pub mod linear;
pub mod namespace;
pub mod node;
pub mod pace;
pub mod rack;
pub mod seeded;
pub mod switch;
pub mod writer;

use maekin_host::cmd::exists;

/// Where one of these is in the environment, what cannot be tested is a failure: CI says the first of every run, and
/// `cargo xtask test` the second when it runs everything.
const NOT_SKIPPED: [&str; 2] = ["CI", "MAEKIN_TEST_ALL"];

/// Whether there can be such a rack here; says why not.
///
/// # Panics
/// Where there can be none, and everything is to be tested: a run that skipped it would be taken for one that passed.
#[must_use]
pub fn possible(test: &str) -> bool {
    let why = match (nix::unistd::geteuid().is_root(), exists("etcd"), exists("nft")) {
        (false, ..) => "namespaces take root",
        (_, false, _) => "there is no etcd(1) here; install etcd-server",
        (.., false) => "there is no nft(8) here; install nftables",
        _ => return true,
    };
    assert!(!NOT_SKIPPED.iter().any(|name| std::env::var_os(name).is_some()), "{test} cannot run: {why}");
    eprintln!("skipped {test}: {why}");
    false
}
