//! The install master: everything a machine without a system needs to boot from the network.
//!
//! DHCP, TFTP and HTTP from one process, on one interface. It runs beside the agent on a node, which decides which
//! machine is installed ([`approver`]), or alone on a laptop. What firmware of every kind is answered is decided by
//! pure functions ([`boot`], [`dhcp::server`], [`tftp::transfer`], [`script`]), which know neither sockets nor
//! clocks; [`dhcp::service`], [`tftp::server`] and [`http`] are the wire around them, and [`serve`] puts them
//! together.
//!
//! It never writes anything but its lease journal (and, alone, who was installed), never answers on an interface it
//! was not told, never takes a name from the wire for a path, and never gives an address to two machines.
//!
//! | module | job |
//! | --- | --- |
//! | [`boot`] | what a client shall boot, by architecture, vendor class and user class |
//! | [`dhcp`] | codec, leases, journal, server |
//! | [`tftp`] | codec, transfer, allow-list, server |
//! | [`http`] | scripts, the release with ranges, the installer's questions |
//! | [`ipv6`] | spares iPXE a wait of 16 s for an IPv6 router |
//! | [`script`] | iPXE scripts |
//! | [`release`] | which files of a release are served, and where they lie |
//! | [`approver`] | who decides: the agent, or a person with an answer file |
//! | [`config`] | the configuration file, checked |
//! | [`serve`] | all of it running |
//! | [`simulate`] | what a given machine would be answered, as text |
//! | [`hw`] | hardware addresses |
//! | [`counters`] | what happened, counted |

pub mod approver;
pub mod boot;
pub mod config;
pub mod counters;
pub mod dhcp;
pub mod http;
pub mod hw;
pub mod ipv6;
pub mod release;
pub mod script;
pub mod serve;
pub mod simulate;
pub mod tftp;
