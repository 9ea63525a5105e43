//! A path with wildcards. `*` does not match `/`, `**` does.

use crate::cli::exit::Failure;
use globset::{GlobBuilder, GlobMatcher};
use std::{
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

/// What makes a path a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// A path with wildcards.
#[derive(Debug)]
pub struct Glob {
    matcher: GlobMatcher,
    folder: PathBuf,
    depth: Option<usize>,
}

// === impl Glob ===

impl Glob {
    /// The glob that a path is; `None` for a path without wildcards.
    ///
    /// # Errors
    /// When it is not a valid glob.
    pub fn of(path: &Path) -> Option<Result<Glob, Failure>> {
        path.to_str()?.contains(WILDCARDS).then(|| Glob::new(path))
    }

    fn new(path: &Path) -> Result<Glob, Failure> {
        // Without `.` and double slashes, as the paths of a folder are.
        let parts = || path.components().filter(|part| *part != Component::CurDir);
        let whole: PathBuf = parts().collect();
        let is_fixed =
            |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(WILDCARDS);
        let fixed: PathBuf = parts().take_while(is_fixed).collect();
        let mut text = whole.to_string_lossy().into_owned();
        if path.as_os_str().as_bytes().ends_with(b"/") {
            // A folder, which no file is.
            text.push('/');
        }
        let matcher = GlobBuilder::new(&text).literal_separator(true).build();
        let matcher = matcher.map_err(|error| Failure::usage(error.to_string()))?;
        let depth = parts().count() - fixed.components().count();
        Ok(Glob {
            matcher: matcher.compile_matcher(),
            depth: (!text.contains("**")).then_some(depth),
            folder: if fixed.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                fixed
            },
        })
    }

    /// The folder that all matches are below.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How deep below the folder matches can be; `None` at any depth. What is deeper need
    /// not be readable.
    pub fn depth(&self) -> Option<usize> {
        self.depth
    }

    /// Whether it matches a path.
    pub fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_looks_no_deeper_than_it_matches() {
        for (text, folder, depth) in [
            ("*.md", ".", Some(1)),
            ("./a//b/./*.md", "a/b", Some(1)),
            ("/a/*/b?.md", "/a", Some(2)),
            ("../a/**/*.md", "../a", None),
            ("{a/b,c}/d.md", ".", Some(3)),
        ] {
            let glob = Glob::of(Path::new(text)).unwrap().unwrap();
            assert_eq!(glob.folder(), Path::new(folder), "{text}");
            assert_eq!(glob.depth(), depth, "{text}");
        }
        assert!(Glob::of(Path::new("a/b.md")).is_none());
        let folders = Glob::of(Path::new("a/*/")).unwrap().unwrap();
        assert!(!folders.matches(Path::new("a/b")));
        assert!(Glob::of(Path::new("a/[b.md")).unwrap().is_err());
    }
}
