//! `login`, `logout`, `context`: who one is, on which cluster.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use maekin_api as api;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::context::{Config, Context, address};
use crate::fault::{Code, Fault, chain};
use crate::resource::fill;
use crate::session::Session;
use crate::show::clean::clean;
use crate::show::table::Table;
use crate::stage::Stage;
use crate::wire::client::{self, Ask};
use crate::wire::look::{self, Seen};

/// Where tokens are made.
const TOKENS: &str = "/v1/tokens";
/// How long a stranger may take to show its certificate.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// Most nodes that a context names.
const MOST: usize = 16;

/// Whom to log in to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Login {
    /// Any node of the cluster, e.g. https://10.77.0.1:8443.
    url: String,
    /// Who one is.
    #[arg(long, default_value = "admin")]
    user: String,
    /// SHA-256 of the cluster's CA, from its console or from somebody who knows it; else it is shown and asked about.
    #[arg(long, value_name = "HEX")]
    ca_sha256: Option<String>,
    /// What the context is called; else as the cluster.
    #[arg(long)]
    name: Option<String>,
    /// For how many days the token is good.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Keep no token: the password is asked for each time.
    #[arg(long)]
    no_token: bool,
}

/// What to do with contexts.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Contexts {
    /// List them.
    List,
    /// Use this one from now on.
    Use {
        /// Which.
        name: String,
    },
    /// Forget one; its token stays good until it is deleted or expires.
    Forget {
        /// Which.
        name: String,
    },
    /// Ask the cluster for the addresses of its nodes anew.
    Refresh,
}

/// `login`.
pub(super) fn login(
    login: &Login,
    limit: Duration,
    config: &Path,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let address = address(&login.url).map_err(|e| Fault::usage("cannot log in", e))?;
    let mut kept = Config::load(config)?;
    let seen = fingerprint(&address)?;
    compare(&address, &seen, login.ca_sha256.as_deref(), &kept, stage)?;

    let mut context = Context {
        ca_sha256: seen,
        endpoints: vec![format!("https://{address}")],
        user: login.user.clone(),
        ..Context::default()
    };
    let session = Session::over_tls("login", &context, limit)?;
    let cluster = session.get(api::CLUSTER, "the cluster", stage)?;
    cluster["name"].as_str().unwrap_or("cluster").clone_into(&mut context.cluster);
    context.endpoints = endpoints(context.endpoints, &cluster);
    if !login.no_token {
        take_token(&session, login.days, &mut context, stage)?;
    }
    let name = login.name.clone().unwrap_or_else(|| name_for(&context, &kept.contexts));
    writeln!(
        stage.err,
        "logged in to `{}` as {}, {} nodes known; context `{}`",
        clean(&context.cluster),
        clean(&context.user),
        context.endpoints.len(),
        clean(&name)
    )?;
    kept.current.clone_from(&name);
    kept.contexts.insert(name, context);
    kept.save(config)
}

/// The CA that whoever answers there shows.
fn fingerprint(address: &str) -> Result<String, Fault> {
    let failed = |reason: String| {
        Fault::new(Code::Unreachable, format!("https://{address} does not answer"), reason)
            .remedy("is the machine on, and the address right?")
    };
    let (tls, seen) = look::config().map_err(|e| failed(chain(&e)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| failed(e.to_string()))?;
    let (tls, told) = (Arc::new(tls), Arc::clone(&seen));
    let looked = runtime.block_on(async {
        let look = async {
            let stream = TcpStream::connect(address).await?;
            client::handshake(stream, &tls).await.map(drop)
        };
        tokio::time::timeout(LOOK_LIMIT, look).await
    });
    let seen = told.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (seen, looked) {
        (Some(Seen::Ca(ca)), _) => Ok(ca),
        (Some(Seen::Alone), _) => {
            let thing = format!("https://{address} is no member of a cluster");
            Err(Fault::new(Code::Failed, thing, "it shows a certificate of its own making")
                .remedy("log in to a member; a new node becomes one within a minute of its first boot"))
        }
        (None, Ok(Err(e))) => Err(failed(chain(&e))),
        (None, _) => Err(failed(format!("it showed no certificate within {} s", LOOK_LIMIT.as_secs()))),
    }
}

/// Whether that is the CA that is meant.
fn compare(
    address: &str,
    seen: &str,
    given: Option<&str>,
    kept: &Config,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let hex = |text: &str| text.to_ascii_lowercase().replace([':', ' '], "");
    let url = format!("https://{address}");
    if let Some(given) = given.map(hex) {
        if given == seen {
            return Ok(());
        }
        let reason = format!("its CA is {seen}, not {given}");
        return Err(Fault::new(Code::Denied, format!("{url} is of another cluster"), reason).remedy(
            "compare with the fingerprint on the node's own console; give no password until they match",
        ));
    }
    let before = kept.contexts.values().find(|context| context.endpoints.contains(&url));
    if let Some(before) = before {
        if before.ca_sha256 == seen {
            return Ok(());
        }
        writeln!(
            stage.err,
            "WARNING: {url} belonged to the cluster `{}` with another CA, {}",
            clean(&before.cluster),
            clean(&before.ca_sha256)
        )?;
    }
    if !stage.keys.is_person() {
        let thing = "nobody is there to compare the cluster's CA";
        return Err(Fault::usage(thing, format!("{url} shows {seen}")).remedy("give it with --ca-sha256"));
    }
    writeln!(stage.err, "{url} shows a cluster whose CA has the fingerprint\n\n  {}\n", spaced(seen))?;
    writeln!(
        stage.err,
        "Compare it with the console of a node, or with `maekin get cluster -o wide` on one."
    )?;
    stage.confirm("is it the same?")
}

/// In groups, for eyes.
fn spaced(hex: &str) -> String {
    let groups: Vec<&str> =
        hex.as_bytes().chunks(8).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}

/// The node that was named first, then the other members.
fn endpoints(mut known: Vec<String>, cluster: &Value) -> Vec<String> {
    let members = cluster["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for url in members.iter().filter_map(|node| node["url"].as_str()) {
        let url = url.trim_end_matches('/').to_owned();
        if address(&url).is_ok() && !known.contains(&url) && known.len() < MOST {
            known.push(url);
        }
    }
    known
}

fn name_for(context: &Context, taken: &BTreeMap<String, Context>) -> String {
    let plain: String = context
        .cluster
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    let base = if plain.is_empty() { "cluster".to_owned() } else { plain };
    let mut names = (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") });
    // The same cluster again takes the place of its context; another one of the same name does not.
    let free = |name: &String| taken.get(name).is_none_or(|other| other.ca_sha256 == context.ca_sha256);
    names.find(free).unwrap_or(base)
}

fn take_token(
    session: &Session,
    days: u32,
    context: &mut Context,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let host = (stage.env)("HOSTNAME").unwrap_or_default();
    let host: String =
        host.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(40).collect();
    let name = if host.is_empty() { "maekin".to_owned() } else { format!("maekin on {host}") };
    match session.ask(&Ask::with("POST", TOKENS, &json!({"name": name, "days": days})), "a token", stage) {
        Ok((answer, _)) => {
            let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
            (context.token, context.token_id) = (text("token"), text("id"));
            context.token_expires = answer["expires"].as_u64().unwrap_or(0);
            Ok(())
        }
        Err(fault) if fault.code == Code::Unknown => {
            writeln!(
                stage.err,
                "this node's release gives no tokens; the password will be asked for each time"
            )?;
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

/// `logout`: the token is taken back, and the context forgotten.
pub(super) fn logout(
    name: Option<&str>,
    limit: Duration,
    config: &Path,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let mut kept = Config::load(config)?;
    let env = (stage.env)("MAEKIN_CONTEXT");
    let (name, context) =
        kept.pick(name.or(env.as_deref())).map(|(name, context)| (name, context.clone()))?;
    if !context.token_id.is_empty() {
        let path = fill("/v1/tokens/{}", &context.token_id);
        let taken = Session::over_tls(&name, &context, limit)
            .and_then(|session| session.ask(&Ask::new("DELETE", path), "the token", stage).map(drop));
        if let Err(fault) = taken {
            writeln!(stage.err, "the token was not taken back, and stays good until it expires:\n{fault}")?;
        }
    }
    forget(&mut kept, &name);
    kept.save(config)?;
    writeln!(stage.err, "logged out of `{}`", clean(&context.cluster))?;
    Ok(())
}

fn forget(kept: &mut Config, name: &str) {
    kept.contexts.remove(name);
    if kept.current == name {
        kept.current = kept.contexts.keys().next().cloned().unwrap_or_default();
    }
}

/// `context`.
pub(super) fn contexts(
    what: &Contexts,
    wanted: Option<&str>,
    limit: Duration,
    config: &Path,
    stage: &mut Stage<'_>,
) -> Result<(), Fault> {
    let mut kept = Config::load(config)?;
    match what {
        Contexts::List => {
            let now = (stage.now)();
            let row = |(name, context): (&String, &Context)| {
                let token = match (context.token.is_empty(), context.token_expires) {
                    (true, _) => "no".to_owned(),
                    (false, 0) => "yes".to_owned(),
                    (false, until) if until <= now => "EXPIRED".to_owned(),
                    (false, until) => crate::show::time::distance(until, now),
                };
                let current = if *name == kept.current { "*" } else { "" };
                vec![
                    name.clone(),
                    current.to_owned(),
                    context.cluster.clone(),
                    context.user.clone(),
                    token,
                    context.endpoints.join(","),
                ]
            };
            let heads = ["CONTEXT", "CURRENT", "CLUSTER", "USER", "TOKEN", "NODES"];
            let table = Table::of(&heads, kept.contexts.iter().map(row).collect());
            Ok(stage.out.write_all(table.render(true, stage.columns).as_bytes())?)
        }
        Contexts::Use { name } => {
            kept.pick(Some(name))?;
            kept.current.clone_from(name);
            kept.save(config)
        }
        Contexts::Forget { name } => {
            kept.pick(Some(name))?;
            forget(&mut kept, name);
            kept.save(config)
        }
        Contexts::Refresh => {
            let env = (stage.env)("MAEKIN_CONTEXT");
            let (name, mut context) =
                kept.pick(wanted.or(env.as_deref())).map(|(name, context)| (name, context.clone()))?;
            let session = Session::over_tls(&name, &context, limit)?;
            let cluster = session.get(api::CLUSTER, "the cluster", stage)?;
            let first = context.endpoints.iter().take(1).cloned().collect();
            context.endpoints = endpoints(first, &cluster);
            writeln!(stage.err, "{} nodes known", context.endpoints.len())?;
            kept.contexts.insert(name, context);
            kept.save(config)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_another_cluster_of_the_same_name_gets_a_context_of_its_own() {
        let context = |cluster: &str, ca: &str| Context {
            cluster: cluster.into(),
            ca_sha256: ca.into(),
            ..Context::default()
        };
        let taken: BTreeMap<String, Context> = [("rack".to_owned(), context("rack", "a"))].into();
        let rows = [
            ("rack", "a", "rack"),
            ("rack", "b", "rack-2"),
            ("a/b\u{1b}", "c", "a-b-"),
            ("", "d", "cluster"),
        ];
        for (cluster, ca, want) in rows {
            assert_eq!(name_for(&context(cluster, ca), &taken), want);
        }
    }

    #[test]
    fn cli_nodes_of_a_cluster_are_taken_only_where_they_can_be_asked() {
        let cluster = json!({"nodes": [{"url": "https://10.0.0.2:8443/"}, {"url": "http://10.0.0.3"}, {"url": "https://x y"}, {}]});
        assert_eq!(
            endpoints(vec!["https://10.0.0.1:8443".into()], &cluster),
            ["https://10.0.0.1:8443", "https://10.0.0.2:8443"]
        );
    }
}
