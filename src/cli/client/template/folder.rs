//! The folder of the templates.

use super::Template;
use crate::{
    cli::{
        client::{input::Source, schema},
        exit::Failure,
    },
    config::Environment,
};
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// How the names of template files end.
const SUFFIX: &str = ".toml";

/// The flag that names the folder.
#[derive(Debug, Clone, clap::Args)]
pub struct TemplatesFolderFlag {
    /// Folder of the templates; defaults to `claude-grpc/templates` in
    /// $XDG_CONFIG_HOME or ~/.config.
    #[arg(long, value_name = "DIR", env = "CLAUDE_GRPC_TEMPLATES")]
    templates_dir: Option<PathBuf>,
}

/// A folder with a template in each of its files `NAME.toml`.
#[derive(Debug, Clone)]
pub struct TemplatesFolder(PathBuf);

impl TemplatesFolderFlag {
    /// The folder.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when none is named and there is
    /// no home directory.
    pub fn folder(self, environment: &Environment) -> Result<TemplatesFolder, Failure> {
        if let Some(path) = self.templates_dir {
            return Ok(TemplatesFolder(path));
        }
        // The XDG specification: a path that is not absolute is ignored.
        let absolute = |name| {
            let path = environment.get(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let settings = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")));
        match settings {
            Some(path) => Ok(TemplatesFolder(path.join("claude-grpc/templates"))),
            None => Err(Failure::usage(
                "--templates-dir or CLAUDE_GRPC_TEMPLATES must be set: HOME is not",
            )),
        }
    }
}

impl TemplatesFolder {
    /// Reads a template, and the schema that it names.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when the name is not a file name,
    /// there is no such file, or it is not a template.
    pub async fn read(&self, name: &str) -> Result<Template, Failure> {
        if !is_name(name) {
            return Err(Failure::usage(format!(
                "--template {name:?}: must be a name of letters, digits and -._"
            )));
        }
        let path = self.0.join(format!("{name}{SUFFIX}"));
        if !path.exists() {
            let folder = self.0.display();
            let reason = format!("unknown template {name:?} in {folder}");
            return Err(Failure::usage(reason));
        }
        let source = Source::File(path);
        let text = source.text().await;
        let template = text.and_then(|text| Template::parse(&text));
        let mut template = template.map_err(|failure| source.failure(failure))?;
        if let Some(file) = &template.schema_file {
            if !stays_inside(file) {
                let reason = "schema_file: must be a path in the folder of the template";
                return Err(source.failure(Failure::usage(reason)));
            }
            template.schema = Some(schema::read(self.0.join(file)).await?);
        }
        Ok(template)
    }

    /// The names of the templates, sorted.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let entries = fs::read_dir(&self.0).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| {
            Failure::usage(format!("{}: failed to read: {error}", self.0.display()))
        })?;
        let files = entries.iter().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(SUFFIX)?.to_owned())
        });
        let mut names: Vec<String> = files.filter(|name| is_name(name)).collect();
        names.sort();
        Ok(names)
    }
}

/// Whether a template can have this name. It cannot leave the folder.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

fn stays_inside(path: &Path) -> bool {
    let mut components = path.components();
    components.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_folder(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let flag = TemplatesFolderFlag {
            templates_dir: None,
        };
        let environment = variables.iter().copied().collect();
        flag.folder(&environment).ok().map(|folder| folder.0)
    }

    #[test]
    fn the_folder_is_that_of_the_xdg_specification() {
        for (variables, folder) in [
            (
                &[("HOME", "/h")][..],
                Some("/h/.config/claude-grpc/templates"),
            ),
            (
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")],
                Some("/x/claude-grpc/templates"),
            ),
            (
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")],
                Some("/h/.config/claude-grpc/templates"),
            ),
            (&[], None),
        ] {
            assert_eq!(default_folder(variables), folder.map(PathBuf::from));
        }
    }

    #[test]
    fn neither_a_name_nor_a_schema_leaves_the_folder() {
        for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "/a", "a\0"] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name("review-2.de_AT"));
        for path in ["../a.json", "/a.json", "a/../../b.json"] {
            assert!(!stays_inside(Path::new(path)), "{path}");
        }
        assert!(stays_inside(Path::new("schemas/a.json")));
    }
}
