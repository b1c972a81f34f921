//! TFTP, read only: the codec, one transfer as a state machine without sockets and clocks, and the server around it.

pub mod catalog;
mod job;
pub mod packet;
pub mod server;
pub mod transfer;
