//! The catalogue itself, and how a model is found in it.

use super::{
    bedrock_id::BedrockId,
    known_model::{FigureSource, KnownModel},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// The catalogue that is compiled in.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        Catalogue::parse(include_str!("catalogue.toml")).expect("a test reads the same file")
    });
    &CATALOGUE
}

/// The name of the model that an id stands for: `claude-haiku-4-5` for
/// `claude-haiku-4-5-20251001`. Of an id that is not in the catalogue, all but its
/// date.
pub fn name_of(id: &str) -> &str {
    match catalogue().find(id) {
        Some(model) => &model.name,
        None => undated(id).unwrap_or(id),
    }
}

/// An id without its date; `None` if it has none.
pub(super) fn undated(id: &str) -> Option<&str> {
    let (id, date) = id.rsplit_once('-')?;
    let is_date = date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit());
    is_date.then_some(id)
}

/// All models.
#[derive(Debug)]
pub struct Catalogue {
    file: CatalogueFile,
    /// Id → index, for ids with which a call costs the price itself.
    by_id: HashMap<String, usize>,
    by_bedrock_id: HashMap<String, usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    sources: BTreeMap<String, FigureSource>,
    batch: BatchDiscount,
    bedrock: BedrockPremiums,
    tokenizers: BTreeMap<String, TokenizerFamily>,
    models: Vec<KnownModel>,
}

/// What calls of the Message Batches API cost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchDiscount {
    /// As a multiple of the price.
    pub factor: f64,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// What calls on Amazon Bedrock cost, as multiples of the price.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BedrockPremiums {
    /// Through an inference profile, by its prefix.
    pub routes: BTreeMap<String, f64>,
    /// Without an inference profile.
    pub in_region: f64,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// How text becomes tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerFamily {
    /// Unicode characters of text that make a token, on average.
    pub characters_per_token: f64,
    /// Keys of the sources.
    pub source: Vec<String>,
}

/// A model as an id names it.
#[derive(Debug, Clone, Copy)]
pub struct ModelOnHost<'a> {
    /// The model.
    pub model: &'a KnownModel,
    /// What a call with this id costs, as a multiple of the price; `None` if it is
    /// not known.
    pub price_factor: Option<f64>,
}

impl Catalogue {
    fn parse(text: &str) -> Result<Catalogue, toml::de::Error> {
        let file: CatalogueFile = toml::from_str(text)?;
        let (mut by_id, mut by_bedrock_id) = (HashMap::new(), HashMap::new());
        for (index, model) in file.models.iter().enumerate() {
            by_id.extend(model.ids().map(|id| (id.to_owned(), index)));
            let of_bedrock = model.hosts.bedrock.iter();
            by_bedrock_id.extend(of_bedrock.map(|id| (id.clone(), index)));
        }
        Ok(Catalogue {
            file,
            by_id,
            by_bedrock_id,
        })
    }

    /// The models, newest first.
    pub fn models(&self) -> &[KnownModel] {
        &self.file.models
    }

    /// Where figures are from, by the keys that groups of figures name.
    pub fn sources(&self) -> &BTreeMap<String, FigureSource> {
        &self.file.sources
    }

    /// What calls of the Message Batches API cost.
    pub fn batch(&self) -> &BatchDiscount {
        &self.file.batch
    }

    /// What calls on Amazon Bedrock cost.
    pub fn bedrock(&self) -> &BedrockPremiums {
        &self.file.bedrock
    }

    /// The tokenizers, by the keys that models name.
    pub fn tokenizers(&self) -> &BTreeMap<String, TokenizerFamily> {
        &self.file.tokenizers
    }

    /// The model of an id, on any host.
    pub fn find(&self, id: &str) -> Option<&KnownModel> {
        self.resolve(id).map(|on_host| on_host.model)
    }

    /// The model of an id with which a call costs the price itself. An id with a date
    /// that is not in the catalogue stands for the model of the rest.
    pub fn at_its_price(&self, id: &str) -> Option<&KnownModel> {
        let listed = |id: &str| self.by_id.get(id);
        let index = listed(id).or_else(|| listed(undated(id)?))?;
        Some(&self.file.models[*index])
    }

    /// The model of an id, on any host, and what the id means for its price.
    pub fn resolve(&self, id: &str) -> Option<ModelOnHost<'_>> {
        if let Some(model) = self.at_its_price(id) {
            return Some(ModelOnHost {
                model,
                price_factor: Some(1.0),
            });
        }
        let id = BedrockId::parse(id)?;
        let index = *self.by_bedrock_id.get(id.model)?;
        let premiums = &self.file.bedrock;
        let price_factor = match id.route {
            Some(route) => premiums.routes.get(route).copied(),
            None => Some(premiums.in_region),
        };
        Some(ModelOnHost {
            model: &self.file.models[index],
            price_factor,
        })
    }
}
