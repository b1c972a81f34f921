//! DHCP: the codec, the leases and their journal, and the server as a pure function of packets and time.

mod answer;
pub mod boot_server;
pub mod cidr;
pub mod foreign;
pub mod guard;
pub mod identity;
pub mod journal;
pub mod lease;
pub mod leases;
mod netboot;
pub mod options;
pub mod pace;
pub mod packet;
mod pool;
pub mod probe;
pub mod proxy;
pub mod relay;
pub mod reserve;
pub mod server;
pub mod service;
pub mod store;
pub mod told;
pub mod watch;
