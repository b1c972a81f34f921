//! A node that is installed from a stick with nothing said of a cluster, and let in by people who compare the code at both
//! consoles.

use std::time::Duration;

use anyhow::{Context, ensure};
use maekin_api::discovery::DiscoveredState;

use crate::answer::Answer;
use crate::node::{BootFrom, NodeSpec};
use crate::rack::Rack;
use crate::release::Release;
use crate::ssh;
use crate::steps::Steps;
use crate::terminal::Terminal;

/// By hardware virtualisation: power-on to installed.
const INSTALL: Duration = Duration::from_secs(5 * 60);
/// From the end of the installation to a node that is heard.
const RESTART: Duration = Duration::from_secs(2 * 60);
/// What a console may take to show something new: it looks every 5 s while somebody is there.
const SHOWN: Duration = Duration::from_secs(30);
/// A key that has the whole screen drawn anew (Ctrl-L): the kernel may have written over it.
const PAINT: &str = "\u{c}";

/// Installs the node `name` from a stick that says nothing of a cluster: it waits to be let in.
///
/// # Errors
/// When there is no release, or it is not installed in time.
pub fn install(rack: &mut Rack, name: &str) -> anyhow::Result<()> {
    let mut answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir())?]);
    answer.waits = true;
    rack.insert_stick_into(name, &Release::find()?, &answer)?;
    rack.power_on_from(name, BootFrom::Medium)?;
    let mut serial = rack.machine(rack.node(name)?).serial();
    serial.expect(&format!("{name} to be installed"), "maekin-install: done", rack.limit(INSTALL))?;
    Ok(())
}

/// Lets `node`, which waits, into the cluster of `member`, as two people do: one begins at the member's console, both see
/// the same six digits, and both say yes. One yes lets nobody in.
///
/// # Errors
/// What is not heard, not seen, or happens too early.
pub fn let_in(rack: &Rack, member: &NodeSpec, node: &NodeSpec, steps: &Steps) -> anyhow::Result<()> {
    let api = rack.api(member)?;
    rack.until(&format!("{} to be heard by {}", node.name, member.name), RESTART, || {
        let heard = api.discovered().unwrap_or_default();
        heard.iter().any(|heard| heard.name == node.name && heard.state == DiscoveredState::Waiting)
    })?;
    steps.done("the member has heard it");

    let [(ours, mut our_screen), (its, mut its_screen)] = [member, node]
        .map(|node| (rack.machine(node).serial(), Terminal::new(rack.machine(node).serial_log())));
    let shown = rack.limit(SHOWN);
    ours.send(PAINT)?;
    ours.send("3")?;
    our_screen.see("it on the member's console", &["Waiting", &node.name, "let one in"], shown)?;
    ours.send("b")?;
    our_screen.see("the question which node", &["Let in which node"], shown)?;
    ours.send(&format!("{}\n", node.name))?;
    let mut code = String::new();
    rack.until("a code at the member", SHOWN, || {
        let open = api.pairings().unwrap_or_default();
        code = open.into_iter().next().map(|pairing| pairing.code).unwrap_or_default();
        !code.is_empty()
    })?;
    ensure!(code.len() == 6 && code.chars().all(|c| c.is_ascii_digit()), "six digits: {code:?}");
    its.send(PAINT)?;
    its.send("0")?;
    its_screen.see("the code on the node's console", &[&code, "y  yes", "lets this node in"], shown)?;
    our_screen.see("the code on the member's console", &[&code, "y  yes, let it in"], shown)?;
    steps.done("the code is on both consoles");

    ours.send("y")?;
    our_screen.see("that the node's yes is missing", &["approved"], shown)?;
    its.send("y")?;
    its_screen.see("the node's yes", &["you said yes"], shown)?;
    let tokens = api.join_tokens().context("the join tokens")?;
    ensure!(
        !tokens.iter().any(|token| token.note.contains(&node.name)),
        "no token before both have said yes: {tokens:?}"
    );
    ours.send("y")?;
    Ok(())
}
