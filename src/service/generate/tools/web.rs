//! Maps the API's tools for the web.

use super::{
    shared::at_least_one,
    version::{WEB_FETCH, WEB_SEARCH, needs},
};
use crate::{
    claude::{
        defined_tool::{
            DefinedToolFields, NamedTool, ResponseInclusion, UrlSource, UrlSources, UserLocation,
        },
        request::Citations,
    },
    proto::v1::{self, UrlSourceMode},
    service::generate::{
        content::non_empty,
        tool_name::{NOT_A_TOOL_NAME, is_tool_name},
    },
    status::{Path, Violations},
};

/// The first version with `response_inclusion`.
const WITH_INCLUSION: &str = "20260318";

/// The first version of fetches with `use_cache`.
const WITH_CACHE: &str = "20260309";

/// Searches of the web.
pub fn search(
    tool: v1::WebSearchTool,
    path: Path<'_>,
    wrong: &mut Violations,
) -> DefinedToolFields {
    let version = WEB_SEARCH.choose(&tool.version, path, wrong);
    domains(&tool.allowed_domains, &tool.blocked_domains, path, wrong);
    DefinedToolFields {
        kind: WEB_SEARCH.kind(version),
        name: Some("web_search"),
        max_uses: at_least_one(tool.max_uses, path.field("max_uses"), wrong),
        allowed_domains: tool.allowed_domains,
        blocked_domains: tool.blocked_domains,
        user_location: tool
            .user_location
            .map(|it| user_location(it, path.field("user_location"), wrong)),
        response_inclusion: response_inclusion(tool.response_inclusion, version, path, wrong),
        ..DefinedToolFields::default()
    }
}

/// Pages and files of the web.
pub fn fetch(tool: v1::WebFetchTool, path: Path<'_>, wrong: &mut Violations) -> DefinedToolFields {
    let version = WEB_FETCH.choose(&tool.version, path, wrong);
    domains(&tool.allowed_domains, &tool.blocked_domains, path, wrong);
    let has_cache = tool.use_cache.is_some();
    needs(has_cache, "use_cache", WITH_CACHE, version, path, wrong);
    let max_content_tokens = path.field("max_content_tokens");
    DefinedToolFields {
        kind: WEB_FETCH.kind(version),
        name: Some("web_fetch"),
        max_uses: at_least_one(tool.max_uses, path.field("max_uses"), wrong),
        allowed_domains: tool.allowed_domains,
        blocked_domains: tool.blocked_domains,
        citations: tool.citations.then_some(Citations { enabled: true }),
        max_content_tokens: at_least_one(tool.max_content_tokens, max_content_tokens, wrong),
        use_cache: tool.use_cache,
        response_inclusion: response_inclusion(tool.response_inclusion, version, path, wrong),
        url_sources: tool
            .url_sources
            .map(|it| url_sources(it, path.field("url_sources"), wrong)),
        ..DefinedToolFields::default()
    }
}

fn domains(allowed: &[String], blocked: &[String], path: Path<'_>, wrong: &mut Violations) {
    for (field, domains) in [("allowed_domains", allowed), ("blocked_domains", blocked)] {
        for (index, domain) in domains.iter().enumerate() {
            if domain.trim().is_empty() {
                wrong.add(path.field(field).item(index), "must not be empty");
            }
        }
    }
    if !allowed.is_empty() && !blocked.is_empty() {
        wrong.add(
            path,
            "must not have both allowed_domains and blocked_domains",
        );
    }
}

fn user_location(
    location: v1::UserLocation,
    path: Path<'_>,
    wrong: &mut Violations,
) -> UserLocation {
    if location == v1::UserLocation::default() {
        wrong.add(path, "must have at least one field");
    }
    let country = &location.country;
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !country.is_empty() && !is_code {
        wrong.add(path.field("country"), "must be a code of two letters");
    }
    UserLocation::Approximate {
        city: non_empty(location.city),
        country: non_empty(location.country),
        region: non_empty(location.region),
        timezone: non_empty(location.timezone),
    }
}

fn response_inclusion(
    value: i32,
    version: &str,
    path: Path<'_>,
    wrong: &mut Violations,
) -> Option<ResponseInclusion> {
    let field = "response_inclusion";
    needs(value != 0, field, WITH_INCLUSION, version, path, wrong);
    match v1::ResponseInclusion::try_from(value) {
        Ok(v1::ResponseInclusion::Unspecified) => None,
        Ok(v1::ResponseInclusion::Full) => Some(ResponseInclusion::Full),
        Ok(v1::ResponseInclusion::Excluded) => Some(ResponseInclusion::Excluded),
        Err(_) => {
            wrong.add(path.field(field), "is an unknown value");
            None
        }
    }
}

fn url_sources(
    sources: v1::WebFetchUrlSources,
    path: Path<'_>,
    wrong: &mut Violations,
) -> UrlSources {
    if sources == v1::WebFetchUrlSources::default() {
        wrong.add(path, "must have at least one field");
    }
    let mut source = |source: Option<v1::UrlSource>, field: &'static str| {
        url_source(source?, path.field(field), wrong)
    };
    let client_tool_results = source(sources.client_tool_results, "client_tool_results");
    let server_tool_results = source(sources.server_tool_results, "server_tool_results");
    let user_input = source(sources.user_input, "user_input");
    if let Some(UrlSource::Only { .. } | UrlSource::Except { .. }) = user_input {
        let path = path.field("user_input");
        let problem = "must be URL_SOURCE_MODE_ALL or URL_SOURCE_MODE_NONE";
        wrong.add(path.field("mode"), problem);
    }
    UrlSources {
        client_tool_results,
        server_tool_results,
        user_input,
    }
}

fn url_source(source: v1::UrlSource, path: Path<'_>, wrong: &mut Violations) -> Option<UrlSource> {
    let mode = UrlSourceMode::try_from(source.mode).unwrap_or_default();
    let has_tools = matches!(mode, UrlSourceMode::Only | UrlSourceMode::Except);
    if has_tools && source.tools.is_empty() {
        wrong.add(path.field("tools"), "must not be empty with this mode");
    }
    if !has_tools && !source.tools.is_empty() {
        wrong.add(path.field("tools"), "must be empty with this mode");
    }
    let mut tools = Vec::with_capacity(source.tools.len());
    for (index, name) in source.tools.into_iter().enumerate() {
        if !is_tool_name(&name) {
            wrong.add(path.field("tools").item(index), NOT_A_TOOL_NAME);
        }
        tools.push(NamedTool::ToolReference { name });
    }
    match mode {
        UrlSourceMode::All => Some(UrlSource::All {}),
        UrlSourceMode::None => Some(UrlSource::None {}),
        UrlSourceMode::Only => Some(UrlSource::Only { tools }),
        UrlSourceMode::Except => Some(UrlSource::Except { tools }),
        UrlSourceMode::Unspecified => {
            wrong.add(path.field("mode"), "must be set");
            None
        }
    }
}
