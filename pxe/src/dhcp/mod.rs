//! DHCP: the codec, the leases and their journal, and the server as a pure function of packets and time.

pub mod journal;
pub mod leases;
pub mod options;
pub mod packet;
pub mod server;
pub mod service;
pub mod store;
