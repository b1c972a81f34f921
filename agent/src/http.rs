//! The API over HTTPS and over the agent's unix socket.
//!
//! | module | job |
//! | --- | --- |
//! | [`server`] | accept loops: TLS, limits, who is at the other end |
//! | [`auth`] | who may ask |
//! | [`limiter`] | wrong passwords slow their sender down |
//! | [`error`] | errors as problem details |
//! | [`routes`] | what can be asked |
//! | [`client`] | asking another agent, or our own |

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod limiter;
pub(crate) mod routes;
pub(crate) mod server;

#[cfg(test)]
mod tests;
