//! Applying a plan to this machine: events for the screens, the log, and the receipt that stays.

use std::io::Cursor;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::Result;
use maekin_host::{dmi, md};
use maekin_image::ids::Array;

use crate::apply::real::RealTarget;
use crate::apply::target::{FileSystem, Target};
use crate::apply::{Progress, apply};
use crate::plan::Plan;
use crate::receipt::{self, Signed};
use crate::source::{Release, medium};
use crate::tui::event::{Done, Event, Failure};

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
            let done = receipt::Done {
                timings: &timings,
                notes: &teller.notes,
                log: &teller.log,
                seconds,
                machine: &dmi::read(Path::new("/sys/class/dmi/id")),
            };
            let signed = receipt(plan, release, &done);
            let places = keep(plan, signed.as_ref(), &mut target, &mut teller);
            let receipt =
                signed.ok().and_then(|(signed, _)| serde_json::to_value(signed).ok()).unwrap_or_default();
            Ok(Done { receipt, after: plan.after, seconds, places })
        }
        Err(e) => Err(Failure::failed(format!("{e:#}"))),
    };
    let _ = sender.send(Event::Finished(outcome));
}

/// Makes the receipt and signs it; returns the key's private half with it.
fn receipt(plan: &Plan, release: &Release, done: &receipt::Done<'_>) -> Result<(Signed, String)> {
    let key = receipt::Key::make()?;
    let signed = key.sign(receipt::receipt(plan, release, done), &plan.install.to_string());
    Ok((signed, key.private_text()))
}

/// Keeps receipt and log on the node, and the receipt on the stick; says where they are and where not. The node boots
/// without them: a failure is a note.
fn keep(
    plan: &Plan,
    receipt: std::result::Result<&(Signed, String), &anyhow::Error>,
    target: &mut RealTarget,
    teller: &mut Teller<'_>,
) -> Vec<String> {
    let mut places = Vec::new();
    let kept = match receipt {
        Ok((signed, private)) => keep_on_node(signed, private, target),
        Err(e) => Err(anyhow::anyhow!("it could not be signed: {e:#}")),
    };
    places.push(match kept {
        Ok(()) => format!("on the node: /var/{}", receipt::RECEIPT),
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
    if let (true, Ok((signed, _))) = (Path::new("/run/maekin/medium").is_dir(), receipt) {
        let name = format!("{}-{}.json", plan.node.hostname, plan.install);
        let files = [
            (name.clone(), &signed.receipt),
            (format!("{name}.minisig"), &signed.signature),
            (format!("{name}.pub"), &signed.public_key),
        ];
        places.push(match medium::leave_receipt(&files) {
            Ok(()) => format!("on the install medium: receipts/{name}"),
            Err(e) => {
                tracing::info!("no receipt on the medium: {e:#}");
                format!("not on the install medium: {e:#}")
            }
        });
    }
    places
}

/// The private half goes nowhere else.
fn keep_on_node(signed: &Signed, private: &str, target: &mut RealTarget) -> Result<()> {
    let device = md::device(Array::State.name());
    let on = [device.clone()];
    target.mount(&device, FileSystem::Ext4)?;
    for (path, text) in [
        (receipt::PRIVATE_KEY, private),
        (receipt::PUBLIC_KEY, &signed.public_key),
        (receipt::RECEIPT, &signed.receipt),
        (receipt::SIGNATURE, &signed.signature),
    ] {
        target.write_file(&on, path, 0o600, &mut Cursor::new(text.as_bytes()))?;
    }
    target.unmount(&device)
}
