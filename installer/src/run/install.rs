//! Applying a plan to this machine: events for the screens, the log, and the receipt that stays.

use std::io::Cursor;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::Result;
use maekin_host::{dmi, md};
use maekin_image::ids::Array;
use serde_json::json;

use crate::apply::real::RealTarget;
use crate::apply::target::{FileSystem, Target};
use crate::apply::{Progress, Timing, apply};
use crate::plan::Plan;
use crate::source::{Release, medium};
use crate::tui::event::{Done, Event, Failure};

/// Where the receipt and the log lie on the state file system.
const RECEIPT: &str = "lib/maekin/receipt.json";
const LOG: &str = "lib/maekin/install.log";

/// Passes progress on as events, and keeps the log.
struct Teller<'a> {
    sender: &'a Sender<Event>,
    start: Instant,
    log: String,
    notes: Vec<String>,
}

impl Teller<'_> {
    fn send(&mut self, event: Event) {
        for line in event.lines() {
            self.log += &format!("{:8.2} {line}\n", self.start.elapsed().as_secs_f64());
        }
        let _ = self.sender.send(event); // without a receiver the program is ending
    }
}

impl Progress for Teller<'_> {
    fn step(&mut self, index: usize, total: usize, label: &str) {
        self.send(Event::Step { index, total, label: label.to_owned() });
    }

    fn work(&mut self, done: u64, total: u64) {
        self.send(Event::Work { done, total });
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
        self.send(Event::Note(text.to_owned()));
    }
}

/// Installs, and says how it ended.
pub fn install_and_send(plan: &Plan, release: &Release, sender: &Sender<Event>) {
    let mut teller = Teller { sender, start: Instant::now(), log: String::new(), notes: Vec::new() };
    let mut target = RealTarget;
    let outcome = apply(plan, release, &mut target, &mut teller);
    let outcome = match outcome {
        Ok(timings) => {
            let seconds = teller.start.elapsed().as_secs_f64();
            let receipt = receipt(plan, release, &timings, &teller.notes, seconds);
            let places = keep(plan, &receipt, &mut target, &mut teller);
            Ok(Done { receipt, after: plan.after, seconds, places })
        }
        Err(e) => Err(Failure::failed(format!("{e:#}"))),
    };
    let _ = sender.send(Event::Finished(outcome));
}

fn receipt(
    plan: &Plan,
    release: &Release,
    timings: &[Timing],
    notes: &[String],
    seconds: f64,
) -> serde_json::Value {
    json!({
        "format": 1,
        "install_id": plan.install,
        "hostname": plan.node.hostname,
        "version": plan.version,
        "key": release.manifest.key,
        "root_sha256": release.manifest.file("root").map(|f| f.sha256.clone()),
        "source": release.source.describe(),
        "firmware": plan.firmware,
        "machine": dmi::read(Path::new("/sys/class/dmi/id")),
        "drives": plan.node.disks,
        "lost": crate::plan::describe::losses(plan),
        "kept": crate::plan::describe::kept(plan),
        "seconds": seconds,
        "steps": timings,
        "notes": notes,
    })
}

/// Keeps receipt and log on the node, and the receipt on the stick; says where they are and where not. The node boots
/// without them: a failure is a note.
fn keep(
    plan: &Plan,
    receipt: &serde_json::Value,
    target: &mut RealTarget,
    teller: &mut Teller<'_>,
) -> Vec<String> {
    let mut places = Vec::new();
    let text = format!("{receipt:#}\n");
    let device = md::device(Array::State.name());
    let log = teller.log.clone();
    let mut write = || -> Result<()> {
        let on = [device.clone()];
        target.mount(&device, FileSystem::Ext4)?;
        target.write_file(&on, RECEIPT, 0o600, &mut Cursor::new(text.as_bytes()))?;
        target.write_file(&on, LOG, 0o600, &mut Cursor::new(log.as_bytes()))?;
        target.unmount(&device)
    };
    places.push(match write() {
        Ok(()) => format!("on the node: /var/{RECEIPT}, /var/{LOG}"),
        Err(e) => {
            teller.note(&format!("the receipt could not be kept on the node: {e:#}"));
            format!("NOT on the node: {e:#}")
        }
    });
    // Stopped arrays are clean: nothing is resynced at the first start.
    for drive in &plan.drives {
        if let Err(e) = target.release(&drive.path) {
            teller.note(&format!("{} could not be released: {e:#}", drive.path.display()));
        }
    }
    if Path::new("/run/maekin/medium").is_dir() {
        let name = format!("{}-{}.json", plan.node.hostname, plan.install);
        places.push(match medium::leave_receipt(&name, &text) {
            Ok(()) => format!("on the install medium: receipts/{name}"),
            Err(e) => {
                tracing::info!("no receipt on the medium: {e:#}");
                format!("not on the install medium: {e:#}")
            }
        });
    }
    places
}
