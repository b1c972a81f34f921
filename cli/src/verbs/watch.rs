//! `watch`: things as they change. By the server's events where it sends them; else by asking again and again, and telling
//! what differs.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::find;
use crate::fault::{Code, Fault};
use crate::resource::Resource;
use crate::session::Session;
use crate::show::{self, Form, Look, table::Table};
use crate::stage::Stage;
use crate::wire::client::{Ask, Open};
use crate::wire::sse::SseParser;

/// Where events come from.
const WATCH: &str = "/v1/watch";
/// How long a silent stream is believed: servers send a comment now and then.
const SILENCE: Duration = Duration::from_secs(60);

/// How it is watched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Between two questions.
    pub(super) interval: Duration,
    /// For how long in all; none: until Ctrl-C.
    pub(super) limit: Option<Duration>,
    /// Whether events are tried.
    pub(super) events: bool,
}

/// What was shown last.
struct Shown<'a> {
    resource: &'static Resource,
    names: &'a [String],
    look: Look,
    things: Vec<Value>,
    any: bool,
}

/// `watch`.
pub(super) fn watch(
    session: &Session,
    word: &str,
    names: &[String],
    pace: Pace,
    look: Look,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let (resource, names) = find::split(word, names)?;
    let mut shown = Shown { resource, names: &names, look, things: Vec::new(), any: false };
    let end = pace.limit.map(|limit| Instant::now() + limit);
    shown.look_again(session, stage)?;
    let mut events = resource.events.filter(|_| pace.events);
    loop {
        if let Some(kind) = events {
            match session.open(&Ask::new("GET", format!("{WATCH}?kinds={kind}")), stage) {
                Ok(open) if open.status == 200 => follow(session, open, &mut shown, end, stage)?,
                // A release without events, or without those of this kind, is asked again and again.
                Ok(_) => events = None,
                Err(fault) if fault.code == Code::Unreachable => {}
                Err(fault) => return Err(fault),
            }
        }
        let now = Instant::now();
        let next = now + pace.interval;
        let over = end.is_some_and(|end| end <= next);
        let pause = end.map_or(next, |end| end.min(next)).saturating_duration_since(now);
        session.unless_interrupted(async { tokio::time::sleep(pause).await }).map_err(silent)?;
        if over {
            return Ok(());
        }
        match shown.look_again(session, stage) {
            // A node that is away may come back, or another one answer.
            Err(fault) if matches!(fault.code, Code::Unreachable | Code::Server) => {
                writeln!(stage.err, "{fault}")?;
            }
            other => other?,
        }
    }
}

/// Ctrl-C is how watching ends: nothing is said about it.
fn silent(fault: Fault) -> Fault {
    Fault { thing: String::new(), ..fault }
}

/// Looks again at each event, until the stream or the time ends.
fn follow(
    session: &Session,
    mut open: Open,
    shown: &mut Shown<'_>,
    end: Option<Instant>,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let mut parser = SseParser::default();
    loop {
        let left = end.map_or(SILENCE, |end| end.saturating_duration_since(Instant::now()).min(SILENCE));
        let next = async { tokio::time::timeout(left, open.next()).await };
        let Ok(Ok(Some(bytes))) = session.unless_interrupted(next).map_err(silent)? else { return Ok(()) };
        let events = parser.push(&bytes);
        let events = events.map_err(|e| Fault::new(Code::Server, "the events cannot be understood", e))?;
        // Events say that something changed; how it is now is read, so that none can be missed. The first one says that
        // from now on all are told: what changed since we looked is seen then.
        if !events.is_empty() {
            shown.look_again(session, stage)?;
        }
    }
}

impl Shown<'_> {
    /// Reads how things are, and tells what is new.
    fn look_again(&mut self, session: &Session, stage: &mut Stage<'_>) -> Result<(), Fault> {
        let (_, mut things) = find::list(session, self.resource, "", stage)?;
        if !self.names.is_empty() {
            let named = |thing: &Value| self.names.iter().any(|name| self.resource.is_named(thing, name));
            things.retain(named);
        }
        let changes = changes(self.resource, &self.things, &things, !self.any);
        self.tell(&changes, stage)?;
        self.things = things;
        self.any = true;
        Ok(())
    }

    fn tell(&self, changes: &[(&'static str, Value)], stage: &mut Stage<'_>) -> Result<(), Fault> {
        let text = match self.look.form {
            Form::Json | Form::Yaml => changes.iter().map(line).collect(),
            Form::Name => changes
                .iter()
                .map(|(word, thing)| {
                    let name = self.resource.name_of(thing);
                    format!("{word} {}/{}\n", self.resource.name, show::clean::clean(&name))
                })
                .collect(),
            Form::Table | Form::Wide => {
                let wide = self.look.form == Form::Wide;
                let things: Vec<Value> = changes.iter().map(|(_, thing)| thing.clone()).collect();
                let words: Vec<&str> = changes.iter().map(|(word, _)| *word).collect();
                let table = Table::new(self.resource, &things, wide, (stage.now)()).led_by("EVENT", &words);
                let head = !self.any && !self.look.headless;
                table.render(head, if wide { None } else { stage.columns })
            }
        };
        stage.out.write_all(text.as_bytes())?;
        Ok(stage.out.flush()?)
    }
}

/// A change as a line of JSON.
fn line((word, thing): &(&'static str, Value)) -> String {
    let value = serde_json::json!({"event": word, "object": thing});
    show::clean::clean_json(&value.to_string()) + "\n"
}

/// What differs, by name.
fn changes(resource: &Resource, before: &[Value], now: &[Value], first: bool) -> Vec<(&'static str, Value)> {
    let key = |thing: &Value| resource.name_of(thing);
    let mut found = Vec::new();
    for thing in now {
        match before.iter().find(|old| key(old) == key(thing)) {
            Some(old) if old == thing => {}
            Some(_) => found.push(("changed", thing.clone())),
            None => found.push((if first { "is" } else { "new" }, thing.clone())),
        }
    }
    for old in before.iter().filter(|old| !now.iter().any(|thing| key(thing) == key(old))) {
        found.push(("gone", old.clone()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cli_changes_are_told_by_name() {
        let users = Resource::find("users").unwrap();
        let (a, a2, b) = (json!({"name": "a"}), json!({"name": "a", "role": "x"}), json!({"name": "b"}));
        let words = |before: &[Value], now: &[Value], first| {
            changes(users, before, now, first)
                .into_iter()
                .map(|(word, v)| format!("{word} {}", v["name"].as_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&[], &[a.clone(), b.clone()], true), ["is a", "is b"]);
        assert_eq!(words(std::slice::from_ref(&a), &[a2, b.clone()], false), ["changed a", "new b"]);
        assert_eq!(words(&[a.clone(), b.clone()], &[b], false), ["gone a"]);
        assert!(words(std::slice::from_ref(&a), std::slice::from_ref(&a), false).is_empty());
    }
}
