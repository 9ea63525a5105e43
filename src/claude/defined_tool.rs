//! The fields of the tools that the API defines.

use super::{cache_control::CacheControl, content::Citations, raw::RawObject};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A tool that the API defines. Each type has some of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DefinedToolFields {
    /// The type, with its version.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name, which is that of the type; a toolset has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    /// Who may call the tool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_callers: Vec<String>,
    /// Whether the model sees the tool only once a search has found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defer_loading: Option<bool>,
    /// Example inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_examples: Vec<RawObject>,
    /// Whether inputs are guaranteed to match the schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Maximum number of characters that a view of a file shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_characters: Option<u32>,
    /// What is different for single members of a toolset.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "serialize_configs"
    )]
    pub configs: Vec<(String, MemberConfig)>,
    /// Maximum number of uses in a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u32>,
    /// The only domains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_domains: Vec<String>,
    /// The domains that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_domains: Vec<String>,
    /// Where the user is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_location: Option<UserLocation>,
    /// Whether what was fetched is cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Citations>,
    /// Maximum number of tokens of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_content_tokens: Option<u32>,
    /// Whether pages that were fetched before are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_cache: Option<bool>,
    /// Whether results that code used are in the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_inclusion: Option<ResponseInclusion>,
    /// Where URLs may be from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_sources: Option<UrlSources>,
    /// End of a cached prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
}

/// What is different for a member of a toolset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemberConfig {
    /// Whether the model may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether the model sees it only once a search has found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defer_loading: Option<bool>,
}

/// Where a user is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserLocation {
    /// The only type.
    Approximate {
        /// City.
        #[serde(skip_serializing_if = "Option::is_none")]
        city: Option<String>,
        /// ISO code of the country.
        #[serde(skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// Region.
        #[serde(skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// IANA time zone.
        #[serde(skip_serializing_if = "Option::is_none")]
        timezone: Option<String>,
    },
}

/// Whether results that code used are in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseInclusion {
    /// They are.
    Full,
    /// They are not.
    Excluded,
}

/// Where URLs may be from that are fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UrlSources {
    /// The results of the caller's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_tool_results: Option<UrlSource>,
    /// The results of the API's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_tool_results: Option<UrlSource>,
    /// The user's messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_input: Option<UrlSource>,
}

/// Which results URLs may be from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UrlSource {
    /// All of them.
    All {},
    /// None of them.
    None {},
    /// Those of some tools.
    Only {
        /// The tools.
        tools: Vec<NamedTool>,
    },
    /// All but those of some tools.
    Except {
        /// The tools.
        tools: Vec<NamedTool>,
    },
}

/// A tool of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NamedTool {
    /// The only type.
    ToolReference {
        /// Name of the tool.
        name: String,
    },
}

fn serialize_configs<S: Serializer>(
    configs: &[(String, MemberConfig)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(configs.len()))?;
    for (name, config) in configs {
        map.serialize_entry(name, config)?;
    }
    map.end()
}
