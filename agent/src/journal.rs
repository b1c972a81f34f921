//! The agent's own log: lines on standard error, and where that is the journal, entries with a priority and with the ids
//! of the request and the task that they are about, so that `journalctl REQUEST_ID=7f3c` and `TASK_ID=t-12` find them.
//!
//! Spans carry the ids: fields named `request` and `task`, whatever the span's name.

use std::fmt;
use std::io;
use std::sync::Arc;

use maekin_host::journal::Journal;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

/// The name under which entries are found (`journalctl -t`).
const NAME: &str = "maekin-agent";

/// From now on this process logs.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_env("MAEKIN_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    match Journal::of_stderr() {
        Some(journal) => entries(journal).with(filter).init(),
        None => {
            let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false);
            lines.with_env_filter(filter).without_time().init();
        }
    }
}

/// What writes entries into `journal`.
fn entries(journal: Journal) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    let line = tracing_subscriber::fmt::format().without_time().with_ansi(false); // journald has the time
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .event_format(Entry(line))
        .with_writer(Entries(Arc::new(journal)));
    Registry::default().with(Naming).with(layer)
}

/// The ids that a span names.
#[derive(Debug, Default)]
struct Ids {
    request: String,
    task: String,
}

impl Visit for Ids {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "request" => value.clone_into(&mut self.request),
            "task" => value.clone_into(&mut self.task),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Keeps the ids of each span with it.
struct Naming;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Naming {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut ids = Ids::default();
        attributes.record(&mut ids);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(ids);
        }
    }
}

/// Formats an event as [`Line`] takes it: the ids in a line of their own, and then as anywhere.
struct Entry(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Entry
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut found = Ids::default();
        for span in context.event_scope().into_iter().flatten() {
            if let Some(ids) = span.extensions().get::<Ids>() {
                let inner = |mine: &mut String, of_span: &String| {
                    if mine.is_empty() {
                        mine.clone_from(of_span);
                    }
                };
                inner(&mut found.request, &ids.request);
                inner(&mut found.task, &ids.task);
            }
        }
        let plain = |id: &str| id.replace(|c: char| c.is_control(), " ");
        writeln!(writer, "{}\t{}", plain(&found.request), plain(&found.task))?;
        self.0.format_event(context, writer, event)
    }
}

/// Makes a writer for each event.
struct Entries(Arc<Journal>);

/// Writes one event.
struct Line {
    journal: Arc<Journal>,
    priority: &'static str,
}

impl<'a> MakeWriter<'a> for Entries {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { journal: Arc::clone(&self.0), priority: priority(Level::INFO) }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        Line { journal: Arc::clone(&self.0), priority: priority(*about.level()) }
    }
}

impl io::Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let whole = String::from_utf8_lossy(text);
        let (ids, line) = whole.split_once('\n').unwrap_or(("\t", &whole));
        let (request, task) = ids.split_once('\t').unwrap_or_default();
        let fields = [
            ("MESSAGE", line.trim()),
            ("PRIORITY", self.priority),
            ("SYSLOG_IDENTIFIER", NAME),
            ("REQUEST_ID", request),
            ("TASK_ID", task),
        ];
        if self.journal.write(&fields).is_err() {
            // It has too much to do, or starts again: its stream takes the line, without the ids.
            writeln!(io::stderr(), "{}", line.trim())?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn record_entries_carry_the_ids_of_request_and_task() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("socket");
        let listens = UnixDatagram::bind(&at).unwrap();
        let subscriber = entries(Journal::at(&at).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(drives = 2, "begun");
            let request = tracing::info_span!("request", request = "r-1").entered();
            tracing::warn!("asked");
            let task = tracing::info_span!("task", task = String::from("t-7"), request = "r-0").entered();
            tracing::error!("two\nlines");
            drop(task);
            drop(request);
            let forged = tracing::info_span!("request", request = "r\nPRIORITY=0\tx").entered();
            tracing::debug!("quiet");
            drop(forged);
        });
        let rows: [(&str, &[&str], &[&str]); 4] = [
            (
                "alone",
                &["begun drives=2\n", "PRIORITY=6\n", "SYSLOG_IDENTIFIER=maekin-agent\n"],
                &["REQUEST_ID", "TASK_ID"],
            ),
            ("of a request", &["asked\n", "PRIORITY=4\n", "REQUEST_ID=r-1\n"], &["TASK_ID"]),
            ("of a task", &["two\nlines\n", "PRIORITY=3\n", "REQUEST_ID=r-0\n", "TASK_ID=t-7\n"], &["r-1\n"]),
            ("forged", &["quiet\n", "PRIORITY=7\n", "REQUEST_ID=r PRIORITY=0"], &["\nPRIORITY=0"]),
        ];
        for (name, there, not_there) in rows {
            let mut got = [0; 4096];
            let n = listens.recv(&mut got).unwrap();
            let text = String::from_utf8_lossy(&got[..n]);
            for part in there {
                assert!(text.contains(part), "{name}: {part:?} is missing in {text:?}");
            }
            for part in not_there {
                assert!(!text.contains(part), "{name}: {part:?} is in {text:?}");
            }
        }
    }
}
