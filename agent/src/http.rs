//! The API over HTTPS and over the agent's unix socket.
//!
//! | module | job |
//! | --- | --- |
//! | [`server`] | accept loops: TLS, limits, who is at the other end |
//! | [`auth`] | who asks |
//! | [`identity`] | and what he may do |
//! | [`table`] | operations: each said once, for router, guard and OpenAPI |
//! | [`openapi`] | the OpenAPI document |
//! | [`page`] | lists in pages |
//! | [`request`] | ids of requests |
//! | [`limiter`] | wrong passwords slow their sender down |
//! | [`error`] | errors as problem details |
//! | [`etag`] | which version of a resource is meant |
//! | [`routes`] | what can be asked |
//! | [`watch`] | word of what changes, as server-sent events |
//! | [`client`] | asking another agent, or our own |

pub(crate) mod auth;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod etag;
pub(crate) mod identity;
pub(crate) mod limiter;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod table;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
