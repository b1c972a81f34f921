//! What each command of `rack` does.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use maekin_host::procs::Life;
use maekin_host::{attach, wait};
use maekin_qemu_tests::accel;
use maekin_qemu_tests::answer::Answer;
use maekin_qemu_tests::bench;
use maekin_qemu_tests::rack::{Firmwares, Plan, Rack, Watch, at_once};
use maekin_qemu_tests::release::Release;
use maekin_qemu_tests::ssh;
use maekin_qemu_tests::switch::Switch;
use maekin_qemu_tests::view::{self, View};

use crate::{Cable, Command, Power, Up};

pub(crate) fn run(dir: &Path, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => up(dir, &options),
        Command::Down => down(dir),
        Command::Status => print(&status(&Rack::open(dir)?)),
        Command::Console { node } => console(&Rack::open(dir)?, &node),
        Command::Log { node } => log(&Rack::open(dir)?, &node),
        Command::Screendump { node, file } => screendump(&Rack::open(dir)?, &node, &file),
        Command::Power { what, node } => power(&Rack::open(dir)?, what, &node),
        Command::Pull { node, drive } => Rack::open(dir)?.pull(&node, drive),
        Command::Break { node, drive } => Rack::open(dir)?.break_drive(&node, drive),
        Command::Replace { node, drive, serial } => {
            let mut rack = Rack::open(dir)?;
            let blank = rack.blank_drive(&node, drive, &serial)?;
            rack.insert(&node, drive, blank)
        }
        Command::Plug { node, drive } => Rack::open(dir)?.plug(&node, drive),
        Command::Cable { node, state } => Rack::open(dir)?.switch().set_up(&node, matches!(state, Cable::Up)),
        Command::Partition { groups } => partition(&Rack::open(dir)?, &groups),
        Command::Bench { file } => write_json(&file, &bench::measure(&this_program()?)?),
        Command::BenchInstalls { file, count } => {
            write_json(&file, &bench::installs(count, &this_program()?)?)
        }
        Command::BenchMemory { file } => {
            write_json(&file, &bench::least_memory(1536, 128, &this_program()?)?)
        }
        Command::Switch { at, ports } => serve_switch(&at, &ports),
    }
}

fn up(dir: &Path, options: &Up) -> anyhow::Result<()> {
    let began = Instant::now();
    let release = Release::find()?;
    let firmwares = Firmwares::from(options.firmware);
    let plan = Plan { nodes: options.nodes.into(), memory_mib: options.memory, firmwares, ..Plan::default() };
    println!("guests run by {}", accel::choose().1);
    let tool = std::env::current_exe().context("cannot find this program's own file")?;
    let mut rack = Rack::create(dir, &plan, Life::Detached, &tool)?;
    let mut watch = Watch::default();
    match raise(&mut rack, &release, &mut watch) {
        Ok(()) => {
            println!("\n{}", view::step_table(&watch));
            println!("raised in {}\n", view::clock(began.elapsed()));
            print(&status(&rack))
        }
        Err(e) if options.keep => Err(e.context("raising failed; its nodes are left on (--keep)")),
        Err(e) => {
            rack.end_processes()?;
            Err(e.context("raising failed; its nodes are off, its files are kept"))
        }
    }
}

fn raise(rack: &mut Rack, release: &Release, watch: &mut Watch) -> anyhow::Result<()> {
    let answer = Answer::new(rack.password(), vec![ssh::make_key(rack.dir())?]);
    rack.insert_stick(release, &answer)?;
    let mut view = View::new();
    rack.boot_first(watch, &mut |watch| view.show(watch))?;
    if rack.nodes().len() > 1 {
        rack.install_others(watch, at_once(), &mut |watch| view.show(watch))?;
    }
    rack.wait_one_cluster()
}

fn down(dir: &Path) -> anyhow::Result<()> {
    if !dir.join("rack.json").exists() {
        println!("there is no rack in {}", dir.display());
        return Ok(());
    }
    Rack::open(dir)?.down()
}

fn status(rack: &Rack) -> String {
    let mut rows = vec![["node", "firmware", "power", "API", "ssh"].map(str::to_owned)];
    for node in rack.nodes() {
        let power = if rack.machine(node).is_on() { "on" } else { "off" };
        let port = |guest| node.forwarded(guest).map_or(String::new(), |p| p.to_string());
        rows.push([
            node.name.clone(),
            node.firmware.to_string(),
            power.to_owned(),
            format!("https://127.0.0.1:{}", port(8443)),
            format!("port {}", port(22)),
        ]);
    }
    let key = ssh::key(rack.dir());
    let here = std::env::current_dir().unwrap_or_default(); // only to shorten what is shown
    let key = key.strip_prefix(&here).unwrap_or(&key);
    let first = rack.nodes().first();
    let api = first.and_then(|n| n.forwarded(8443)).unwrap_or_default();
    let ssh = first.and_then(|n| n.forwarded(22)).unwrap_or_default();
    let mut text = view::table(&rows);
    text.push_str(&format!(
        "\n  cluster:  curl -k -u admin:{} https://127.0.0.1:{api}/v1/cluster\
         \n  ssh:      ssh -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p {ssh} root@127.0.0.1\
         \n  console:  target/release/rack console node-1      (Ctrl-] leaves)\
         \n  screen:   target/release/rack screendump node-1 screen.png\
         \n  end:      cargo xtask down\n",
        rack.password(),
        key.display(),
    ));
    if let Ok(ports) = rack.switch().status() {
        text.push_str(&format!(
            "\n  switch\n{}",
            ports.lines().map(|l| format!("    {l}\n")).collect::<String>()
        ));
    }
    text
}

fn console(rack: &Rack, node: &str) -> anyhow::Result<()> {
    let machine = rack.machine(rack.node(node)?);
    let socket = machine.serial_socket();
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot reach {} (is {node} on?)", socket.display()))?;
    print(&format!("{}--- {node}; Ctrl-] leaves ---\n", machine.serial().tail()))?;
    attach::attach(stream).context("the connection to the console broke")?;
    print("\n")
}

fn log(rack: &Rack, node: &str) -> anyhow::Result<()> {
    let machine = rack.machine(rack.node(node)?);
    let name = || format!("cannot print {}", machine.serial_log().display());
    let mut file = std::fs::File::open(machine.serial_log()).with_context(name)?;
    std::io::copy(&mut file, &mut std::io::stdout()).with_context(name)?;
    Ok(())
}

fn screendump(rack: &Rack, node: &str, file: &Path) -> anyhow::Result<()> {
    let file = std::path::absolute(file).with_context(|| format!("cannot resolve {}", file.display()))?;
    rack.machine(rack.node(node)?).qmp().screendump(&file)
}

fn power(rack: &Rack, what: Power, node: &str) -> anyhow::Result<()> {
    let machine = rack.machine(rack.node(node)?);
    match what {
        Power::On => rack.power_on(node),
        Power::Off => machine.power_off(),
        Power::Reset => machine.qmp().reset(),
        Power::Button => machine.qmp().power_button(),
    }
}

fn partition(rack: &Rack, groups: &[String]) -> anyhow::Result<()> {
    if groups.is_empty() {
        return rack.switch().heal();
    }
    let groups: Vec<Vec<&str>> = groups.iter().map(|g| g.split(',').collect()).collect();
    rack.switch().partition(&groups.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn this_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

fn write_json(file: &Path, figures: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(figures)?;
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Serves until it is ended; its directory going away ends it too, so that no switch is ever left behind.
fn serve_switch(at: &Path, ports: &[String]) -> anyhow::Result<()> {
    Switch::start(at, ports)?;
    while wait::until("the rack to be removed", Duration::from_secs(3600), Duration::from_secs(1), || {
        (!at.exists()).then_some(())
    })
    .is_err()
    {}
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}
