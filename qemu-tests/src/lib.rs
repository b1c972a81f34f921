//! Virtual racks: drives, firmware, networks and faults, for the end-to-end tests and the `rack` demonstration.
//!
//! A rack is driven from outside, as a person would drive a real one: built artifacts, a stick, power, cables, the
//! serial line, the screen, and the HTTP API. Nothing here links the programs under test, prepares a drive's content
//! for them, or knows how they do their work. It needs no privilege, and everything it makes is under one directory.
//!
//! | module | job |
//! | --- | --- |
//! | [`node`] | what a node is made of |
//! | [`args`] | a node as QEMU's argument vector |
//! | [`accel`] | hardware virtualisation where it truly works, else translation |
//! | [`firmware`] | OVMF and its variables |
//! | [`disk`] | drive files |
//! | [`power_cut`] | what a power cut leaves on drives |
//! | [`recorder`] | drives that log every write and flush, or fail |
//! | [`ports`] | free ports of the host |
//! | [`machine`] | a node's power, and what hangs on it |
//! | [`qmp`] | QEMU's machine protocol: screen, buttons, drives, cables |
//! | [`serial`] | the serial line: what was said, waiting, typing |
//! | [`terminal`] | the serial line as a person sees it |
//! | [`switch`] | the network between nodes |
//! | [`api`] | a node's HTTP API |
//! | [`answer`] | the first node's answer file |
//! | [`release`] | the built image under test |
//! | [`fixture`] | an installed node, made once and cloned |
//! | [`ssh`] | commands on a node |
//! | [`progress`] | what a node is doing, from its serial line |
//! | [`pairing`] | a node let in by the code on two consoles |
//! | [`rack`] | all of it together: making, raising, following, ending |
//! | [`steps`] | how long each step of a test takes |
//! | [`view`] | what a person sees meanwhile |
//! | [`mod@bench`] | figures of a running rack |

pub mod accel;
pub mod answer;
pub mod api;
pub mod args;
pub mod bench;
pub mod disk;
pub mod firmware;
pub mod fixture;
pub mod machine;
pub mod node;
pub mod pairing;
pub mod ports;
pub mod power_cut;
pub mod progress;
pub mod qmp;
pub mod rack;
pub mod recorder;
pub mod release;
pub mod serial;
pub mod ssh;
pub mod steps;
pub mod switch;
pub mod terminal;
pub mod view;

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";
