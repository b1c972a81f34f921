//! What went wrong, for a person and for a script: the thing, the reason, the remedy, and a stable exit code.

use std::fmt;

use maekin_api::problem::Problem;

use crate::show::clean::clean;

/// Exit codes of `maekin`. They are a promise to scripts (`docs/cli.md`): none changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// The request was refused, or something failed that has no code of its own.
    Failed = 1,
    /// The command line, or a file given to it, is wrong.
    Usage = 2,
    /// The named thing does not exist.
    NotFound = 3,
    /// Who asks is not known, or may not do this.
    Denied = 4,
    /// It stands against the present state, or somebody changed the thing meanwhile.
    Conflict = 5,
    /// No node could be reached, or none answered in time.
    Unreachable = 6,
    /// A node answered that it could not do it now.
    Server = 7,
    /// The node's release does not know this resource or verb.
    Unknown = 8,
    /// Ended by Ctrl-C, or by a person who said no.
    Interrupted = 130,
    /// Whoever read our output has gone; nothing is said about it.
    Pipe = 141,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// What could not be done.
    pub(crate) thing: String,
    /// Why; may be empty.
    pub(crate) reason: String,
    /// What to do about it; may be empty.
    pub(crate) remedy: String,
    /// For scripts.
    pub(crate) code: Code,
}

impl Fault {
    /// A fault.
    pub(crate) fn new(code: Code, thing: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { thing: thing.into(), reason: reason.into(), remedy: String::new(), code }
    }

    /// The command line is wrong.
    pub(crate) fn usage(thing: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(Code::Usage, thing, reason)
    }

    /// With what to do about it.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Nothing was asked for that we could say anything about.
    pub(crate) fn interrupted() -> Self {
        Self::new(Code::Interrupted, "interrupted", "")
    }

    /// What a node answered instead of doing it. `what` is what was asked, in words.
    pub(crate) fn from_problem(what: &str, problem: &Problem, remedy: &str) -> Self {
        let code = match problem.status {
            401 | 403 => Code::Denied,
            404 => Code::NotFound,
            409 | 412 => Code::Conflict,
            500.. => Code::Server,
            _ => Code::Failed,
        };
        let own = match problem.status {
            401 => "log in: `maekin login`",
            403 => "ask somebody whose role may; `maekin whoami` says who you are",
            412 => "somebody changed it meanwhile: read it again and repeat",
            429 => "wait before the next try",
            _ => "",
        };
        let remedy = if remedy.is_empty() { own } else { remedy };
        let title = format!("{} (HTTP {})", problem.title, problem.status);
        let thing = if what.is_empty() { title } else { format!("{what}: {title}") };
        Self::new(code, thing, problem.detail.clone()).remedy(remedy)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == Code::Interrupted {
            return f.write_str(&clean(&self.thing)); // as somebody wished: no error
        }
        write!(f, "error:  {}", clean(&self.thing))?;
        if !self.reason.is_empty() {
            write!(f, "\nreason: {}", clean(&self.reason))?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\nremedy: {}", clean(&self.remedy))?;
        }
        Ok(())
    }
}

impl From<std::io::Error> for Fault {
    /// Errors of writing to where our output goes.
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Code::Pipe, "", "");
        }
        Self::new(Code::Failed, "cannot write the output", e.to_string())
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_problems_become_thing_reason_remedy_and_a_code() {
        let problem = |status| Problem {
            kind: "urn:maekin:x".into(),
            title: "It is so".into(),
            status,
            detail: "because\u{1b}[2J".into(),
            request_id: String::new(),
        };
        let rows = [
            (400, Code::Failed, ""),
            (401, Code::Denied, "maekin login"),
            (403, Code::Denied, "role"),
            (404, Code::NotFound, ""),
            (409, Code::Conflict, ""),
            (412, Code::Conflict, "meanwhile"),
            (429, Code::Failed, "wait"),
            (500, Code::Server, ""),
            (503, Code::Server, ""),
        ];
        for (status, code, remedy) in rows {
            let fault = Fault::from_problem("node n", &problem(status), "");
            assert_eq!(fault.code, code, "{status}");
            assert!(fault.remedy.contains(remedy), "{status}");
            let text = fault.to_string();
            assert!(
                text.starts_with(&format!(
                    "error:  node n: It is so (HTTP {status})\nreason: because\\x1b[2J"
                )),
                "{text}"
            );
        }
    }
}
