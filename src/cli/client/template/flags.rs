//! The flags that choose a template and set its parameters.

use super::{Template, TemplatesFolderFlag};
use crate::{cli::exit::Failure, config::Environment};

/// The template of a prompt, and the values of its placeholders.
#[derive(Debug, Clone, clap::Args)]
pub struct TemplateFlags {
    /// Template of the prompt: a file NAME.toml in the folder of the templates. Other
    /// flags take precedence over it.
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Value of a placeholder of the template; repeat for more.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    #[arg(requires = "template")]
    params: Vec<(String, String)>,
    #[command(flatten)]
    folder: TemplatesFolderFlag,
}

/// A template that is to be filled.
#[derive(Debug)]
pub struct ChosenTemplate {
    name: String,
    template: Template,
    params: Vec<(String, String)>,
}

impl TemplateFlags {
    /// Reads the template, if one is named.
    ///
    /// # Errors
    /// [`Exit::Usage`](crate::cli::exit::Exit::Usage) when it is unknown or invalid.
    pub async fn read(self) -> Result<Option<ChosenTemplate>, Failure> {
        let Some(name) = self.template else {
            return Ok(None);
        };
        let folder = self.folder.folder(&Environment::of_process())?;
        let template = folder.read(&name).await?;
        Ok(Some(ChosenTemplate {
            name,
            template,
            params: self.params,
        }))
    }
}

impl ChosenTemplate {
    /// Whether the template makes no prompt without an input.
    ///
    /// # Errors
    /// As [`Template::places_input`].
    pub fn needs_input(&self) -> Result<bool, Failure> {
        Ok(self.template.prompt.is_none() || self.template.places_input()?)
    }

    /// Fills the template. An input without a place of its own is joined to the prompt
    /// by `join`.
    ///
    /// # Errors
    /// As [`Template::fill`].
    pub fn filled(self, input: &str, join: fn(&str, &str) -> String) -> Result<Template, Failure> {
        let mut template = self.template;
        let is_placed = template.places_input()?;
        let subject = format!("template {:?}", self.name);
        let filled = template.fill(input, self.params);
        filled.map_err(|failure| failure.about(&subject))?;
        if !is_placed {
            let prompt = template.prompt.unwrap_or_default();
            template.prompt = Some(join(input, &prompt));
        }
        Ok(template)
    }
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
