//! A cluster, and who asks it. Nodes are asked in turn until one answers; a request that may have reached one is not sent
//! to another, unless it only reads.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maekin_api::cluster::Cluster;
use maekin_api::problem::Problem;
use serde_json::Value;

use crate::context::{Config, Context, address};
use crate::fault::{Code, Fault, chain};
use crate::stage::Stage;
use crate::wire::client::{self, Answer, Ask, Endpoint, Failure, Open};

/// Where the agent of an installed node listens.
pub(crate) const SOCKET: &str = "/run/maekin/agent.sock";
/// How long somebody waits who pressed Tab.
const QUIET: Duration = Duration::from_secs(2);
/// How the agent names a path that it does not have at all.
const NO_PATH: &str = "There is no such resource";

/// Which cluster, and how long to wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// This socket.
    pub(crate) socket: Option<PathBuf>,
    /// This context.
    pub(crate) context: Option<String>,
    /// This node.
    pub(crate) node: Option<String>,
    /// How long an answer may take.
    pub(crate) limit: Duration,
}

/// How we prove who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// The socket does.
    Root,
    /// An API token.
    Token(String),
    /// A password, asked for when it is first needed.
    Password,
}

/// See the module.
pub(crate) struct Session {
    /// What the prompt calls the cluster.
    pub(crate) cluster: RefCell<String>,
    /// Who we are.
    pub(crate) user: String,
    endpoints: Vec<Endpoint>,
    /// Index of the endpoint that answered last.
    first: Cell<usize>,
    proof: Proof,
    password: RefCell<Option<String>>,
    limit: Duration,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    /// The session that was wished for: a socket where this is a node, else a context.
    ///
    /// # Errors
    /// There is no such cluster, or it cannot be used.
    pub(crate) fn new(wish: &Wish, config: &Path, stage: &mut Stage<'_>) -> Result<Self, Fault> {
        let env = stage.env;
        let socket = wish.socket.clone().or_else(|| env("MAEKIN_SOCKET").map(PathBuf::from));
        let context = wish.context.clone().or_else(|| env("MAEKIN_CONTEXT"));
        let mut session = match (socket, context) {
            (Some(socket), _) => Self::over_socket(socket, wish.limit)?,
            (None, None) if usable(Path::new(SOCKET)) => Self::over_socket(SOCKET.into(), wish.limit)?,
            (None, context) => {
                let found = Config::load(config)?;
                let (name, context) = found.pick(context.as_deref()).map_err(|fault| {
                    let here = context.is_none() && Path::new(SOCKET).exists();
                    if here {
                        fault.remedy("be root on this node, or log in: maekin login https://NODE:8443")
                    } else {
                        fault
                    }
                })?;
                Self::over_tls(&name, context, wish.limit)?
            }
        };
        if let Some(node) = &wish.node {
            session.turn_to(node, stage)?;
        }
        Ok(session)
    }

    fn over_socket(socket: PathBuf, limit: Duration) -> Result<Self, Fault> {
        Self::with("this node", "root", vec![Endpoint::Socket(socket)], Proof::Root, limit)
    }

    /// A session with a cluster by its context.
    ///
    /// # Errors
    /// The context is no good.
    pub(crate) fn over_tls(name: &str, context: &Context, limit: Duration) -> Result<Self, Fault> {
        let thing = || format!("the context `{name}` cannot be used");
        let tls = maekin_host::pin::client_config_by_the_clock(&context.ca_sha256)
            .map_err(|e| Fault::new(Code::Failed, thing(), chain(&e)))?;
        let tls = Arc::new(tls);
        let endpoint = |url: &String| address(url).map(|address| Endpoint::Tls(address, Arc::clone(&tls)));
        let endpoints: Result<Vec<_>, String> = context.endpoints.iter().map(endpoint).collect();
        let endpoints = endpoints.map_err(|e| Fault::usage(thing(), e))?;
        if endpoints.is_empty() {
            return Err(Fault::usage(thing(), "it names no node").remedy("maekin login"));
        }
        let proof =
            if context.token.is_empty() { Proof::Password } else { Proof::Token(context.token.clone()) };
        Self::with(&context.cluster, &context.user, endpoints, proof, limit)
    }

    fn with(
        cluster: &str,
        user: &str,
        endpoints: Vec<Endpoint>,
        proof: Proof,
        limit: Duration,
    ) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime
            .map_err(|e| Fault::new(Code::Failed, "this machine gives no resources", e.to_string()))?;
        Ok(Self {
            cluster: RefCell::new(cluster.to_owned()),
            user: user.to_owned(),
            endpoints,
            first: Cell::new(0),
            proof,
            password: RefCell::new(None),
            limit,
            runtime,
        })
    }

    /// From now on with this password, until the session ends.
    pub(crate) fn know(&self, password: String) {
        *self.password.borrow_mut() = Some(password);
    }

    /// Asks this node only.
    fn turn_to(&mut self, node: &str, stage: &mut Stage<'_>) -> Result<(), Fault> {
        if let [Endpoint::Socket(_)] = self.endpoints.as_slice() {
            let own = self.get(maekin_api::NODE, "this node", stage)?;
            if own["name"].as_str() == Some(node) {
                return Ok(());
            }
            let reason = "over its socket a node speaks for itself only";
            return Err(Fault::usage(format!("the node `{node}` cannot be asked from here"), reason)
                .remedy("log in, here or elsewhere: maekin login https://NODE:8443"));
        }
        let url = if node.contains([':', '.']) { node.to_owned() } else { self.url_of(node, stage)? };
        let address =
            address(&url).map_err(|e| Fault::usage(format!("the node `{node}` cannot be asked"), e))?;
        self.endpoints.retain(|endpoint| matches!(endpoint, Endpoint::Tls(..)));
        self.endpoints.truncate(1);
        if let Some(Endpoint::Tls(old, _)) = self.endpoints.first_mut() {
            *old = address;
        }
        self.first.set(0);
        Ok(())
    }

    fn url_of(&self, node: &str, stage: &mut Stage<'_>) -> Result<String, Fault> {
        let cluster = self.get(maekin_api::CLUSTER, "the cluster", stage)?;
        let cluster: Cluster = serde_json::from_value(cluster).map_err(|e| {
            Fault::new(Code::Server, "the cluster's members cannot be understood", e.to_string())
        })?;
        let found = cluster.nodes.iter().find(|member| member.name == node || member.id == node);
        found.map(|member| member.url.clone()).ok_or_else(|| {
            Fault::new(Code::NotFound, format!("there is no node `{node}`"), "no member has this name")
                .remedy("`maekin get nodes` lists them")
        })
    }

    /// Asks, and returns what was answered, whatever it is.
    ///
    /// # Errors
    /// No node answers.
    pub(crate) fn send(&self, ask: &Ask, stage: &mut Stage<'_>) -> Result<Answer, Fault> {
        let limit = self.limit;
        let reads = ask.method == "GET";
        let ask = self.signed(ask, stage)?;
        let mut failures = Vec::new();
        let mut away: Option<Answer> = None;
        for (index, endpoint) in self.in_order() {
            let work = client::exchange(endpoint, &ask, limit);
            match self.unless_interrupted(work)? {
                // A node that is cut off says so; another one may not be.
                Ok(answer) if answer.status == 503 && reads => away = away.or(Some(answer)),
                Ok(answer) => {
                    self.first.set(index);
                    return Ok(answer);
                }
                Err(failure) if failure.sent && !reads => return Err(unsure(&failure)),
                Err(failure) => failures.push(failure),
            }
        }
        away.ok_or_else(|| unreachable(&failures))
    }

    /// Asks without asking anybody for a password; `None` for whatever is no good answer. For completion.
    pub(crate) fn quietly(&self, ask: &Ask) -> Option<Answer> {
        let authorization = match &self.proof {
            Proof::Root => None,
            Proof::Token(token) => Some(format!("Bearer {token}")),
            Proof::Password => Some(self.basic(self.password.borrow().as_deref()?)),
        };
        let ask = Ask { authorization, ..ask.clone() };
        let limit = self.limit.min(QUIET);
        let (_, endpoint) = self.in_order().next()?;
        let answer = self.unless_interrupted(client::exchange(endpoint, &ask, limit)).ok()?.ok()?;
        (answer.status == 200).then_some(answer)
    }

    /// `Authorization` by password, RFC 7617.
    fn basic(&self, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{password}", self.user)))
    }

    /// Asks for something that goes on, and returns when its head is there.
    ///
    /// # Errors
    /// No node answers.
    pub(crate) fn open(&self, ask: &Ask, stage: &mut Stage<'_>) -> Result<Open, Fault> {
        let ask = self.signed(ask, stage)?;
        let limit = self.limit;
        let mut failures = Vec::new();
        for (index, endpoint) in self.in_order() {
            let late = |_| Failure {
                target: endpoint.name(),
                reason: format!("no answer within {} s", limit.as_secs()),
                sent: true,
                untrusted: false,
            };
            let work = async {
                tokio::time::timeout(limit, client::open(endpoint, &ask)).await.map_err(late).flatten()
            };
            match self.unless_interrupted(work)? {
                Ok(open) => {
                    self.first.set(index);
                    return Ok(open);
                }
                Err(failure) => failures.push(failure),
            }
        }
        Err(unreachable(&failures))
    }

    /// Does asynchronous work until it ends or somebody presses Ctrl-C.
    ///
    /// # Errors
    /// It was Ctrl-C.
    pub(crate) fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done),
                Ok(()) = tokio::signal::ctrl_c() => Err(Fault::interrupted()),
            }
        })
    }

    fn in_order(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let (count, first) = (self.endpoints.len(), self.first.get());
        (0..count).map(move |n| (first + n) % count).map(|index| (index, &self.endpoints[index]))
    }

    fn signed(&self, ask: &Ask, stage: &mut Stage<'_>) -> Result<Ask, Fault> {
        let mut ask = ask.clone();
        ask.authorization = match &self.proof {
            Proof::Root => None,
            Proof::Token(token) => Some(format!("Bearer {token}")),
            Proof::Password => {
                if self.password.borrow().is_none() {
                    let prompt = format!("password of {}: ", crate::show::clean::clean(&self.user));
                    self.know(stage.keys.secret(&prompt)?);
                }
                Some(self.basic(self.password.borrow().as_deref().unwrap_or_default()))
            }
        };
        Ok(ask)
    }

    /// Asks, and returns what was answered if it was done. `what` is what was asked, in words.
    ///
    /// # Errors
    /// No node answers, or one refuses.
    pub(crate) fn ask(&self, ask: &Ask, what: &str, stage: &mut Stage<'_>) -> Result<(Value, Answer), Fault> {
        let answer = self.send(ask, stage)?;
        if !(200..300).contains(&answer.status) {
            if answer.status == 401 {
                *self.password.borrow_mut() = None; // it was wrong: the next try asks anew
            }
            return Err(refused(&answer, what));
        }
        if answer.body.is_empty() {
            return Ok((Value::Null, answer));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(value) => Ok((value, answer)),
            Err(e) => Err(Fault::new(
                Code::Server,
                format!("{what}: {} gave an answer that is no JSON", answer.from),
                e.to_string(),
            )),
        }
    }

    /// Asks with `GET`.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub(crate) fn get(&self, path: &str, what: &str, stage: &mut Stage<'_>) -> Result<Value, Fault> {
        Ok(self.ask(&Ask::new("GET", path), what, stage)?.0)
    }
}

fn usable(socket: &Path) -> bool {
    rustix::fs::access(socket, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok()
}

/// What a node answered instead of doing it.
pub(crate) fn refused(answer: &Answer, what: &str) -> Fault {
    let problem = serde_json::from_slice::<Problem>(&answer.body).ok();
    let no_path = problem.as_ref().is_none_or(|problem| problem.title == NO_PATH);
    match problem {
        _ if answer.status == 404 && no_path => unknown(what, &answer.from),
        _ if answer.status == 405 => unknown(&format!("doing that with {what}"), &answer.from),
        Some(problem) => Fault::from_problem(what, &problem, ""),
        None => {
            let code = if answer.status >= 500 { Code::Server } else { Code::Failed };
            let thing = format!("{what}: {} answered with HTTP status {}", answer.from, answer.status);
            Fault::new(code, thing, "and with nothing that says why")
        }
    }
}

/// The node is too old for it.
pub(crate) fn unknown(what: &str, from: &str) -> Fault {
    Fault::new(
        Code::Unknown,
        format!("this node's release does not know {what}"),
        format!("{from} has no such path"),
    )
    .remedy("upgrade it, or ask a node with a newer release: --node NAME")
}

/// It may have been done.
fn unsure(failure: &Failure) -> Fault {
    let thing = format!("it is not known whether it was done: {} was asked", failure.target);
    Fault::new(Code::Unreachable, thing, failure.reason.clone()).remedy("look before you repeat it")
}

fn unreachable(failures: &[Failure]) -> Fault {
    let reasons: Vec<String> = failures.iter().map(|f| format!("{}: {}", f.target, f.reason)).collect();
    if failures.iter().any(|f| f.untrusted) && failures.iter().all(|f| f.untrusted || !f.sent) {
        let thing = "a node shows a certificate of another CA than the one that was logged in to";
        return Fault::new(Code::Denied, thing, reasons.join("; ")).remedy(
            "a cluster changes its CA after every removal of a member: compare its fingerprint with a node's console, and log \
             in anew: maekin login",
        );
    }
    let thing = match failures {
        [one] => format!("{} does not answer", one.target),
        many => format!("none of {} nodes answers", many.len()),
    };
    Fault::new(Code::Unreachable, thing, reasons.join("; "))
        .remedy("is the machine on, and the address still right?")
}
