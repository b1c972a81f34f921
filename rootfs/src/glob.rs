//! Path patterns of the package definition: `*` within a name, `**` for any number of directories.

/// Whether `pattern` matches `path`, or a directory that `path` lies in; neither has a leading `/`.
///
/// `a/**` matches everything below `a` but not `a` itself; `a/*` and `a/b*` match names within one directory.
#[must_use]
pub fn covers(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    covers_names(&pattern, &path)
}

fn covers_names(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], _) => true,
        (["**"], rest) => !rest.is_empty(),
        (["**", more @ ..], rest) => (0..=rest.len()).any(|skip| covers_names(more, &rest[skip..])),
        (_, []) => false,
        ([first, more @ ..], [name, rest @ ..]) => name_matches(first, name) && covers_names(more, rest),
    }
}

/// Whether `pattern`, in which `*` stands for any characters, matches the whole of `name`.
#[must_use]
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| name_matches(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_paths() {
        let rows = [
            ("a file by name", "etc/fstab", "etc/fstab", true),
            ("another file", "etc/fstab", "etc/fstab2", false),
            ("what is below a directory", "usr/lib/apt", "usr/lib/apt/methods/http", true),
            ("a directory's content", "var/**", "var/lib/x", true),
            ("but not the directory", "var/**", "var", false),
            ("a star within a name", "etc/*-", "etc/passwd-", true),
            ("no star across names", "etc/*-", "etc/a/b-", false),
            ("any depth", "usr/lib/**/__pycache__/**", "usr/lib/python3/dist/__pycache__/a.pyc", true),
            ("any depth may be none", "usr/lib/**/__pycache__/**", "usr/lib/__pycache__/a.pyc", true),
            ("two stars in one name", "lib*.so.*", "libx.so.1.2", true),
            ("a shorter path", "a/b/c", "a/b", false),
        ];
        for (name, pattern, path, wanted) in rows {
            assert_eq!(covers(pattern, path), wanted, "{name}");
        }
    }
}
