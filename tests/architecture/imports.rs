//! What the files of `src/` import, tests aside.

use super::Graph;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::visit::{self, Visit};

/// A path from the root of the crate: `["upstream", "pacing", "Pace"]`.
type Segments = Vec<String>;

/// One file of `src/`.
pub struct Source {
    /// Relative to `src/`.
    pub file: String,
    /// The module that it is; empty for the root.
    module: Segments,
    pub syntax: syn::File,
}

/// Every file, but for `main.rs`, which is not of the library.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(&root).unwrap();
        let file = relative.to_str().unwrap().to_owned();
        let mut module: Segments = relative
            .with_extension("")
            .iter()
            .map(|it| it.to_str().unwrap().to_owned())
            .collect();
        if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
            module.pop();
        }
        let text = fs::read_to_string(&path).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        Source {
            file,
            module,
            syntax,
        }
    };
    let is_test = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name == "main" || name == "tests" || name.ends_with("_tests")
    };
    paths
        .into_iter()
        .filter(|it| !is_test(it))
        .map(read)
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

/// The modules at the top of `src/`, and what each imports of the others.
pub fn of_modules() -> Graph {
    let mut graph = Graph::new();
    for (file, imported) in of_files() {
        let module = |file: &str| file.split(['/', '.']).next().unwrap().to_owned();
        let from = module(&file);
        if from == "lib" {
            continue;
        }
        let imported = imported.iter().map(|it| module(it));
        let others: Vec<String> = imported.filter(|it| *it != from && it != "lib").collect();
        graph.entry(from).or_default().extend(others);
    }
    graph
}

/// Every file, and the files that define what it imports.
pub fn of_files() -> Graph {
    let sources = sources();
    let house = House::new(&sources);
    let mut graph = Graph::new();
    for source in &sources {
        let paths = Paths::of(source);
        let mut imported = BTreeSet::new();
        for path in paths.used {
            if let Some(path) = house.absolute(source, &path) {
                imported.insert(house.file_of(&path, 0));
            }
        }
        imported.remove(&source.file);
        graph.insert(source.file.clone(), imported);
    }
    graph
}

/// The files that use a crate that is not ours, and what of it.
pub fn external(krate: &str) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for source in sources() {
        let used = Paths::of(&source).used;
        let used = used.into_iter().filter(|path| path[0] == krate);
        let used: Vec<String> = used.map(|path| path.join("::")).collect();
        if !used.is_empty() {
            found.insert(source.file, used);
        }
    }
    found
}

/// Which file is which module, and what modules hand on.
struct House {
    files: BTreeMap<Segments, String>,
    /// Module and name → where a `pub use` of the module has it from.
    handed_on: BTreeMap<(Segments, String), Segments>,
}

impl House {
    fn new(sources: &[Source]) -> Self {
        let mut house = House {
            files: sources
                .iter()
                .map(|it| (it.module.clone(), it.file.clone()))
                .collect(),
            handed_on: BTreeMap::new(),
        };
        for source in sources {
            for (name, path) in Paths::of(source).handed_on {
                if let Some(path) = house.absolute(source, &path) {
                    house.handed_on.insert((source.module.clone(), name), path);
                }
            }
        }
        house
    }

    /// A path from the root of the crate; `None` for other crates.
    fn absolute(&self, source: &Source, path: &[String]) -> Option<Segments> {
        let mut base = source.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|it| it == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            child => {
                base.push(child.to_owned());
                if !self.files.contains_key(&base) {
                    return None;
                }
                base.pop();
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The file that defines what a path names.
    fn file_of(&self, path: &[String], depth: usize) -> String {
        let modules = (0..=path.len()).rev().map(|end| path.split_at(end));
        let (module, rest) = modules
            .into_iter()
            .find(|(module, _)| self.files.contains_key(*module))
            .unwrap();
        let name = rest.first().map(|name| (module.to_vec(), name.clone()));
        match name.and_then(|name| self.handed_on.get(&name)) {
            Some(from) if depth < 8 => {
                let mut path = from.clone();
                path.extend(rest[1..].iter().cloned());
                self.file_of(&path, depth + 1)
            }
            _ => self.files[module].clone(),
        }
    }
}

/// The paths in a file, as they are written.
#[derive(Default)]
struct Paths {
    /// What is imported or named.
    used: Vec<Segments>,
    /// What the module hands on by `pub use`, under its name there.
    handed_on: Vec<(String, Segments)>,
    /// What an import makes known under a name.
    known: BTreeMap<String, Segments>,
}

impl Paths {
    fn of(source: &Source) -> Paths {
        let mut paths = Paths::default();
        for item in &source.syntax.items {
            paths.visit_item(item);
        }
        paths.uses_through_names(source);
        paths
    }

    /// `pacing::cost()` after `use super::pacing`.
    fn uses_through_names(&mut self, source: &Source) {
        struct Written(Vec<Segments>);
        impl<'ast> Visit<'ast> for Written {
            fn visit_path(&mut self, path: &'ast syn::Path) {
                self.0.push(segments(path));
                visit::visit_path(self, path);
            }
            fn visit_item(&mut self, item: &'ast syn::Item) {
                if !is_test(item) {
                    visit::visit_item(self, item);
                }
            }
            // `pub(in crate::telemetry)` imports nothing.
            fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
        }
        let mut written = Written(Vec::new());
        for item in &source.syntax.items {
            written.visit_item(item);
        }
        for path in written.0 {
            match self.known.get(&path[0]) {
                Some(known) if path.len() > 1 => {
                    let mut path = path;
                    path.splice(..1, known.iter().cloned());
                    self.used.push(path);
                }
                Some(_) => {}
                None if path.len() > 1 => self.used.push(path),
                None => {}
            }
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, prefix: &[String], public: bool) {
        let with = |name: String| {
            let mut path = prefix.to_vec();
            path.push(name);
            path
        };
        match tree {
            syn::UseTree::Path(path) => {
                self.tree(&path.tree, &with(path.ident.to_string()), public);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, prefix, public);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().unwrap().clone();
                self.import(last, prefix.to_vec(), public);
            }
            syn::UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.import(name.clone(), with(name), public);
            }
            syn::UseTree::Rename(rename) => {
                let path = with(rename.ident.to_string());
                self.import(rename.rename.to_string(), path, public);
            }
            syn::UseTree::Glob(_) => self.used.push(prefix.to_vec()),
        }
    }

    fn import(&mut self, name: String, path: Segments, public: bool) {
        if public {
            // A face hands names on; whoever imports them imports the rest.
            self.handed_on.push((name, path));
        } else {
            self.known.insert(name, path.clone());
            self.used.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], public);
    }
}

fn segments(path: &syn::Path) -> Segments {
    path.segments
        .iter()
        .map(|it| it.ident.to_string())
        .collect()
}

/// Whether an item is for tests only.
pub fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(it) => &it.attrs,
        syn::Item::Fn(it) => &it.attrs,
        syn::Item::Use(it) => &it.attrs,
        syn::Item::Impl(it) => &it.attrs,
        _ => return false,
    };
    attributes.iter().any(|it| {
        let is_cfg_test = it
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"));
        it.path().is_ident("test") || (it.path().is_ident("cfg") && is_cfg_test)
    })
}
