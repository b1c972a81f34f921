//! Every key.

use super::{Line, Sheet};

/// What each key does; the same on every page.
const KEYS: &[(&str, &str)] = &[
    ("0 to 9, s, p, ?", "the entries of the menu, from any page"),
    ("left, right, Tab", "move along the menu; Enter chooses"),
    ("up, down, Page", "scroll what does not fit"),
    ("Esc", "back to the status page; leaves a question without an answer"),
    ("Enter", "ends an answer; an empty one takes what stands in brackets"),
    ("Ctrl-U", "empties an answer"),
    ("", ""),
    ("Network: e c v", "try another address; keep it; put the one before back"),
    ("Install: o c", "open the install window for so long and so many, close it"),
    ("Install: a n", "let a machine in, or tell it no, by the code on its screen"),
    ("Join: j k l", "join by a token; make one that lets a node in; leave the cluster"),
    ("Cluster: b", "let in a node that waits, by a code on both consoles"),
    ("Cluster: g", "go on alone, when the first of two nodes is gone for good"),
    ("Cluster, Join: y n", "the code is the same on the other console, or is not"),
    ("Time: t", "set the clock by hand, where no server answers"),
    ("Support: w", "write a bundle for whoever helps onto a stick"),
    ("Password: n", "a new admin password, with a press of the power button"),
    ("Logs, Time, ...: r", "looks again"),
    ("", ""),
    ("any other key", "draws the screen anew, after a disturbed line"),
];

/// The page.
pub(super) fn page() -> Sheet {
    let mut body: Vec<Line> =
        KEYS.iter().map(|(key, what)| Line::plain(format!(" {key:<19}{what}").trim_end())).collect();
    body.push(Line::plain(""));
    body.push(Line::plain(
        " Every console shows the same and takes keys; an answer is taken from the console",
    ));
    body.push(Line::plain(" where its question was begun. `maekin-agent --help` lists what else there is."));
    Sheet { head: vec![Line::bold(" Keys")], body }
}
