//! The voters of the record: where they are asked, one after another, and who they are.
//!
//! One voter is preferred until it fails, then the next: a client that asks all in turn would find the dead one again
//! and again. What only reads, or does the same when done twice, is asked of every voter before it is given up; what
//! writes is asked once, since the answer that was lost may have been yes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use etcd_client::{ConnectOptions, MemberAddOptions};

use super::RecordError;
use super::values::NodeValue;
use crate::metrics;

/// How long one question to one voter may take.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// A connection to a voter. One client has connections of its own for each part of etcd's interface, and the keys with
/// which they are made: to clone it for each question would cost more than to ask.
pub(super) type Client = Arc<etcd_client::Client>;

/// A voter, or one that is being made one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voter {
    /// etcd's id of it.
    pub(crate) id: u64,
    /// Where other voters reach it; there is exactly one such address for each of ours.
    pub(crate) peer_url: String,
    /// The id of its node; empty until it was started.
    pub(crate) name: String,
    /// It copies the record, and has no vote yet.
    pub(crate) learner: bool,
}

type Known = Arc<[(String, Client)]>;

/// Connections to the voters that we know.
#[derive(Clone)]
pub(super) struct Voters {
    options: Arc<RwLock<ConnectOptions>>,
    /// The preferred one first.
    known: Arc<RwLock<Known>>,
    /// How many questions were sent.
    asked: Arc<AtomicU64>,
}

impl Voters {
    /// No connection is made before it is needed.
    pub(super) async fn new(urls: &[String], options: ConnectOptions) -> Result<Self, RecordError> {
        let options = Arc::new(RwLock::new(options));
        let voters = Self { options, known: Arc::new(RwLock::new(Arc::from([]))), asked: Arc::default() };
        voters.set(urls).await?;
        Ok(voters)
    }

    /// From now on, connections are made with these options: those that there are end.
    pub(super) async fn set_options(&self, options: ConnectOptions) -> Result<(), RecordError> {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
        let urls: Vec<String> = self.list().iter().map(|(url, _)| url.clone()).collect();
        let mut new = Vec::new();
        for url in urls {
            let client = self.connect(&url).await?;
            new.push((url, client));
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = new.into();
        Ok(())
    }

    async fn connect(&self, url: &str) -> Result<Client, RecordError> {
        let options = self.options.read().unwrap_or_else(PoisonError::into_inner).clone();
        bounded(url, "connect", LIMIT, Box::pin(etcd_client::Client::connect([url], Some(options))))
            .await
            .map(Arc::new)
    }

    /// From now on these are asked, in this order; connections that there are stay.
    pub(super) async fn set(&self, urls: &[String]) -> Result<(), RecordError> {
        let old = self.list();
        let mut new = Vec::new();
        for url in urls {
            let client = match old.iter().find(|(have, _)| have == url) {
                Some((_, client)) => client.clone(),
                None => self.connect(url).await?,
            };
            new.push((url.clone(), client));
        }
        // Who answers now goes on answering.
        if let Some(at) = old.first().and_then(|(url, _)| new.iter().position(|(have, _)| have == url)) {
            new.rotate_left(at);
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = new.into();
        Ok(())
    }

    fn list(&self) -> Known {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// `url` gave no answer: the next one is preferred from now on.
    fn avoid(&self, url: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.first().is_some_and(|(first, _)| first == url) {
            let mut next = known.to_vec();
            next.rotate_left(1);
            *known = next.into();
        }
    }

    /// Asks one voter after another, until one answers.
    pub(super) async fn ask<T, F>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Fn(Client) -> F,
    ) -> Result<T, RecordError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut failed = None;
        for (url, client) in self.list().iter() {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match bounded(url, what, limit, Box::pin(work(Arc::clone(client)))).await {
                Err(e @ RecordError::Unreachable { .. }) => {
                    self.avoid(url);
                    failed = Some(e);
                }
                other => return other,
            }
        }
        Err(failed.unwrap_or_else(nobody))
    }

    /// The same for work that asks two questions.
    pub(super) async fn ask_twice<T, F>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Fn(Client) -> F,
    ) -> Result<T, RecordError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.ask(what, limit, work).await
    }

    /// Asks the preferred voter only.
    pub(super) async fn ask_once<T, F>(
        &self,
        what: &str,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, RecordError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let (url, client) = self.list().first().cloned().ok_or_else(nobody)?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        let outcome = bounded(&url, what, LIMIT, Box::pin(work(client))).await;
        if matches!(outcome, Err(RecordError::Unreachable { .. })) {
            self.avoid(&url);
        }
        outcome
    }
}

impl Voters {
    /// Who is asked first.
    pub(super) fn preferred(&self) -> String {
        self.list().first().map(|(url, _)| url.clone()).unwrap_or_default()
    }

    /// Asks every voter at the same time; those that answered, each with its address.
    pub(super) async fn ask_each<T, F>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Fn(Client) -> F,
    ) -> Vec<(String, T)>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, etcd_client::Error>> + Send + 'static,
    {
        let mut asking = tokio::task::JoinSet::new();
        for (url, client) in self.list().iter().cloned() {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (work, what) = (work(client), what.to_owned());
            asking.spawn(async move {
                let answer = bounded(&url, &what, limit, Box::pin(work)).await;
                answer.ok().map(|answer| (url, answer))
            });
        }
        asking.join_all().await.into_iter().flatten().collect()
    }

    /// Whether the voter at `url` is one of those that are asked.
    pub(super) fn knows(&self, url: &str) -> bool {
        self.list().iter().any(|(have, _)| have == url)
    }

    /// Asks the voter at `url` and no other.
    pub(super) async fn ask_at<T, F>(
        &self,
        url: &str,
        what: &str,
        limit: Duration,
        work: impl FnOnce(Client) -> F,
    ) -> Result<T, RecordError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let found = self.list().iter().find(|(have, _)| have == url).cloned();
        let (url, client) = found.ok_or_else(nobody)?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        bounded(&url, what, limit, Box::pin(work(client))).await
    }
}

fn nobody() -> RecordError {
    RecordError::Unreachable { voters: "none".to_owned(), why: "no voter is known".to_owned() }
}

impl Voter {
    /// Whether it is a member's. Once it was started it has the member's id as its name, which a machine that is
    /// installed anew at the same address has not; until then it is known by where it is reached.
    pub(crate) fn is_of(&self, node: &NodeValue) -> bool {
        if self.name.is_empty() {
            !self.peer_url.is_empty() && self.peer_url == node.peer_url
        } else {
            self.name == node.id
        }
    }

    /// Whether it is the one of the member with this id, reached there.
    pub(crate) fn is_at(&self, node_id: &str, peer_url: &str) -> bool {
        self.peer_url == peer_url && (self.name.is_empty() || self.name == node_id)
    }
}

/// A voter as etcd lists it.
pub(super) fn to_voter(m: &etcd_client::Member) -> Voter {
    Voter {
        id: m.id(),
        peer_url: m.peer_urls().first().cloned().unwrap_or_default(),
        name: m.name().to_owned(),
        learner: m.is_learner(),
    }
}

impl super::Record {
    /// How many questions this connection and its clones have sent to voters so far.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u64 {
        self.voters.asked.load(Ordering::Relaxed)
    }

    /// From now on, the voters at `urls` are asked.
    ///
    /// # Errors
    /// [`RecordError`] when one of them cannot be an address.
    pub(crate) async fn set_endpoints(&self, urls: &[String]) -> Result<(), RecordError> {
        self.voters.set(urls).await
    }

    /// The voters, and the one that is being made one. The list is at least as new as this call: etcd gives its members
    /// as the asked one knows them, so that one has to catch up first.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn members(&self) -> Result<Vec<Voter>, RecordError> {
        let ask = async |client: Client| {
            client.kv_client().get(super::keys::CLUSTER, None).await?;
            client.cluster_client().member_list().await
        };
        let list = self.voters.ask_twice("list the voters", LIMIT, ask).await?;
        Ok(list.members().iter().map(to_voter).collect())
    }

    /// Lets the voter at `peer_url` copy the record, without a vote yet.
    ///
    /// # Errors
    /// [`RecordError`]; etcd refuses a second learner.
    pub(crate) async fn add_learner(&self, peer_url: &str) -> Result<(), RecordError> {
        let options = MemberAddOptions::new().with_is_learner();
        let work = async |client: Client| {
            client.cluster_client().member_add(vec![peer_url.to_owned()], Some(options)).await
        };
        self.voters.ask_once("add a voter", work).await.map(drop)
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    /// [`RecordError`]; etcd refuses while it has not caught up.
    pub(crate) async fn promote(&self, id: u64) -> Result<(), RecordError> {
        let work = async |client: Client| client.cluster_client().member_promote(id).await;
        self.voters.ask_once("promote a voter", work).await.map(drop)
    }

    /// Tells the others that a voter is reached elsewhere.
    ///
    /// # Errors
    /// [`RecordError`].
    pub(crate) async fn move_voter(&self, id: u64, peer_url: &str) -> Result<(), RecordError> {
        let work =
            async |client: Client| client.cluster_client().member_update(id, vec![peer_url.to_owned()]).await;
        self.voters.ask_once("move a voter", work).await.map(drop)
    }

    /// Takes a voter out.
    ///
    /// # Errors
    /// [`RecordError`]; etcd refuses where too few healthy ones would be left.
    pub(crate) async fn remove_voter(&self, id: u64) -> Result<(), RecordError> {
        let work = async |client: Client| client.cluster_client().member_remove(id).await;
        self.voters.ask_once("remove a voter", work).await.map(drop)
    }
}

/// On the heap, or the client's futures would make those of everybody who asks too large for a stack.
async fn bounded<T>(
    voter: &str,
    what: &str,
    limit: Duration,
    work: Pin<Box<impl Future<Output = Result<T, etcd_client::Error>>>>,
) -> Result<T, RecordError> {
    let unreachable = |why| Err(RecordError::Unreachable { voters: voter.to_owned(), why });
    let asked = Instant::now();
    let outcome = tokio::time::timeout(limit, work).await;
    metrics::RECORD.observe(asked.elapsed());
    if !matches!(outcome, Ok(Ok(_))) {
        metrics::RECORD_FAILED.fetch_add(1, Ordering::Relaxed);
    }
    match outcome {
        Err(_) => unreachable(format!("no answer within {} s", limit.as_secs())),
        Ok(Err(e)) if is_gone(&e) => unreachable(e.to_string()),
        Ok(Err(source)) => Err(RecordError::Refused { message: what.to_owned(), source: Box::new(source) }),
        Ok(Ok(value)) => Ok(value),
    }
}

/// Whether an error says that this voter cannot answer now, rather than what its answer is.
fn is_gone(e: &etcd_client::Error) -> bool {
    match e {
        etcd_client::Error::TransportError(_) => true,
        etcd_client::Error::GRpcStatus(status) => {
            // gRPC's codes (grpc/status codes): a server that is not reached, has no leader, is no voter yet, or was
            // ended while it was asked.
            let transport = || {
                let text = status.message();
                ["transport", "h2 protocol", "connection", "canceled", "timed out"]
                    .iter()
                    .any(|sign| text.contains(sign))
            };
            match status.code() as i32 {
                4 | 14 => true,
                1 | 2 | 13 => transport(),
                _ => false,
            }
        }
        _ => false,
    }
}
