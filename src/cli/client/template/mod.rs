//! Templates of prompts: files in a folder, which `--template` names.

mod definition;
mod flags;
mod folder;
mod placeholders;

pub use definition::Template;
pub use flags::TemplateFlags;
pub use folder::TemplatesFolderFlag;
