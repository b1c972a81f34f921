use super::*;
use crate::wire::Neighbour;
use proptest::prelude::*;

const COUNT: usize = 20;

fn machine(n: u8) -> Where {
    Where::Machine(SocketAddr::from(([10, 0, 0, n], 7000)))
}

fn picker() -> Picker {
    let mut picker = Picker::new("d", Bitmap::new(COUNT), 7000, Limits::default(), 1);
    picker.primed(Neighbours { machines: Vec::new(), sources: Vec::new(), again: 10_000 });
    picker
}

fn some(chunks: &[usize]) -> Bitmap {
    let mut bitmap = Bitmap::new(COUNT);
    chunks.iter().for_each(|c| bitmap.set(*c));
    bitmap
}

/// Everything that it does now.
fn jobs(picker: &mut Picker, now: u64) -> Vec<Job> {
    std::iter::from_fn(|| match picker.next(now) {
        Next::Do(job) => Some(job),
        _ => None,
    })
    .collect()
}

fn chunks_from(jobs: &[Job], place: &Where) -> Vec<usize> {
    let of = |job: &Job| match &job.task {
        Task::Chunk(from, chunk) if from == place => Some(*chunk),
        _ => None,
    };
    jobs.iter().filter_map(of).collect()
}

#[test]
fn rack_alone_everything_is_asked_of_the_master_at_once() {
    let mut picker = picker();
    let jobs = jobs(&mut picker, 0);
    assert_eq!(jobs.iter().filter(|j| j.task == Task::Master).count(), Limits::default().chunks);
    assert_eq!(jobs.len(), Limits::default().chunks);
}

#[test]
fn rack_with_neighbours_the_master_is_asked_for_one_and_they_for_the_rarest() {
    let mut picker = picker();
    picker.learn(&machine(1), some(&[1, 2, 3]));
    picker.learn(&machine(2), some(&[1, 2]));
    let jobs = jobs(&mut picker, 0);
    assert_eq!(jobs[0].task, Task::Master);
    assert!(chunks_from(&jobs, &machine(1)).contains(&3), "{jobs:?}");
    let mut asked = [chunks_from(&jobs, &machine(1)), chunks_from(&jobs, &machine(2))].concat();
    asked.sort_unstable();
    assert_eq!(asked, [1, 2, 3], "each once");
}

#[test]
fn rack_a_liar_is_named_and_never_asked_again_whatever_its_port() {
    let mut picker = picker();
    picker.learn(&machine(1), some(&[1]));
    let job = jobs(&mut picker, 0).into_iter().find(|j| matches!(j.task, Task::Chunk(..))).unwrap();
    picker.finished(10, job.id, Outcome::Lied);
    let again = Where::Machine(SocketAddr::from(([10, 0, 0, 1], 7001)));
    picker.learn(&again, some(&[1, 2, 3]));
    assert_eq!(picker.liars(), [SocketAddr::from(([10, 0, 0, 1], 7000))]);
    assert!(picker.peers.is_liar([10, 0, 0, 1].into()));
    let later = jobs(&mut picker, 100_000);
    assert!(later.iter().all(|j| matches!(j.task, Task::Master | Task::Announce)), "{later:?}");
    assert!(!picker.have().has(1), "what it sent is not here");
}

#[test]
fn rack_who_fails_is_left_alone_for_longer_each_time() {
    let mut picker = picker();
    picker.learn(&machine(1), some(&[1]));
    let (mut now, mut asked) = (0, Vec::new());
    while asked.len() < 4 {
        for job in jobs(&mut picker, now) {
            let chunk = matches!(job.task, Task::Chunk(..));
            picker.finished(now, job.id, if chunk { Outcome::Failed } else { Outcome::Busy(50) });
            asked.extend(chunk.then_some(now));
        }
        now += 100;
    }
    let waits: Vec<u64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(waits[0] >= 1000 && waits[0] < waits[1] && waits[1] < waits[2], "{waits:?}");
}

#[test]
fn rack_what_is_late_is_asked_for_a_second_time_elsewhere() {
    let mut picker = Picker::new("d", Bitmap::new(1), 7000, Limits::default(), 1);
    picker.primed(Neighbours { machines: Vec::new(), sources: Vec::new(), again: 10_000 });
    picker.master_after = u64::MAX;
    picker.learn(&machine(1), Bitmap::full(1));
    assert_eq!(chunks_from(&jobs(&mut picker, 0), &machine(1)), [0]);
    picker.learn(&machine(2), Bitmap::full(1));
    assert!(jobs(&mut picker, 100).is_empty());
    let second = jobs(&mut picker, 4000);
    assert_eq!(chunks_from(&second, &machine(2)), [0]);
    picker.finished(4100, second[0].id, Outcome::Got(0));
    assert_eq!(picker.next(4100), Next::Done);
}

#[test]
fn rack_who_finds_nothing_says_so_after_a_while() {
    let mut picker = picker();
    for job in jobs(&mut picker, 0) {
        picker.finished(0, job.id, Outcome::Busy(100));
    }
    jobs(&mut picker, 10);
    assert!(!picker.report(400).stuck);
    assert!(picker.report(600).stuck);
    picker.learn(&machine(1), some(&[4]));
    jobs(&mut picker, 700);
    assert!(!picker.report(710).stuck, "a neighbour has something");
}

#[test]
fn rack_sources_are_addresses_only() {
    let mut picker = picker();
    let sources =
        ["http://10.0.0.9:8480", "http://evil.example/", "file:///etc/passwd", "http://10.0.0.9:8480/x"];
    let sources = sources.map(str::to_owned).to_vec();
    picker.primed(Neighbours { machines: Vec::new(), sources, again: 10_000 });
    let asked = jobs(&mut picker, 0);
    let place = Where::Source("http://10.0.0.9:8480".to_owned());
    assert_eq!(chunks_from(&asked, &place).len(), Limits::default().per_peer);
    assert_eq!(picker.peers.len(), 1);
}

proptest! {
    /// Whatever neighbours and master say, and however jobs end: never more at a time than allowed, nothing asked for
    /// that is there, tables bounded; and with an honest master everything comes in the end.
    #[test]
    fn rack_any_neighbours_do_no_lasting_harm(
        seed: u64,
        steps in prop::collection::vec((0..60_u8, prop::collection::vec(0..COUNT, 0..COUNT), 0..6_u8, 0..3000_u64), 0..60)
    ) {
        let mut picker = Picker::new("d", Bitmap::new(COUNT), 7000, Limits::default(), seed);
        let (mut now, mut open) = (0, Vec::new());
        for (who, chunks, ending, later) in steps {
            now += later;
            picker.learn(&machine(who), some(&chunks));
            for job in jobs(&mut picker, now) {
                if let Task::Chunk(_, chunk) = &job.task {
                    prop_assert!(!picker.have().has(*chunk));
                }
                open.push(job);
            }
            let limits = Limits::default();
            prop_assert!(open.len() <= limits.chunks + limits.questions + 1);
            prop_assert!(picker.peers.len() <= 32);
            if open.is_empty() { continue; }
            let job = open.remove(usize::from(who) % open.len());
            let outcome = match (ending, &job.task) {
                (0, Task::Chunk(_, chunk)) => Outcome::Got(*chunk),
                (1, _) => Outcome::Failed,
                (2, Task::Chunk(..)) => Outcome::Lied,
                (3, _) => Outcome::Busy(7),
                (4, Task::Announce) => {
                    let address = SocketAddr::from(([10, 0, 1, who], 1));
                    let machines = vec![Neighbour { address, have: some(&chunks).hex() }];
                    Outcome::Neighbours(Neighbours { machines, sources: Vec::new(), again: 5 })
                }
                _ => Outcome::NotHere,
            };
            picker.finished(now, job.id, outcome);
        }
        for round in 0..2000 {
            now += 100;
            open.extend(jobs(&mut picker, now));
            for job in std::mem::take(&mut open) {
                let lacking = Bitmap::full(COUNT).without(picker.have()).iter().next();
                let outcome = match (&job.task, lacking) {
                    (Task::Master, Some(chunk)) => Outcome::Got(chunk),
                    _ => Outcome::Failed,
                };
                picker.finished(now, job.id, outcome);
            }
            if picker.have().is_full() { break; }
            prop_assert!(round < 1999, "it never ends");
        }
        prop_assert_eq!(picker.next(now), Next::Done);
    }
}
