//! Which files differ from how they shall be. Pure.

use maekin_rootfs::node::NodeConfig;
use maekin_rootfs::render::{RenderedFile, Unusable, render};

/// A file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Absolute path.
    pub(super) path: String,
    /// Its content and permission bits; `None`: there shall be none.
    pub(super) content: Option<(String, u32)>,
}

/// What is to be done about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Write it.
    Write {
        /// Absolute path.
        path: String,
        /// The whole content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// Remove it.
    Remove {
        /// Absolute path.
        path: String,
    },
}

/// How the files at `paths` shall be on a node with this node file: one that is not rendered shall not be there.
///
/// # Errors
/// [`Unusable`].
pub(super) fn plan_wishes(config: &NodeConfig, paths: &[&str]) -> Result<Vec<Wish>, Unusable> {
    let mut files = render(config)?;
    let mut wish = |path: &&str| {
        let at = files.iter().position(|file| file.path == **path);
        let content = at.map(|at| {
            let RenderedFile { content, mode, .. } = files.swap_remove(at);
            (content, mode)
        });
        Wish { path: (*path).to_owned(), content }
    };
    Ok(paths.iter().map(&mut wish).collect())
}

/// What is to be done for `wishes` to come true, where `found` is what each of the files is now.
pub(super) fn plan_steps(wishes: &[Wish], found: &[Option<String>]) -> Vec<Step> {
    let step = |(wish, found): (&Wish, &Option<String>)| match (&wish.content, found) {
        (None, None) => None,
        (None, Some(_)) => Some(Step::Remove { path: wish.path.clone() }),
        (Some((content, _)), Some(found)) if content == found => None,
        (Some((content, mode)), _) => {
            Some(Step::Write { path: wish.path.clone(), content: content.clone(), mode: *mode })
        }
    };
    wishes.iter().zip(found).filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_settings_only_files_that_differ_are_written() {
        let wish = |content: Option<&str>| Wish {
            path: "/etc/x".to_owned(),
            content: content.map(|text| (text.to_owned(), 0o600)),
        };
        let write = |content: &str| Step::Write {
            path: "/etc/x".to_owned(),
            content: content.to_owned(),
            mode: 0o600,
        };
        let rows = [
            ("as it shall be", Some("a"), Some("a"), None),
            ("new", Some("a"), None, Some(write("a"))),
            ("another", Some("b"), Some("a"), Some(write("b"))),
            ("emptied", Some(""), Some("a"), Some(write(""))),
            ("gone already", None, None, None),
            ("to go", None, Some("a"), Some(Step::Remove { path: "/etc/x".to_owned() })),
        ];
        for (name, wanted, found, want) in rows {
            let steps = plan_steps(&[wish(wanted)], &[found.map(str::to_owned)]);
            assert_eq!(steps, Vec::from_iter(want), "{name}");
            // Planning on the result gives nothing.
            assert_eq!(plan_steps(&[wish(wanted)], &[wanted.map(str::to_owned)]), [], "{name}");
        }
    }
}
