//! A rack on paper: the very [`Picker`]s and [`Tracker`] of the real thing, on links that share their capacity among
//! what goes over them. It says how long a rack takes that nobody has, and what failures cost.
//!
//! Links are shared as TCP tends to share them (max-min fair); processors and disks are taken to be faster than links.
//!
//! | module | job |
//! | --- | --- |
//! | `rack` | what is forecast, and the forecast |
//! | `jobs` | what becomes of a request |
//! | `links` | transfers and their speeds |

mod jobs;
mod links;
mod rack;

use std::collections::{BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use crate::bitmap::Bitmap;
use crate::picker::{self, Job, Next, Outcome, Picker, Tally, Task};
use crate::tracker::{self, Tracker};
use links::Links;

pub use rack::{Forecast, Manner, Rack};

/// Given up after so long on the rack's clock, microseconds.
const LIMIT: u64 = 24 * 3600 * 1_000_000;
/// Chunks that a machine sends at a time, as [`crate::server`] does.
const SENDING: usize = crate::server::MAX_SENDING;
/// How many wait for it, and how long, microseconds.
const WAITING: usize = crate::server::MAX_WAITING;
#[allow(clippy::cast_possible_truncation)] // a fraction of a second
const PATIENCE: u64 = crate::server::PATIENCE.as_micros() as u64;
/// How long a connection to nowhere takes to fail, microseconds.
const NOWHERE: u64 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Machine looks for something to do, unless it has looked since this was meant.
    Wake {
        machine: usize,
        turn: u64,
    },
    /// A request has reached who it is for.
    Arrives {
        machine: usize,
        job: u64,
    },
    /// Its answer without a body is back.
    Answered {
        machine: usize,
        job: u64,
    },
    /// A transfer ends, unless its speed has changed since.
    Ends {
        flow: usize,
        version: u64,
    },
    /// The job has waited long enough for its turn.
    Tired {
        machine: usize,
        job: u64,
    },
    /// Speeds are found anew.
    Share,
    /// The job has taken too long.
    Limit {
        machine: usize,
        job: u64,
    },
    Vanish(usize),
    Restart,
}

struct Machine {
    manner: Manner,
    picker: Picker,
    jobs: std::collections::BTreeMap<u64, Doing>,
    sending: usize,
    waiting: VecDeque<(usize, u64, usize)>,
    gone: bool,
    done: Option<u64>,
    turn: u64,
    /// Who waits for its news: machine and job, and beyond which count.
    asked: Vec<(usize, u64, usize)>,
}

struct Doing {
    task: Task,
    flow: Option<usize>,
    answer: Option<Outcome>,
}

struct World {
    rack: Rack,
    count: usize,
    now: u64,
    queue: BinaryHeap<std::cmp::Reverse<(u64, u64, What)>>,
    order: u64,
    links: Links,
    machines: Vec<Machine>,
    tracker: Tracker,
    requests: u64,
    master_bytes: u64,
    open: usize,
    sharing: bool,
    /// Microseconds between two times that speeds are found: a small part of what a chunk takes.
    grain: u64,
}

/// Runs a rack until every honest machine has everything.
#[must_use]
pub fn forecast(rack: &Rack) -> Forecast {
    let mut world = World::new(rack.clone());
    while world.open > 0 && world.now < LIMIT {
        let Some(std::cmp::Reverse((at, _, what))) = world.queue.pop() else { break };
        world.now = at;
        world.happen(what);
    }
    world.result()
}

fn address(machine: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(machine).unwrap_or(u32::MAX >> 8)))
}

impl World {
    fn new(rack: Rack) -> Self {
        let count = usize::try_from(rack.size.div_ceil(rack.chunk)).unwrap_or(0);
        let mut links = Links::new();
        links.add(rack.master, rack.master);
        let mut machines = Vec::new();
        for (i, manner) in rack.machines.iter().enumerate() {
            let up = if *manner == Manner::Slow { rack.link / 100.0 } else { rack.link };
            links.add(up, rack.link);
            let seed = rack.seed.wrapping_mul(31).wrapping_add(i as u64);
            let limits = picker::Limits::default();
            let picker = Picker::new("image", Bitmap::new(count), 7000, limits, seed);
            let (jobs, asked, waiting) = Default::default();
            machines.push(Machine {
                manner: *manner,
                picker,
                jobs,
                sending: 0,
                waiting,
                gone: false,
                done: None,
                turn: 0,
                asked,
            });
        }
        let open = machines.iter().filter(|m| m.counts()).count();
        let tracker = Tracker::new(count, tracker::Limits::default(), rack.seed);
        let queue = BinaryHeap::new();
        let mut world = Self {
            rack,
            count,
            now: 0,
            queue,
            order: 0,
            links,
            machines,
            tracker,
            requests: 0,
            master_bytes: 0,
            open,
            sharing: false,
            grain: 0,
        };
        let chunk = world.rack.chunk as f64 / world.rack.link.max(1.0) * 1e6;
        // Microseconds of a chunk are far below 2^64, and not negative.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let part = (chunk / 32.0) as u64;
        world.grain = if world.machines.len() > 64 { part * 4 } else { part };
        for i in 0..world.machines.len() {
            match world.machines[i].manner {
                Manner::Late(ms) => world.at(ms * 1000, What::Wake { machine: i, turn: 0 }),
                Manner::Vanishes(ms) => {
                    world.at(ms * 1000, What::Vanish(i));
                    world.at(0, What::Wake { machine: i, turn: 0 });
                }
                _ => world.at(i as u64 * 50, What::Wake { machine: i, turn: 0 }),
            }
        }
        if let Some(ms) = world.rack.restart {
            world.at(ms * 1000, What::Restart);
        }
        world
    }

    fn at(&mut self, at: u64, what: What) {
        self.order += 1;
        self.queue.push(std::cmp::Reverse((at, self.order, what)));
    }

    fn ms(&self) -> u64 {
        self.now / 1000
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Wake { machine, turn } => {
                if self.machines[machine].turn == turn {
                    self.wake(machine);
                }
            }
            What::Arrives { machine, job } => self.arrives(machine, job),
            What::Answered { machine, job } => {
                if let Some(Some(outcome)) = self.machines[machine].jobs.get(&job).map(|d| d.answer.clone()) {
                    self.finish(machine, job, outcome);
                }
            }
            What::Ends { flow, version } => {
                if let Some(ended) = self.links.end(flow, version) {
                    self.delivered(&ended);
                    self.changed();
                }
            }
            What::Share => {
                self.sharing = false;
                for (flow, version, at) in self.links.share(self.now) {
                    self.at(at, What::Ends { flow, version });
                }
            }
            What::Limit { machine, job } => {
                if self.machines[machine].jobs.contains_key(&job) {
                    self.finish(machine, job, Outcome::Failed);
                }
            }
            What::Tired { machine, job } => self.tired(machine, job),
            What::Vanish(machine) => self.vanish(machine),
            What::Restart => {
                self.tracker = Tracker::new(self.count, tracker::Limits::default(), self.rack.seed + 1);
            }
        }
    }

    fn wake(&mut self, machine: usize) {
        while !self.machines[machine].gone {
            let now = self.ms();
            match self.machines[machine].picker.next(now) {
                Next::Done => return,
                Next::Wait(ms) => {
                    self.machines[machine].turn += 1;
                    let turn = self.machines[machine].turn;
                    return self.at(self.now + ms.max(20) * 1000, What::Wake { machine, turn });
                }
                Next::Do(job) => self.begin(machine, job),
            }
        }
    }

    fn begin(&mut self, machine: usize, job: Job) {
        let id = job.id;
        let reach = match &job.task {
            Task::Announce | Task::Master => {
                self.requests += 1;
                true
            }
            Task::Chunk(place, _) | Task::Question(place, _) => self.reaches(machine, place),
        };
        let delay = if reach { self.rack.delay } else { NOWHERE };
        self.machines[machine].jobs.insert(id, Doing { task: job.task, flow: None, answer: None });
        if reach {
            self.at(self.now + delay, What::Arrives { machine, job: id });
        } else {
            self.answer(machine, id, Outcome::Failed, delay);
        }
        self.at(self.now + job.limit * 1000, What::Limit { machine, job: id });
    }

    fn vanish(&mut self, machine: usize) {
        self.machines[machine].gone = true;
        for flow in self.links.of(machine + 1) {
            // Nothing more comes; the other side notices by its own limit.
            if let Some(ended) = self.links.cancel(flow) {
                self.sent(ended.from);
                if let Some(doing) = self.machines[ended.machine].jobs.get_mut(&ended.job) {
                    doing.flow = None;
                }
                self.changed();
            }
        }
    }

    fn result(&self) -> Forecast {
        let counted = self.machines.iter().filter(|m| m.counts());
        let mut tally = Tally::default();
        for t in self.machines.iter().map(|m| m.picker.tally()) {
            tally.master += t.master;
            tally.neighbours += t.neighbours;
            tally.twice += t.twice;
        }
        Forecast {
            seconds: counted.map(|m| m.done.map(|at| at as f64 / 1e6)).collect(),
            master_bytes: self.master_bytes,
            master_requests: self.requests,
            tally,
        }
    }
}

impl Machine {
    /// Whether it is one that must come to an end.
    fn counts(&self) -> bool {
        !matches!(self.manner, Manner::Liar | Manner::Vanishes(_))
    }
}

#[cfg(test)]
mod tests;
