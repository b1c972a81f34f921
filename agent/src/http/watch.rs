//! `GET /v1/watch`: word of what changes, as server-sent events, from a watch on the record.
//!
//! | module | job |
//! | --- | --- |
//! | [`local`] | what changes on this node alone |
//! | [`plan`] | which changes are told, and as what text (pure) |
//!
//! A listener that takes nothing is let go, and so is one whose node is cut off: it learns that at the next heartbeat.
//! Streams end with their connection, after some minutes; listeners go on with `Last-Event-ID`.

mod local;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maekin_api::watch::{LOST, Mark, READY, RESET};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio_util::io::ReaderStream;

use super::error::ApiError;
use super::identity::Identity;
use crate::app::App;
use crate::record::watch::{Heard, Watch};
use crate::record::{Record, RecordError, keys};
pub(crate) use local::Board;
use local::News;
use plan::{Wanted, event};

/// Most listeners of a node at once.
pub(crate) const MOST: usize = 64;
/// How often a listener hears that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a listener may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until a watch that broke off is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// How much waits for a listener, bytes.
const BUFFER: usize = 64 << 10;

/// The listener wants no more, or was let go.
struct Gone;

pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Identity>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wanted = Wanted::parse(query.as_deref().unwrap_or_default(), &headers, asker.role)?;
    let place = Arc::clone(&app.watchers).try_acquire_owned().map_err(|_| {
        let detail = format!("{MOST} listen to this node; ask another one");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers", "Too many listen", detail)
    })?;
    let record = app.member()?.record.clone();
    let now = record.revision().await?;
    // A place that is not there yet is another cluster's, or from before a backup was restored.
    let known = wanted.after.filter(|after| *after <= now);
    let first = if wanted.after.is_some() && known.is_none() { RESET } else { READY };
    let at = known.unwrap_or(now);
    let watch = open(&record, &wanted, at).await?;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    let news = app.news.listen();
    let listener = Listener { record, news, wanted, at, out: ours, _place: place };
    tokio::spawn(listener.run(first, watch));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(ReaderStream::new(theirs))).into_response())
}

/// A watch on all that changes behind revision `at`.
async fn open(record: &Record, wanted: &Wanted, at: i64) -> Result<Watch, RecordError> {
    let from = at.saturating_add(1);
    if wanted.has(keys::AUDIT) {
        record.watch_apart(keys::ALL, from, crate::audit::apart).await
    } else {
        record.watch(keys::ALL, from).await
    }
}

struct Listener {
    record: Record,
    news: broadcast::Receiver<News>,
    wanted: Wanted,
    /// All changes up to this revision were told.
    at: i64,
    out: DuplexStream,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn run(mut self, first: &str, mut watch: Watch) {
        if self.say(&event(first, Some(self.at), &Mark { revision: self.at })).await.is_err() {
            return;
        }
        let mut beat = tokio::time::interval(HEARTBEAT);
        beat.tick().await; // the first is at once
        loop {
            let heard = tokio::select! {
                heard = watch.next() => heard,
                news = self.news.recv() => {
                    // Behind by too many: whatever is watched may be another one.
                    let text = match news {
                        Ok(news) => self.wanted.news(&news, self.at),
                        Err(RecvError::Lagged(_)) => self.wanted.any_news(self.at),
                        Err(RecvError::Closed) => return, // the agent ends
                    };
                    if !text.is_empty() && self.say(&text).await.is_err() {
                        return;
                    }
                    continue;
                }
                _ = beat.tick() => {
                    let alive = self.record.revision().await;
                    if self.beat(alive).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let told = match heard {
                Some(Heard::Changes(changes)) => {
                    let text = self.wanted.text(&changes);
                    self.at = changes.last().map_or(self.at, |last| last.revision);
                    self.say(&text).await
                }
                Some(Heard::Forgotten) => self.reset(&mut watch).await,
                None => {
                    tokio::time::sleep(AGAIN).await;
                    self.reopen(&mut watch).await
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    async fn reset(&mut self, watch: &mut Watch) -> Result<(), Gone> {
        match self.record.revision().await {
            Ok(now) => self.at = now,
            Err(e) => return self.lost(e).await,
        }
        self.reopen(watch).await?;
        self.say(&event(RESET, Some(self.at), &Mark { revision: self.at })).await
    }

    async fn reopen(&mut self, watch: &mut Watch) -> Result<(), Gone> {
        match open(&self.record, &self.wanted, self.at).await {
            Ok(new) => {
                *watch = new;
                Ok(())
            }
            Err(e) => self.lost(e).await,
        }
    }

    async fn beat(&mut self, alive: Result<i64, RecordError>) -> Result<(), Gone> {
        match alive {
            Ok(_) => self.say(": alive\n\n").await,
            Err(e) => self.lost(e).await,
        }
    }

    /// Says why the stream ends.
    async fn lost(&mut self, error: RecordError) -> Result<(), Gone> {
        let problem = ApiError::from(error).into_problem();
        self.say(&event(LOST, None, &problem)).await?;
        Err(Gone)
    }

    async fn say(&mut self, text: &str) -> Result<(), Gone> {
        let write = self.out.write_all(text.as_bytes());
        tokio::time::timeout(PATIENCE, write).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests;
