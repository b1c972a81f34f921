//! What was found and how it goes, in the words of [`maekin_rootfs::heal`] and of people.

use std::fmt::Write as _;
use std::io::Write as _;

use maekin_image::ids::Array;
use maekin_rootfs::heal::{Action, Candidate, Esp, Findings, Half, Line, Place, PlaceState, Progress};

use super::Form;
use super::observed::Observed;
use super::plan::renew::candidates;
use super::plan::{Planned, wanted_of};
use crate::apply;
use crate::facts::size_text;

/// The document that `heal --json` prints.
#[must_use]
pub fn findings(seen: &Observed, planned: &Planned) -> Findings {
    let source = seen.source().unwrap_or(seen.believed);
    Findings {
        format: 1,
        install_id: seen.install,
        drives: seen.wanted_drives(),
        places: (0..2).map(|index| place(seen, source, index)).collect(),
        candidates: candidates(seen, source),
        plan: planned.summary.clone(),
    }
}

fn place(seen: &Observed, source: u8, index: u8) -> Place {
    let halves =
        seen.arrays.keys().map(|array| (array.name().to_owned(), seen.half(index, *array))).collect();
    let Some(here) = &seen.places[usize::from(index)] else {
        let known = seen.known.get(usize::from(index));
        let title = known.map_or("never known".to_owned(), |disk| {
            format!("{}, serial {}, {}", disk.model, disk.serial, size_text(disk.size))
        });
        let state = if seen.wanted_drives() == 1 && known.is_none() {
            PlaceState::Unused
        } else {
            PlaceState::Missing
        };
        return Place { index, disk: None, title, serial: String::new(), state, halves, esp: Esp::default() };
    };
    let wrong = wanted_of(seen, source).wrong(&here.esp);
    let has = |half: Half| Array::ALL.iter().any(|array| seen.half(index, *array) == half);
    let state = if has(Half::Out) {
        PlaceState::Stale
    } else if has(Half::Faulty) || !wrong.is_empty() || !here.boot_sector || !here.core {
        PlaceState::Damaged
    } else if has(Half::Resyncing) {
        PlaceState::Resyncing
    } else {
        PlaceState::Whole
    };
    let unreadable = here.esp.unreadable.clone();
    let esp = Esp { whole: unreadable.is_none() && wrong.is_empty(), wrong, unreadable };
    Place {
        index,
        disk: Some(here.disk.path.clone()),
        title: here.disk.title(),
        serial: here.disk.serial.clone(),
        state,
        halves,
        esp,
    }
}

/// The same for people.
#[must_use]
pub fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for place in &findings.places {
        let _ = writeln!(text, "boot drive {}: {} ({})", place.index, place.title, word(place.state));
        for (array, half) in &place.halves {
            let _ = writeln!(text, "    {array}: {}", word(*half));
        }
        for path in &place.esp.wrong {
            let _ = writeln!(text, "    ESP: {path} is wrong or missing");
        }
        if let Some(reason) = &place.esp.unreadable {
            let _ = writeln!(text, "    ESP: {reason}");
        }
    }
    for Candidate { title, action, reason, remedy, .. } in &findings.candidates {
        let _ = writeln!(text, "other drive: {title} ({}: {reason}) {remedy}", word(*action));
    }
    let plan = &findings.plan;
    let _ = writeln!(text, "plan: {}: {}", word(plan.action), plan.reason);
    for step in &plan.steps {
        let _ = writeln!(text, "    {step}");
    }
    for lost in &plan.dies {
        let _ = writeln!(text, "    lost: {lost}");
    }
    if plan.action == Action::Refuse {
        let _ = writeln!(text, "    remedy: {}", plan.remedy);
    }
    text
}

/// A word of the documents, as it is written there.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Tells how it goes on standard output, one line each.
pub struct Teller {
    form: Form,
    step: (String, usize, usize),
    done: u64,
    work: u64,
    /// Hundredths that were told last: progress comes with every chunk.
    told: Option<u64>,
    notes: Vec<String>,
}

impl Teller {
    /// In this form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self { form, step: (String::new(), 0, 0), done: 0, work: 0, told: None, notes: Vec::new() }
    }

    /// What was worth knowing.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// Prints a line.
    pub fn say(&mut self, line: Line) {
        let text = match (&line, self.form) {
            (_, Form::Json) => serde_json::to_string(&line).unwrap_or_default(),
            (Line::Progress(p), Form::Text) => {
                format!("{:>3} % {} ({} of {})", 100 * p.done / p.work.max(1), p.step, p.index, p.total)
            }
            (Line::Note { note }, Form::Text) => note.clone(),
            (Line::End(end), Form::Text) => match end {
                maekin_rootfs::heal::End::Ok => "done".to_owned(),
                maekin_rootfs::heal::End::Failed { .. } => "failed".to_owned(), // the reason is printed by main
            },
        };
        // Nobody may listen any more; the healing goes on.
        let _ = writeln!(std::io::stdout(), "{text}").and_then(|()| std::io::stdout().flush());
        if let Line::Note { note } = line {
            self.notes.push(note);
        }
    }

    fn progress(&mut self) {
        let (step, index, total) = self.step.clone();
        let (done, work) = (self.done, self.work);
        self.say(Line::Progress(Progress { step, index, total, done, work }));
    }
}

impl apply::Progress for Teller {
    fn step(&mut self, index: usize, total: usize, label: &str) {
        self.step = (label.to_owned(), index, total);
        self.progress();
    }

    fn work(&mut self, done: u64, total: u64) {
        (self.done, self.work) = (done, total);
        let hundredth = 100 * done / total.max(1);
        if self.told != Some(hundredth) {
            self.told = Some(hundredth);
            self.progress();
        }
    }

    fn note(&mut self, text: &str) {
        self.say(Line::Note { note: text.to_owned() });
    }
}
