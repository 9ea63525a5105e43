//! The documents of a command: files, folders, globs and lists of files.

use super::input::{self, Source};
use crate::cli::exit::Failure;
use globset::{GlobBuilder, GlobMatcher};
use ignore::{DirEntry, WalkBuilder};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf, absolute},
};

/// What makes a path a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Which documents a command reads.
#[derive(Debug, Clone, clap::Args)]
pub struct InputFlags {
    /// Files, folders with all files below them, or globs such as `docs/**/*.md`; `-` or
    /// none for standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// File with more paths, one per line, or separated by NUL; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    files_from: Option<PathBuf>,
    /// Skip what `.gitignore` and `.ignore` files name, in folders and globs.
    #[arg(long)]
    respect_ignore_files: bool,
    /// Read hidden files and folders too, in folders and globs.
    #[arg(long)]
    hidden: bool,
}

/// A document of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it is read from.
    pub source: Source,
    /// Why it cannot be read, if that is known already.
    pub problem: Option<String>,
}

// === impl InputFlags ===

impl InputFlags {
    /// All documents, in the order of the command line; those of a folder or a glob in the
    /// order of their paths. A path that is named twice is one document. `outputs` are the
    /// files and folders that the command itself writes: folders and globs skip them.
    ///
    /// # Errors
    /// When a list or a glob cannot be read, a folder or a glob has no files, or standard
    /// input is named twice.
    pub fn all(&self, outputs: &[PathBuf]) -> Result<Vec<Input>, Failure> {
        let mut paths = self.paths.clone();
        if let Some(list) = &self.files_from {
            paths.extend(listed(list)?);
        } else if paths.is_empty() {
            paths.push(PathBuf::from("-"));
        }
        let from_stdin = paths.iter().chain(&self.files_from);
        if from_stdin.filter(|path| is_stdin(path)).count() > 1 {
            return Err(Failure::usage(
                "standard input (-) must not be given more than once",
            ));
        }
        let outputs = outputs.iter().filter_map(|path| absolute(path).ok());
        let mut found = Found {
            outputs: outputs.collect(),
            ..Found::default()
        };
        for path in paths {
            self.add(path, &mut found)?;
        }
        Ok(found.inputs)
    }

    fn add(&self, path: PathBuf, found: &mut Found) -> Result<(), Failure> {
        if is_stdin(&path) {
            found.inputs.push(Input::from(Source::Stdin));
            return Ok(());
        }
        let glob = Glob::of(&path).filter(|_| !path.exists());
        if !path.is_dir() && glob.is_none() {
            found.push(path);
            return Ok(());
        }
        let (folder, glob) = match glob.transpose()? {
            Some(glob) => (glob.folder(&path), Some(glob)),
            None => (path.clone(), None),
        };
        if !self.walk(&folder, glob.as_ref(), found) {
            let what = if glob.is_some() {
                "matches no file"
            } else {
                "has no files"
            };
            return Err(Failure::usage(format!("{}: {what}", path.display())));
        }
        Ok(())
    }

    /// Adds the files below a folder that match, and says whether there are any.
    fn walk(&self, folder: &Path, glob: Option<&Glob>, found: &mut Found) -> bool {
        let outputs = found.outputs.clone();
        let is_output = move |entry: &DirEntry| {
            absolute(entry.path()).is_ok_and(|path| outputs.contains(&path))
        };
        let mut walk = WalkBuilder::new(folder);
        walk.standard_filters(self.respect_ignore_files)
            .hidden(!self.hidden)
            .require_git(false)
            .filter_entry(move |entry| !is_output(entry))
            .sort_by_file_path(Path::cmp);
        let mut any = false;
        for entry in walk.build() {
            match entry {
                Ok(entry) => {
                    // What the current folder has is named without it.
                    let path = entry
                        .path()
                        .strip_prefix("./")
                        .unwrap_or_else(|_| entry.path());
                    if is_document(&entry) && glob.is_none_or(|glob| glob.0.is_match(path)) {
                        any = true;
                        found.push(path.to_owned());
                    }
                }
                Err(error) => {
                    any = true;
                    found.inputs.push(Input {
                        source: Source::File(folder.to_owned()),
                        problem: Some(error.to_string()),
                    });
                }
            }
        }
        any
    }
}

/// Whether an entry of a folder is a file, or a link to one. Others, such as sockets, are
/// no documents; links to folders could lead back.
fn is_document(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Some(kind) if kind.is_symlink() => !entry.path().is_dir(),
        Some(kind) => kind.is_file(),
        None => false,
    }
}

impl From<Source> for Input {
    fn from(source: Source) -> Self {
        Input {
            source,
            problem: None,
        }
    }
}

/// The documents so far.
#[derive(Default)]
struct Found {
    inputs: Vec<Input>,
    paths: HashSet<PathBuf>,
    outputs: Vec<PathBuf>,
}

impl Found {
    fn push(&mut self, path: PathBuf) {
        // Reading a pipe or a device could wait for ever.
        let problem = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => None,
            Ok(_) => Some("must be a file or a folder".to_owned()),
            Err(error) => Some(format!("failed to read: {error}")),
        };
        if self.paths.insert(path.clone()) {
            self.inputs.push(Input {
                source: Source::File(path),
                problem,
            });
        }
    }
}

/// A path with wildcards. `*` does not match `/`, `**` does.
struct Glob(GlobMatcher);

impl Glob {
    /// The glob that a path is; `None` for a path without wildcards.
    fn of(path: &Path) -> Option<Result<Glob, Failure>> {
        let text = path.to_str()?;
        text.contains(WILDCARDS).then(|| {
            let text = text.strip_prefix("./").unwrap_or(text);
            let glob = GlobBuilder::new(text).literal_separator(true).build();
            let glob = glob.map_err(|error| Failure::usage(error.to_string()))?;
            Ok(Glob(glob.compile_matcher()))
        })
    }

    /// The folder that all matches are below.
    fn folder(&self, path: &Path) -> PathBuf {
        let fixed = path
            .components()
            .take_while(|part| !part.as_os_str().to_string_lossy().contains(WILDCARDS));
        let folder: PathBuf = fixed.collect();
        if folder.as_os_str().is_empty() {
            return PathBuf::from(".");
        }
        folder
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The paths in a list.
fn listed(list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let source = Source::from(list.to_owned());
    let text = source.read().and_then(input::text);
    let text = text.map_err(|failure| source.failure(failure))?;
    let separator = if text.contains('\0') { '\0' } else { '\n' };
    let paths = text
        .split(separator)
        .map(|line| line.trim_end_matches('\r'));
    Ok(paths
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::os::unix::{fs::symlink, net::UnixListener};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        inputs: InputFlags,
    }

    /// The names of the documents below a folder, in braces if one cannot be read.
    fn names(folder: &Path, arguments: &[&str]) -> Result<Vec<String>, Failure> {
        let arguments = arguments
            .iter()
            .map(|it| it.replace("DIR", folder.to_str().unwrap()));
        let command = Command::parse_from(std::iter::once("test".to_owned()).chain(arguments));
        let inputs = command.inputs.all(&[folder.join("out.jsonl")])?;
        let prefix = format!("{}/", folder.display());
        let name = |input: &Input| {
            let name = input.source.name();
            let name = name.strip_prefix(&prefix).unwrap_or(&name);
            match &input.problem {
                Some(_) => format!("({name})"),
                None => name.to_owned(),
            }
        };
        Ok(inputs.iter().map(name).collect())
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in [
            "b.md",
            "a.md",
            "sub/c.md",
            "sub/d.txt",
            ".git/config",
            "out.jsonl",
            "x[1].md",
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), file).unwrap();
        }
        fs::write(root.join(".gitignore"), "d.txt\n").unwrap();
        symlink(root, root.join("sub/loop")).unwrap();
        symlink(root.join("a.md"), root.join("sub/link.md")).unwrap();
        symlink("nowhere", root.join("sub/z")).unwrap();
        UnixListener::bind(root.join("sub/socket")).unwrap();
        folder
    }

    #[test]
    fn a_folder_is_walked_in_the_order_of_paths() {
        let folder = folder();
        let all = ["a.md", "b.md", "sub/c.md", "sub/d.txt", "sub/link.md"];
        let named = names(folder.path(), &["DIR"]).unwrap();
        assert_eq!(named[..5], all);
        assert_eq!(named[5..], ["(sub/z)", "x[1].md"]);
        let kept = names(folder.path(), &["--respect-ignore-files", "DIR/sub"]).unwrap();
        assert_eq!(kept, ["sub/c.md", "sub/link.md", "(sub/z)"]);
        let hidden = names(folder.path(), &["--hidden", "DIR"]).unwrap();
        assert_eq!(hidden[..2], [".git/config", ".gitignore"]);
    }

    #[test]
    fn a_path_with_wildcards_is_a_glob_unless_it_exists() {
        let folder = folder();
        let glob = |text| names(folder.path(), &[text]);
        assert_eq!(glob("DIR/*.md").unwrap(), ["a.md", "b.md", "x[1].md"]);
        assert_eq!(glob("DIR/**/c.*").unwrap(), ["sub/c.md"]);
        assert_eq!(glob("DIR/x[1].md").unwrap(), ["x[1].md"]);
        assert_eq!(glob("DIR/{a,b}.md").unwrap(), ["a.md", "b.md"]);
        assert!(glob("DIR/*.pdf").is_err());
        assert!(glob("DIR/[.md").is_err());
    }

    #[test]
    fn what_is_named_is_read_once_and_in_that_order() {
        let folder = folder();
        let named = |arguments: &[&str]| names(folder.path(), arguments);
        let twice = ["DIR/sub/d.txt", "DIR/a.md", "DIR/*.md", "DIR/gone"];
        assert_eq!(
            named(&twice).unwrap(),
            ["sub/d.txt", "a.md", "b.md", "x[1].md", "(gone)"]
        );
        assert_eq!(named(&["DIR/sub/socket"]).unwrap(), ["(sub/socket)"]);
        assert_eq!(named(&[]).unwrap(), ["-"]);
        assert!(named(&["-", "-"]).is_err());
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert!(named(&["DIR/empty"]).is_err());
    }

    #[test]
    fn a_list_has_a_path_per_line_or_nul() {
        let folder = folder();
        let (lines, nuls) = (folder.path().join("lines"), folder.path().join("nuls"));
        fs::write(&lines, "/1 2\r\n\n/3\n").unwrap();
        fs::write(&nuls, "/1\n2\0/3\0").unwrap();
        let from = |list: &Path| names(folder.path(), &["--files-from", list.to_str().unwrap()]);
        assert_eq!(from(&lines).unwrap(), ["(/1 2)", "(/3)"]);
        assert_eq!(from(&nuls).unwrap(), ["(/1\n2)", "(/3)"]);
        assert!(from(Path::new("/gone")).is_err());
    }
}
