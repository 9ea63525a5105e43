//! The Files API: files are uploaded and kept in memory.

mod config;
mod file;
mod fixture;
mod store;
mod upload;

pub use config::SimulatorFilesConfig;
pub(super) use fixture::FileFixture;
pub(super) use store::FileStore;

use super::{
    answer,
    body::{AnswerBody, Whole},
    error::{ApiError, require},
    exchange::Exchange,
    paging,
};
use bytes::Bytes;
use file::{FileRefusal, StoredFile};
use http::{HeaderValue, Method, Response, header, request::Parts};
use serde::Serialize;
use std::time::SystemTime;

/// Path of the list of files.
pub(super) const PATH: &str = "/v1/files";

/// Bytes of an upload in addition to those of its file.
const FRAMING_BYTES: usize = 64 * 1024;

/// Maximum number of ids that a list is asked for.
const MAX_IDS: usize = 100;

/// What the cursor of a page begins with; the id of the last file follows.
const CURSOR: &str = "page_";

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileEndpoint<'a> {
    List,
    File(&'a str),
    Content(&'a str),
}

/// The endpoint of a path, if it is one of files.
pub(super) fn endpoint(path: &str) -> Option<FileEndpoint<'_>> {
    let below = path.strip_prefix(PATH)?;
    if below.is_empty() {
        return Some(FileEndpoint::List);
    }
    let below = below.strip_prefix('/')?;
    match below.split_once('/') {
        None if below.is_empty() => None,
        None => Some(FileEndpoint::File(below)),
        Some((id, "content")) => Some(FileEndpoint::Content(id)),
        Some(_) => None,
    }
}

/// The size of the largest body of an upload.
pub(super) fn max_body_bytes(config: &SimulatorFilesConfig) -> usize {
    config.max_file_bytes.saturating_add(FRAMING_BYTES)
}

impl FileEndpoint<'_> {
    /// The method as which the headers are checked: no call has a body of JSON.
    ///
    /// # Errors
    /// 405 for a method that the endpoint does not have.
    pub(super) fn method<'a>(&self, parts: &'a Parts) -> Result<&'a Method, ApiError> {
        match (self, &parts.method) {
            (FileEndpoint::List, &Method::POST) => Ok(&Method::GET),
            (FileEndpoint::File(_), method @ &Method::DELETE) | (_, method @ &Method::GET) => {
                Ok(method)
            }
            _ => Err(ApiError::new(405, "Method Not Allowed")),
        }
    }
}

/// Answers a request whose key and method have been checked.
///
/// # Errors
/// 404 for an unknown file, 413 for one that is too large, 400 for the rest.
pub(super) async fn answer(
    exchange: &Exchange,
    parts: &Parts,
    endpoint: FileEndpoint<'_>,
    body: Bytes,
) -> Result<Response<AnswerBody>, ApiError> {
    let (state, key) = (&exchange.state, exchange.key.as_str());
    let now = SystemTime::now();
    let json = match (endpoint, &parts.method) {
        (FileEndpoint::List, &Method::POST) => {
            let upload = upload::read(parts, body, state.config.files.max_file_bytes).await?;
            let id = format!("file_sim_{:016}", state.number());
            let file = upload.file(id, key, now);
            state.files.keep(file.clone(), now)?;
            json_of(&file.described())
        }
        (FileEndpoint::List, _) => {
            let query = FileQuery::read(parts.uri.query().unwrap_or_default())?;
            query.page(&state.files.list(key, now))?
        }
        (FileEndpoint::File(id), &Method::DELETE) => {
            state.files.delete(key, id)?;
            json_of(&DeletedFile {
                id,
                kind: "file_deleted",
            })
        }
        (FileEndpoint::File(id), _) => json_of(&state.files.find(key, id, now)?.described()),
        (FileEndpoint::Content(id), _) => {
            return Ok(content(&state.files.find(key, id, now)?)?);
        }
    };
    answer::plain(json, exchange.behaviour.as_ref())
}

fn content(file: &StoredFile) -> Result<Response<AnswerBody>, FileRefusal> {
    let mut response = Whole {
        bytes: file.downloaded()?,
        content_type: "application/octet-stream",
    }
    .respond();
    if let Ok(mime_type) = HeaderValue::from_str(&file.mime_type) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, mime_type);
    }
    Ok(response)
}

impl From<FileRefusal> for ApiError {
    fn from(refusal: FileRefusal) -> Self {
        match refusal {
            FileRefusal::Unknown => ApiError::not_found("File not found."),
            FileRefusal::Expired => {
                ApiError::not_found("The file has expired.").code("file_expired")
            }
            FileRefusal::NotDownloadable => {
                ApiError::invalid("Only files that a tool has generated can be downloaded.")
                    .code("file_not_downloadable")
            }
            FileRefusal::QuotaExceeded => {
                ApiError::invalid("The storage quota of files is exceeded: delete some.")
                    .code("storage_quota_exceeded")
            }
        }
    }
}

/// Which files are asked for.
struct FileQuery<'a> {
    /// Files with these ids, if there are any.
    ids: Vec<&'a str>,
    limit: usize,
    /// Id of the file after which the page begins.
    after: Option<&'a str>,
    /// Files of a scope, which no file has.
    is_scoped: bool,
}

impl<'a> FileQuery<'a> {
    fn read(query: &'a str) -> Result<Self, ApiError> {
        let mut read = FileQuery {
            ids: Vec::new(),
            limit: paging::DEFAULT_LIMIT,
            after: None,
            is_scoped: false,
        };
        let mut is_paged = false;
        for (name, value) in paging::pairs(query) {
            is_paged |= matches!(name, "limit" | "page");
            match name {
                "limit" => read.limit = paging::limit(value)?,
                "page" => {
                    let id = value.strip_prefix(CURSOR);
                    read.after = Some(id.ok_or_else(unknown_page)?);
                }
                "ids[]" | "ids%5B%5D" if !read.ids.contains(&value) => read.ids.push(value),
                "scope_id" => read.is_scoped = true,
                // The SDKs mark beta calls in the query.
                "ids[]" | "ids%5B%5D" | "beta" => {}
                _ => return Err(paging::unknown(name)),
            }
        }
        require(
            read.ids.is_empty() || !is_paged,
            || "ids: must not be given together with page or limit",
        )?;
        require(read.ids.len() <= MAX_IDS, || {
            format!("ids: List should have at most {MAX_IDS} items")
        })?;
        Ok(read)
    }

    /// The JSON of the page of a list.
    fn page(&self, all: &[StoredFile]) -> Result<String, ApiError> {
        let first = match self.after {
            Some(after) => {
                let found = all.iter().position(|file| file.id == after);
                found.ok_or_else(unknown_page)? + 1
            }
            None => 0,
        };
        let is_asked = |file: &&StoredFile| {
            !self.is_scoped && (self.ids.is_empty() || self.ids.contains(&file.id.as_str()))
        };
        let mut asked: Vec<&StoredFile> = all.iter().skip(first).filter(is_asked).collect();
        let has_more = self.ids.is_empty() && asked.len() > self.limit;
        if has_more {
            asked.truncate(self.limit);
        }
        let last = asked.last().filter(|_| has_more);
        Ok(json_of(&FilePage {
            next_page: last.map(|file| format!("{CURSOR}{}", file.id)),
            data: asked.into_iter().map(StoredFile::described).collect(),
        }))
    }
}

fn unknown_page() -> ApiError {
    ApiError::invalid("page: unknown page")
}

/// One page of the list of files.
#[derive(Serialize)]
struct FilePage<'a> {
    data: Vec<file::DescribedFile<'a>>,
    next_page: Option<String>,
}

/// The answer to a deletion.
#[derive(Serialize)]
struct DeletedFile<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

fn json_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serializes")
}
