//! What a machine does: jobs, and how they end.

use super::Where;
use crate::wire::Neighbours;

/// What a machine does at a time.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most chunks on their way.
    pub chunks: usize,
    /// Most of them from one neighbour.
    pub per_peer: usize,
    /// Most questions for news held open.
    pub questions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { chunks: 6, per_peer: 2, questions: 8 }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, for [`super::Picker::finished`].
    pub id: u64,
    /// What.
    pub task: Task,
    /// Milliseconds that it may take.
    pub limit: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Tell the master of us.
    Announce,
    /// Ask the master for a chunk of its choice.
    Master,
    /// Ask a neighbour for this chunk.
    Chunk(Where, usize),
    /// Ask a neighbour to tell when it has more than so many.
    Question(Where, usize),
}

/// What [`super::Picker::next`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Do this.
    Do(Job),
    /// Nothing to do for so many milliseconds, unless something ends before.
    Wait(u64),
    /// Everything is there.
    Done,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This chunk came, was verified and is written.
    Got(usize),
    /// What came was not the chunk asked for.
    Lied,
    /// It does not have it.
    NotHere,
    /// It has no time now; perhaps after so many milliseconds.
    Busy(u64),
    /// The neighbour's news came with the answer, and are learnt already.
    News,
    /// The master's answer to [`Task::Announce`].
    Neighbours(Neighbours),
    /// It could not be reached, broke off or took too long.
    Failed,
}
