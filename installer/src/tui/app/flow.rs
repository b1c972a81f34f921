//! From screen to screen: what must be right before the next one, the trial of the network, the plan and its beginning.

use super::{App, Page, TRIAL, Trying};
use crate::answers::{Answers, Problem};
use crate::plan::{self, Plan, describe};
use crate::trial::{Finding, Verdict, plan_trial};
use crate::tui::event::Action;
use crate::tui::meter::Meter;
use crate::tui::view;

impl App {
    pub(super) fn make_plan(&self, answers: &Answers) -> Result<Plan, String> {
        let (Some(facts), Some(manifest)) = (&self.facts, &self.manifest) else {
            return Err("the machine has not been looked at".to_owned());
        };
        plan::plan(facts, answers, manifest, self.seed).map_err(|refusals| refusals.to_string())
    }

    pub(super) fn begin(&mut self, plan: Plan) -> Option<Action> {
        self.page = Page::Progress;
        self.meter = Meter::default();
        self.step = (0, plan.steps.len(), "starting".to_owned());
        self.plan = Some(plan.clone());
        Some(Action::Install(Box::new(plan)))
    }

    /// Goes on to the next screen where what was typed is right; problems of later screens do not count yet.
    pub(super) fn leave_form(&mut self, after: Page) {
        let (Some(draft), Some(facts)) = (&self.draft, &self.facts) else { return };
        let answers = draft.answers(facts);
        let mine: &[&str] = match self.page {
            Page::Node => &["node", "admin"],
            Page::Network => &["network", "VLAN", "MTU", "Ports", "Router", "Name server"],
            _ => &[""],
        };
        let found = answers.as_ref().err().map(|p| p.0.clone()).unwrap_or_default();
        self.problems = found
            .iter()
            .filter(|p| mine.iter().any(|key| p.key.starts_with(key)))
            .map(as_on_the_screen)
            .collect();
        if self.page == Page::Node {
            self.problems.extend(draft.node_problem());
        }
        if self.problems.is_empty() {
            self.page = after;
            self.cursor = 0;
            self.scroll = 0;
        }
    }

    /// Begins to try the network, or says why that cannot be.
    pub(super) fn try_network(&mut self) -> Option<Action> {
        let (draft, facts) = (self.draft.as_ref()?, self.facts.as_ref()?);
        let answers = draft.answers(facts).ok()?; // the screens before this one have checked it
        match plan_trial(&answers.network, &answers.cluster, &facts.nics, &self.carrier) {
            Ok(trial) => {
                self.trying = Trying::Now("beginning".to_owned());
                Some(Action::Try(Box::new(trial)))
            }
            Err(reason) => {
                self.trying = Trying::Cannot(reason);
                self.cursor = TRIAL.len() - 1;
                None
            }
        }
    }

    /// Shows what was found out, with the cursor on what is to be done next.
    pub(super) fn tried(&mut self, findings: Vec<Finding>) {
        let bad = findings.iter().any(|finding| finding.verdict == Verdict::Bad);
        self.cursor = if bad { TRIAL.len() - 2 } else { TRIAL.len() - 1 };
        self.trying = Trying::Tried(findings);
        self.scroll = 0;
    }

    /// Makes the plan and shows it, or says what stands against it.
    pub(super) fn show_plan(&mut self) {
        let (Some(draft), Some(facts)) = (&self.draft, &self.facts) else { return };
        let planned = match draft.answers(facts) {
            Ok(answers) => self.make_plan(&answers),
            Err(problems) => Err(problems.to_string()),
        };
        match planned {
            Ok(plan) => self.plan = Some(plan),
            Err(text) => {
                self.problems = text.lines().map(|l| l.trim().to_owned()).collect();
                self.scroll = 0;
                return;
            }
        }
        self.problems.clear();
        self.scroll = 0;
        self.seen = view::plan::ROOM;
        if let Some(draft) = &mut self.draft {
            draft.word.clear();
        }
        self.page = Page::Plan;
    }

    /// The word that must be typed: a longer one where something is lost.
    #[must_use]
    pub fn consent_word(&self) -> &'static str {
        match &self.plan {
            Some(plan) if !describe::losses(plan).is_empty() => "erase",
            _ => "install",
        }
    }
}

/// What the fields of the screens are called in an answer file.
const FIELDS: [(&str, &str); 19] = [
    ("node.hostname", "Host name"),
    ("admin.ssh_keys", "SSH key"),
    ("admin", "Password"),
    ("network.interface[0].addresses", "IP and prefix"),
    ("network.interface[0].gateway", "Router"),
    ("network.interface[0].mtu", "MTU"),
    ("network.interface[0].mac", "Port"),
    ("network.interface[0]", "Address"),
    ("network.bond[0]", "Ports"),
    ("network.vlan[0]", "VLAN"),
    ("network.dns", "Name server"),
    ("cluster.name", "Name"),
    ("cluster.masters", "Master"),
    ("cluster.ca_sha256", "CA digest"),
    ("cluster.secret", "Secret"),
    ("provision.pool_start", "First address"),
    ("provision.pool_end", "Last address"),
    ("provision", "Install others"),
    ("disks", "Drives"),
];

/// A problem under the name that its field has on the screens.
fn as_on_the_screen(problem: &Problem) -> String {
    let field = FIELDS.iter().find(|(key, _)| problem.key.starts_with(key));
    field.map_or_else(|| problem.to_string(), |(_, label)| format!("{label}: {}", problem.reason))
}
