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
//! | [`dhcp6`] | the same over IPv6 |
//! | [`tftp`] | codec, transfer, allow-list, server |
//! | [`http`] | scripts, the release with ranges, the installer's questions |
//! | [`iso`] | where the files of an ISO image lie in it |
//! | [`dry_run`] | what real packets would be answered, as text |
//! | [`swarm`] | the image to a rack at once: who is there, what leaves the master next |
//! | [`ipv6`] | spares iPXE a wait of 16 s for an IPv6 router |
//! | [`cmdline`] | the kernel command line of the installer |
//! | [`script`] | iPXE scripts |
//! | [`grub`] | menus of the signed network GRUB |
//! | [`release`] | which files of a release are served, and where they lie |
//! | [`approver`] | who decides: the agent, or a person with an answer file |
//! | [`config`] | the configuration file, checked |
//! | [`ledger`] | addresses in the cluster's record before a machine hears of them |
//! | [`leading`] | what only one master of a network does, begun and ended while HTTP goes on |
//! | [`serve`] | all of it running |
//! | [`simulate`] | what a given machine would be answered, as text |
//! | [`hw`] | hardware addresses |
//! | [`told`] | what was already said of whom |
//! | [`counters`] | what happened, counted |

pub mod approver;
pub mod boot;
pub mod cmdline;
pub mod config;
pub mod counters;
pub mod dhcp;
pub mod dhcp6;
pub mod dry_run;
pub mod grub;
pub mod http;
pub mod hw;
pub mod ipv6;
pub mod iso;
pub mod leading;
pub mod ledger;
pub mod release;
pub mod script;
pub mod serve;
pub mod simulate;
pub mod swarm;
pub mod tftp;
pub mod told;
