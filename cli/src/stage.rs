//! What a command stands on: where its output goes, who answers its questions, what time it is. Nothing else in this crate
//! looks at the terminal, the clock or the environment, so that whole commands can be run in a test.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use crate::fault::{Code, Fault};

/// Longest line that is read from a person, bytes.
const LONGEST_LINE: usize = 4096;

/// See the module.
pub(crate) struct Stage<'a> {
    /// What was asked for.
    pub(crate) out: &'a mut dyn Write,
    /// What is said beside it.
    pub(crate) err: &'a mut dyn Write,
    /// Who answers questions.
    pub(crate) keys: &'a mut dyn Keys,
    /// How many columns the terminal has that `out` is; none: a file or a pipe.
    pub(crate) columns: Option<usize>,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) now: &'a dyn Fn() -> u64,
    /// The environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
}

/// Who answers questions.
pub(crate) trait Keys {
    /// Whether a person sits there.
    fn is_person(&self) -> bool;
    /// Asks for a line.
    ///
    /// # Errors
    /// The person ended it, or there is nobody.
    fn line(&mut self, prompt: &str) -> Result<String, Fault>;
    /// The same, without showing what is typed. Where no person sits there, the first line of the input.
    ///
    /// # Errors
    /// As [`Keys::line`].
    fn secret(&mut self, prompt: &str) -> Result<String, Fault>;
    /// All of the input.
    ///
    /// # Errors
    /// It is longer than `limit` bytes, or cannot be read.
    fn all(&mut self, limit: u64) -> Result<String, Fault>;
}

impl Stage<'_> {
    /// Asks yes or no; no person is no.
    ///
    /// # Errors
    /// It was not yes.
    pub(crate) fn confirm(&mut self, question: &str) -> Result<(), Fault> {
        if !self.keys.is_person() {
            return Err(Fault::usage(
                format!("not done without being asked: {question}"),
                "nobody is there to ask",
            )
            .remedy("say --yes"));
        }
        let answer = self.keys.line(&format!("{} [y/N] ", crate::show::clean::clean(question)))?;
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(Fault::new(Code::Interrupted, "nothing was done", ""))
    }
}

/// The clock.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Columns of the terminal that standard output is, as it is now.
pub(crate) fn columns() -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    // A serial line knows no size and says 0.
    let size = tcgetwinsize(out.as_fd()).ok().map_or(0, |size| size.ws_col);
    Some(if size == 0 { 80 } else { usize::from(size) })
}

/// Standard input and the terminal behind it.
pub(crate) struct Terminal;

/// Sets a terminal back when it goes, also on the way out of an error.
struct Quiet(Termios);

impl Quiet {
    /// Lets keys come one by one, unseen; Ctrl-C too is a key.
    fn new() -> io::Result<Self> {
        let was = tcgetattr(io::stdin())?;
        let mut quiet = was.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(was))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0); // the terminal may be gone
    }
}

fn unread(e: &io::Error) -> Fault {
    Fault::new(Code::Failed, "the input cannot be read", e.to_string())
}

impl Terminal {
    fn typed(prompt: &str, shown: bool) -> Result<String, Fault> {
        let mut err = io::stderr();
        let _ = write!(err, "{prompt}").and_then(|()| err.flush()); // who is asked without seeing it can still answer
        let _quiet = Quiet::new().map_err(|e| unread(&e))?;
        let mut line = Vec::new();
        let mut input = io::stdin().lock();
        let done = loop {
            let mut key = [0];
            if input.read(&mut key).map_err(|e| unread(&e))? == 0 {
                break Err(Fault::interrupted());
            }
            match key[0] {
                b'\r' | b'\n' => break Ok(()),
                3 | 4 if line.is_empty() || key[0] == 3 => break Err(Fault::interrupted()),
                8 | 127 => {
                    while line.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {}
                    if shown {
                        let _ = write!(err, "\r\x1b[K{prompt}{}", String::from_utf8_lossy(&line));
                    }
                }
                21 => {
                    line.clear();
                    if shown {
                        let _ = write!(err, "\r\x1b[K{prompt}");
                    }
                }
                byte if byte >= 32 && line.len() < LONGEST_LINE => {
                    line.push(byte);
                    if shown {
                        let _ = err.write_all(&[byte]);
                    }
                }
                _ => {}
            }
            let _ = err.flush();
        };
        let _ = writeln!(err);
        done?;
        String::from_utf8(line).map_err(|_| Fault::usage("the input is not UTF-8", ""))
    }
}

impl Keys for Terminal {
    fn is_person(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    fn line(&mut self, prompt: &str) -> Result<String, Fault> {
        if self.is_person() { Self::typed(prompt, true) } else { self.secret(prompt) }
    }

    fn secret(&mut self, prompt: &str) -> Result<String, Fault> {
        if self.is_person() {
            return Self::typed(prompt, false);
        }
        let mut line = String::new();
        let limit = LONGEST_LINE as u64;
        io::stdin().lock().take(limit).read_line(&mut line).map_err(|e| unread(&e))?;
        if line.is_empty() {
            let thing = format!("no answer to `{}`", prompt.trim().trim_end_matches(':'));
            return Err(Fault::usage(thing, "the input is at its end").remedy("give it by standard input"));
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn all(&mut self, limit: u64) -> Result<String, Fault> {
        let mut text = String::new();
        io::stdin().lock().take(limit + 1).read_to_string(&mut text).map_err(|e| unread(&e))?;
        if text.len() as u64 > limit {
            return Err(Fault::usage("the input is too long", format!("more than {limit} bytes")));
        }
        Ok(text)
    }
}
