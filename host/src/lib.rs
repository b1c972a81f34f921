//! The machine: the only room with effects on it.
//!
//! Every other room plans; what it decided reaches processes, block devices, mounts, the network and power through
//! the calls here, so that the rest can be tested as tables. This crate decides nothing: it holds no policy, no
//! product names and no layout. It is also the only crate that may use `unsafe` and `std::process::Command`
//! (`clippy.toml` at the root bans them elsewhere).
//!
//! | module | job |
//! | --- | --- |
//! | [`attach`] | a person's terminal joined with a stream |
//! | [`cmd`] | run child processes: argument vector, logged, stderr tail in the error, time limit |
//! | [`wait`] | wait for a named condition, with a limit |
//! | [`mod@file`] | atomic and durable file writes, bounded reads |
//! | [`procs`] | child processes that stay: pid file, found again, ended for certain |
//! | [`links`] | network interfaces as they are now |
//! | [`packet`] | whole Ethernet frames |
//! | [`arp`] | who has an IPv4 address |
//! | [`lldp`] | who is at the other end of a cable |
//! | [`bonding`] | the state of a bond |
//! | [`ip`] | interfaces up and down, their addresses, routes and neighbours |
//! | [`net`] | UDP sockets bound to one interface, addresses of an interface |
//! | [`net6`] | the same for IPv6 |
//! | [`mdns`] | sockets for multicast DNS |
//! | [`burst`] | many datagrams with one call |
//! | [`pin`] | TLS to a server whose CA is known by its fingerprint |
//! | [`tty`] | several consoles as one: raw mode, one writer, keys from all |
//! | [`block`] | block devices: what there is, what is on them, zeroing |
//! | [`direct`] | devices read and written past the kernel's cache |
//! | [`events`] | waiting for news of block devices and arrays |
//! | [`md`] | RAID 1 arrays: create, assemble, stop, state |
//! | [`md_sysfs`] | running arrays: members, comparisons, progress |
//! | [`mount`] | mount and unmount |
//! | [`efi`] | UEFI: booted by it, Secure Boot, boot entries |
//! | [`efivars`] | UEFI's boot entries, from its variables |
//! | [`dmi`] | maker, model and serial number of the machine |
//! | [`smart`] | what a drive says of its own health |
//! | [`enclosure`] | bays of drives: their names and their lights |
//! | [`sendfile`] | from a file to a socket without a copy |
//! | [`smbios`] | OEM strings, from the firmware's own tables |
//! | [`journal`] | the journal: entries with fields |
//! | [`kmsg`] | the kernel's log: lines that reach every console |
//! | [`power`] | reboot and power-off |
//! | [`button`] | the power button, while somebody waits for it |

pub mod arp;
pub mod attach;
pub mod block;
pub mod bonding;
pub mod burst;
pub mod button;
pub mod cmd;
pub mod direct;
pub mod dmi;
pub mod efi;
pub mod efivars;
pub mod enclosure;
pub mod events;
pub mod file;
pub mod ip;
pub mod journal;
pub mod kmsg;
pub mod links;
pub mod lldp;
pub mod md;
pub mod md_sysfs;
pub mod mdns;
pub mod mount;
pub mod net;
pub mod net6;
pub mod packet;
pub mod pin;
pub mod power;
pub mod procs;
pub mod sendfile;
pub mod smart;
pub mod smbios;
pub mod tty;
pub mod wait;
