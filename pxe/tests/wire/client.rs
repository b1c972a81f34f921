//! Clients over plain sockets, which share nothing with the server but the DHCP codec.

pub(crate) mod dhcp;
pub(crate) mod http;
pub(crate) mod tftp;
