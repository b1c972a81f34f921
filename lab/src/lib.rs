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

/// Programs that tests start, and where they come from.
const FROM: [(&str, &str); 7] = [
    ("etcd", "install etcd-server"),
    ("etcdutl", "`cargo xtask test` has tests find the one that ships; Debian 13 has it in etcd-client"),
    ("ip", "install iproute2"),
    ("ipmi_sim", "install openipmi"),
    ("ipmitool", "install ipmitool"),
    ("nft", "install nftables"),
    ("tc", "install iproute2"),
];

/// Whether there can be such a rack here; says why not.
///
/// # Panics
/// Where there can be none, and everything is to be tested: a run that skipped it would be taken for one that passed.
#[must_use]
pub fn possible(test: &str) -> bool {
    root(test) && has(test, &["etcd", "nft"])
}

/// Whether the test has the rights of root, which namespaces take; says so when not.
///
/// # Panics
/// As [`possible`].
#[must_use]
pub fn root(test: &str) -> bool {
    nix::unistd::geteuid().is_root() || skipped(test, "namespaces take root")
}

/// Whether these programs are here; says which is not.
///
/// # Panics
/// As [`possible`].
#[must_use]
pub fn has(test: &str, programs: &[&str]) -> bool {
    missing(programs, exists).is_none_or(|why| skipped(test, &why))
}

/// The first of the programs that is not there, and where it comes from.
fn missing(programs: &[&str], there: impl Fn(&str) -> bool) -> Option<String> {
    let program = programs.iter().find(|program| !there(program))?;
    let from = FROM.iter().find(|(name, _)| name == program).map_or("install it", |(_, from)| from);
    Some(format!("there is no {program} here; {from}"))
}

/// Says that a test is skipped.
fn skipped(test: &str, why: &str) -> bool {
    assert!(!NOT_SKIPPED.iter().any(|name| std::env::var_os(name).is_some()), "{test} cannot run: {why}");
    eprintln!("skipped {test}: {why}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_is_missing_is_named_with_its_remedy() {
        // Name; what is there; what is said.
        let rows: [(&str, &[&str], Option<&str>); 4] = [
            ("all there", &["etcd", "etcdutl", "sh"], None),
            ("an etcd without etcdutl", &["etcd", "sh"], Some("no etcdutl here; `cargo xtask test`")),
            ("none of etcd's", &["sh"], Some("no etcd here; install etcd-server")),
            ("one that nobody told of", &["etcd", "etcdutl"], Some("no sh here; install it")),
        ];
        for (name, there, want) in rows {
            let said = missing(&["etcd", "etcdutl", "sh"], |program| there.contains(&program));
            match want {
                None => assert_eq!(said, None, "{name}"),
                Some(want) => assert!(said.unwrap().contains(want), "{name}"),
            }
        }
    }
}
