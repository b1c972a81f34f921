//! One image to many machines at once: each gets a part of it from the master, and the rest from its neighbours.
//!
//! Nobody is trusted: a chunk counts when it has the digest that the signed release promises, whoever sent it. A
//! neighbour that is slow, lies or vanishes costs the time until it is noticed. What is decided is decided by
//! [`picker`] (a machine) and [`tracker`] (the master), which know neither sockets nor clocks nor randomness of their
//! own; [`client`] and [`server`] are the wire around them, and [`sim`] runs both for a thousand machines in seconds.
//!
//! It never writes a chunk that was not verified, never serves one either, and never keeps more of what a stranger says
//! than a bounded table has room for.
//!
//! | module | job |
//! | --- | --- |
//! | [`bitmap`] | which chunks somebody has |
//! | [`wire`] | what machines and master tell each other |
//! | [`tracker`] | who is there; which chunk leaves the master next, and to whom |
//! | [`picker`] | which chunk a machine asks for next, and whom |
//! | [`client`] | fetching an image: the picker with threads and HTTP |
//! | [`server`] | giving chunks to neighbours: a small bounded HTTP server |
//! | [`store`] | where chunks are written and read back |
//! | [`sim`] | a rack on paper: links, delays, failures |
//! | `random` | numbers from a seed |

pub mod bitmap;
pub mod client;
pub mod picker;
mod random;
pub mod server;
pub mod sim;
pub mod store;
pub mod tracker;
pub mod wire;

pub use random::Random;
