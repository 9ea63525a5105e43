//! One word has one meaning: names of types that stand twice.

use super::imports::{is_test, sources};
use std::collections::BTreeMap;
use syn::visit::{self, Visit};

/// Names whose meaning the place gives: each command has its `Args`.
const BY_PLACE: [&str; 3] = ["Args", "Error", "Config"];

/// Every name of a type that more than its file can see and that stands for
/// another type as well, with the files.
pub fn homonyms() -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        let mut types = Types::default();
        for item in &source.syntax.items {
            types.visit_item(item);
        }
        for name in types.0 {
            named.entry(name).or_default().push(source.file.clone());
        }
    }
    named.retain(|name, files| files.len() > 1 && !BY_PLACE.contains(&name.as_str()));
    named
}

/// The types of a file that are not private to it.
#[derive(Default)]
struct Types(Vec<String>);

impl Types {
    fn add(&mut self, visibility: &syn::Visibility, name: &syn::Ident) {
        if !matches!(visibility, syn::Visibility::Inherited) {
            self.0.push(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            _ if is_test(item) => return,
            syn::Item::Struct(it) => self.add(&it.vis, &it.ident),
            syn::Item::Enum(it) => self.add(&it.vis, &it.ident),
            syn::Item::Trait(it) => self.add(&it.vis, &it.ident),
            syn::Item::Type(it) => self.add(&it.vis, &it.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }
}
