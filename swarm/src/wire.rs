//! What machines and master tell each other: JSON to the master, a few heads between machines.
//!
//! | request | to | answer |
//! | --- | --- | --- |
//! | `POST /swarm/announce`, [`Report`] | the master | [`Neighbours`] |
//! | `POST /swarm/chunk`, [`Report`] | the master | a chunk of its choice, its number in [`CHUNK_HEAD`]; 204: nothing is lacking; 503: later, or from neighbours |
//! | `GET /swarm/chunk/N` | a machine | the chunk; 404: not here; 503: busy |
//! | `GET /swarm/have?count=N` | a machine | 204, as soon as it has more than N chunks, or after [`HOLD`] |
//!
//! Every answer of a machine carries what it has in [`HAVE_HEAD`].

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bitmap::Bitmap;

/// Paths at the master.
pub const ANNOUNCE: &str = "/swarm/announce";
/// See the module.
pub const CHUNK: &str = "/swarm/chunk";
/// Path at a machine.
pub const HAVE: &str = "/swarm/have";
/// Head with the number of the chunk sent.
pub const CHUNK_HEAD: &str = "maekin-chunk";
/// Head with the bitmap of what the sender has.
pub const HAVE_HEAD: &str = "maekin-have";
/// Head with the milliseconds after which the master may be asked again.
pub const AGAIN_HEAD: &str = "maekin-again";
/// How long a question for news is held open.
pub const HOLD: Duration = Duration::from_millis(800);
/// Largest [`Report`] or [`Neighbours`] that is read, in bytes.
pub const LIMIT: usize = 256 << 10;
/// Most neighbours that an answer names.
pub const MOST_NEIGHBOURS: usize = 16;

/// What a machine tells the master about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// SHA-256 of the image, hex: nobody mixes two releases.
    pub image: String,
    /// Where it serves what it has; 0: nowhere.
    pub port: u16,
    /// What it has, as [`Bitmap::hex`].
    pub have: String,
    /// What it is being sent already and needs from nobody else, as [`Bitmap::hex`]; empty: nothing.
    #[serde(default)]
    pub coming: String,
    /// Its neighbours have had nothing for it for a while.
    #[serde(default)]
    pub stuck: bool,
    /// Neighbours that sent something else than they were asked for.
    #[serde(default)]
    pub liars: Vec<SocketAddr>,
}

/// The master's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Machines that install, or have just been.
    pub machines: Vec<Neighbour>,
    /// HTTP servers with the whole release, `http://address:port`.
    pub sources: Vec<String>,
    /// When to tell of oneself again, milliseconds.
    pub again: u64,
}

/// A machine that serves chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Where.
    pub address: SocketAddr,
    /// What it had when the master heard of it last.
    pub have: String,
}

/// A [`Report`], read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where the machine serves.
    pub port: u16,
    /// What it has.
    pub have: Bitmap,
    /// What it has or is being sent.
    pub covered: Bitmap,
    /// See [`Report::stuck`].
    pub stuck: bool,
}

impl Report {
    /// Reads it for an image of `count` chunks; `None` where a bitmap is not one.
    #[must_use]
    pub fn read(&self, count: usize) -> Option<Told> {
        let have = Bitmap::parse(&self.have, count)?;
        let covered = match self.coming.as_str() {
            "" => have.clone(),
            coming => have.with(&Bitmap::parse(coming, count)?),
        };
        Some(Told { port: self.port, have, covered, stuck: self.stuck })
    }
}
