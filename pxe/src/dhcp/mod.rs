//! DHCP: the codec, the leases and their journal, and the server as a pure function of packets and time.

mod answer;
pub mod journal;
pub mod lease;
pub mod leases;
pub mod options;
pub mod packet;
mod pool;
pub mod server;
pub mod service;
pub mod store;
