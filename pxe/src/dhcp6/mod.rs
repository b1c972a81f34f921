//! DHCPv6 (RFC 8415) with what network boot needs of it (RFC 5970): addresses for machines on this link, or behind a
//! relay agent that asks for this link, and the address of their boot file.
//!
//! Addresses are not kept anywhere: each is computed from the client's own identifiers ([`address`]), so every master
//! computes the same, after every crash. The answers are decided by a pure function ([`server::handle`]);
//! [`service`] is the wire around it.

pub mod address;
pub mod client;
pub mod options;
pub mod packet;
pub mod server;
pub mod service;
