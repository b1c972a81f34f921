//! A rack that installs at once, in network namespaces (which takes root): the real master and the real client of
//! machines, on links of limited speed. What is looked at is bytes: that they are right, and how many left the master.

#![allow(clippy::expect_used, clippy::panic)] // a test says by panicking that it failed

mod machine;
mod rig;

use std::sync::mpsc::Receiver;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use machine::{Fetched, begin, lie};
use maekin_swarm::client::Seeder;
use rig::{HTTP, Rack, possible};

/// Bytes of an image and of its chunks, and Mbit/s of each link.
const SIZE: usize = 8 << 20;
const CHUNK: u32 = 64 << 10;
const MBIT: u32 = 100;
/// How long a rack may take on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(120);

fn whole(rack: &Rack, n: usize, fetched: &Receiver<Fetched>) -> Seeder {
    let seeder = fetched.recv_timeout(LIMIT).expect("an end").unwrap_or_else(|e| panic!("machine {n}: {e}"));
    let disk = std::fs::read(rack.disk(n)).expect("what was written");
    assert!(disk == rack.image, "machine {n} has something else");
    seeder
}

fn all(rack: &Rack, machines: impl Iterator<Item = usize>) -> Vec<Seeder> {
    let begun: Vec<_> = machines.map(|n| (n, begin(rack, n, |_| ()))).collect();
    begun.iter().map(|(n, fetched)| whole(rack, *n, fetched)).collect()
}

/// Chunks that left the master, as images.
fn images(rack: &Rack) -> f64 {
    rack.counter("maekin_pxe_swarm_bytes_total") as f64 / SIZE as f64
}

#[test]
fn one_machine_alone_gets_everything_from_the_master() {
    if !possible("one_machine_alone_gets_everything_from_the_master") {
        return;
    }
    let rack = Rack::new(1, MBIT, SIZE, CHUNK);
    let seeders = all(&rack, 0..1);
    assert_eq!(seeders[0].tally.neighbours, 0);
    assert!(images(&rack) < 1.1, "but for what was late at the end: {}", images(&rack));
}

#[test]
fn eight_machines_take_hardly_more_than_one_image_from_the_master() {
    if !possible("eight_machines_take_hardly_more_than_one_image_from_the_master") {
        return;
    }
    let rack = Rack::new(8, MBIT, SIZE, CHUNK);
    let before = rack.sent_by_master();
    let seeders = all(&rack, 0..8);
    assert!(images(&rack) < 1.8, "{} images left the master", images(&rack));
    let wire = (rack.sent_by_master() - before) as f64 / SIZE as f64;
    assert!(wire < 2.0, "{wire} images' worth of bytes left the master's interface");
    let neighbours: usize = seeders.iter().map(|s| s.tally.neighbours).sum();
    assert!(neighbours > 6 * SIZE / CHUNK as usize, "the rest came from neighbours: {neighbours}");
}

#[test]
fn thirty_two_machines_hardly_either() {
    if !possible("thirty_two_machines_hardly_either") {
        return;
    }
    let rack = Rack::new(32, MBIT, SIZE / 2, CHUNK);
    all(&rack, 0..32);
    assert!(images(&rack) * 2.0 < 3.0, "{} images left the master", images(&rack) * 2.0);
}

#[test]
fn a_liar_is_found_out_and_named_and_nobody_is_harmed() {
    if !possible("a_liar_is_found_out_and_named_and_nobody_is_harmed") {
        return;
    }
    let rack = Rack::new(4, MBIT, SIZE, CHUNK);
    let liar = lie(&rack, 3);
    let seeders = all(&rack, 0..3);
    assert!(seeders.iter().any(|s| s.liars.contains(&liar.address())), "somebody asked it");
}

#[test]
fn one_that_vanishes_in_the_middle_is_done_without() {
    if !possible("one_that_vanishes_in_the_middle_is_done_without") {
        return;
    }
    let rack = Rack::new(4, MBIT, SIZE, CHUNK);
    let (half, reached) = mpsc::channel();
    let moved = move |bytes: u64| {
        if bytes > SIZE as u64 / 4 {
            let _ = half.send(()); // once is enough
        }
    };
    let gone = begin(&rack, 3, moved);
    let others: Vec<_> = (0..3).map(|n| begin(&rack, n, |_| ())).collect();
    reached.recv_timeout(LIMIT).expect("a quarter of it");
    rack.unplug(3);
    let _seeders: Vec<_> = others.iter().enumerate().map(|(n, fetched)| whole(&rack, n, fetched)).collect();
    drop(gone);
}

#[test]
fn one_that_sends_slowly_holds_nobody_up_for_ever() {
    if !possible("one_that_sends_slowly_holds_nobody_up_for_ever") {
        return;
    }
    let rack = Rack::new(4, MBIT, SIZE, CHUNK);
    rack.slow_down(1, 1);
    all(&rack, 0..4);
}

#[test]
fn one_that_no_neighbour_reaches_is_served_by_the_master() {
    if !possible("one_that_no_neighbour_reaches_is_served_by_the_master") {
        return;
    }
    let rack = Rack::new(4, MBIT, SIZE, CHUNK);
    rack.cut_off(2);
    let seeders = all(&rack, 0..4);
    assert_eq!(seeders[2].tally.neighbours, 0);
}

#[test]
fn a_master_that_starts_anew_is_found_again() {
    if !possible("a_master_that_starts_anew_is_found_again") {
        return;
    }
    let mut rack = Rack::new(3, MBIT, SIZE, CHUNK);
    // One that never found a master takes the image as a whole: each has to be well under way.
    let under_way: Vec<_> = (0..3)
        .map(|n| {
            let (some, reached) = mpsc::channel();
            let moved = move |bytes: u64| {
                if bytes > SIZE as u64 / 16 {
                    let _ = some.send(()); // once is enough
                }
            };
            (begin(&rack, n, moved), reached)
        })
        .collect();
    for (_, reached) in &under_way {
        reached.recv_timeout(LIMIT).expect("a sixteenth of it");
    }
    rack.restart_master();
    let _seeders: Vec<_> =
        under_way.iter().enumerate().map(|(n, (fetched, _))| whole(&rack, n, fetched)).collect();
}

#[test]
fn a_machine_that_comes_when_all_are_done_is_served_by_them() {
    if !possible("a_machine_that_comes_when_all_are_done_is_served_by_them") {
        return;
    }
    let rack = Rack::new(4, MBIT, SIZE, CHUNK);
    let _seeders = all(&rack, 0..3);
    let before = images(&rack);
    let late = all(&rack, 3..4);
    assert!(images(&rack) - before < 0.7, "{} more images left the master", images(&rack) - before);
    assert!(late[0].tally.neighbours > 0);
}

#[test]
fn a_master_without_a_chunk_list_says_so_at_once() {
    if !possible("a_master_without_a_chunk_list_says_so_at_once") {
        return;
    }
    let rack = Rack::new(1, MBIT, 1 << 20, CHUNK);
    let other = rack.machines[0].run(|| {
        let list = maekin_image::chunks::ChunkList::of(&[1; 5000][..], 4096).expect("a list");
        let file = tempfile::tempfile().expect("a file");
        let image = Arc::new(maekin_swarm::store::Image::new(list, "another", Box::new(file)));
        let options = maekin_swarm::client::Options::new(vec![HTTP.to_owned()], None, 1);
        maekin_swarm::client::fetch(&image, &options, &mut |_| ()).err().map(|e| e.to_string())
    });
    assert!(other.expect("refused").contains("hands out no chunks of this image"));
}
