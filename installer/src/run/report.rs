//! Telling the install master how it goes, from a thread of its own: a slow master does not slow the installation.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use maekin_api::boot::Report;
use maekin_host::wait;

use crate::source::http::Master;
use crate::tui::event::Event;

/// How long the last report is tried.
const LAST_LIMIT: Duration = Duration::from_secs(60);

/// Whom reports go to; by default nobody.
#[derive(Default)]
pub struct Reporter {
    sender: Option<Sender<Report>>,
    thread: Option<JoinHandle<()>>,
    step: String,
    percent: u8,
}

impl Reporter {
    /// Reports to `master`.
    #[must_use]
    pub fn start(master: Master) -> Self {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || deliver(&master, &receiver));
        Self { sender: Some(sender), thread: Some(thread), step: "starting".to_owned(), percent: 0 }
    }

    /// Reports an event, where it is news.
    pub fn tell(&mut self, event: &Event) {
        let report = match event {
            Event::Step { label, .. } => {
                self.step.clone_from(label);
                Report::Progress { step: label.clone(), percent: self.percent }
            }
            Event::Work { done, total } => {
                let percent = percent(*done, *total);
                if percent == self.percent {
                    return;
                }
                self.percent = percent;
                Report::Progress { step: self.step.clone(), percent }
            }
            Event::Finished(Ok(done)) => Report::Done { receipt: done.receipt.clone() },
            Event::Finished(Err(failure)) => Report::Failed { reason: failure.text.clone() },
            _ => return,
        };
        if let Some(sender) = &self.sender {
            let _ = sender.send(report); // the thread ends only with this sender
        }
    }

    /// Waits until everything was reported, or given up.
    pub fn finish(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // bounded: each report has its limit
        }
    }
}

/// `done` of `total` in percent, 100 only at the end.
#[must_use]
pub fn percent(done: u64, total: u64) -> u8 {
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

fn deliver(master: &Master, receiver: &Receiver<Report>) {
    while let Ok(mut report) = receiver.recv() {
        // Of progress only the newest matters.
        while matches!(report, Report::Progress { .. }) {
            match receiver.try_recv() {
                Ok(newer) => report = newer,
                Err(_) => break,
            }
        }
        let limit = if matches!(report, Report::Progress { .. }) { Duration::ZERO } else { LAST_LIMIT };
        let told = wait::until("the install master to take a report", limit, Duration::from_secs(2), || {
            master.report(&report).inspect_err(|e| tracing::warn!("report: {e:#}")).ok()
        });
        if let Err(e) = told {
            tracing::warn!("{e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percent_is_bounded_and_whole_only_at_the_end() {
        for (done, total, want) in [(0, 0, 0), (0, 9, 0), (999, 1000, 99), (5, 5, 100), (9, 5, 100)] {
            assert_eq!(percent(done, total), want, "{done}/{total}");
        }
    }
}
