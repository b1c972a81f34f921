//! Asking a node over its unix socket or over HTTPS.
//!
//! | module | job |
//! | --- | --- |
//! | [`client`] | one request a connection, bounded in time and size |
//! | [`body`] | the bytes of an answer as they come |
//! | [`sse`] | server-sent events out of bytes |
//! | [`look`] | the CA that a stranger shows, before anything is trusted or said |

pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod look;
pub(crate) mod sse;
