//! The RPCs of `claude.v1.FileService`.

mod upload;

use super::{Events, Rpcs, call};
use crate::{
    files::{FileError, Files, Owned},
    proto::v1::{self, file_service_server::FileService},
    status::{self, Violations},
    telemetry::CallRecord,
    upstream::{CallOptions, Failed},
};
use futures::StreamExt;
use prost_types::Timestamp;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Number of files in a page, unless the caller asks for another.
const PAGE: usize = 100;

/// Maximum number of files in a page.
const LARGEST_PAGE: usize = 1000;

impl Rpcs {
    /// The files, for this call, and its options.
    fn files<T>(&self, request: &Request<T>) -> Result<(Files, CallOptions), Status> {
        let files = self.files.as_ref().ok_or_else(status::files_disabled)?;
        let record = request.extensions().get::<CallRecord>();
        let files = files.on_behalf_of(record.cloned().unwrap_or_default());
        let options = call::options(request, false, &self.config.passthrough)?;
        Ok((files, options))
    }
}

fn failed(error: FileError) -> Status {
    status::file_failed(&error)
}

/// A file as callers see it.
fn listed(owned: &Owned) -> v1::File {
    let file = owned.file.clone();
    let described = file.map(|file| v1::File {
        filename: file.filename,
        mime_type: file.mime_type,
        size_bytes: i64::try_from(file.size).unwrap_or(i64::MAX),
        downloadable: file.is_downloadable,
        ..v1::File::default()
    });
    v1::File {
        id: owned.id.clone(),
        create_time: Some(time(owned.created)),
        expire_time: Some(time(owned.expires)),
        ..described.unwrap_or_default()
    }
}

fn time(seconds: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

#[tonic::async_trait]
impl FileService for Rpcs {
    type DownloadFileStream = Events<v1::DownloadFileResponse>;

    async fn upload_file(
        &self,
        request: Request<v1::UploadFileRequest>,
    ) -> Result<Response<v1::UploadFileResponse>, Status> {
        let (files, options) = self.files(&request)?;
        let new = upload::read(request.into_inner(), files.retention())?;
        let owned = files.upload(new, options).await.map_err(failed)?;
        Ok(Response::new(v1::UploadFileResponse {
            file: Some(listed(&owned)),
        }))
    }

    async fn get_file(
        &self,
        request: Request<v1::GetFileRequest>,
    ) -> Result<Response<v1::GetFileResponse>, Status> {
        let (files, options) = self.files(&request)?;
        let id = request.into_inner().id;
        let owned = files.get(&id, options).await.map_err(failed)?;
        Ok(Response::new(v1::GetFileResponse {
            file: Some(listed(&owned)),
        }))
    }

    async fn list_files(
        &self,
        request: Request<v1::ListFilesRequest>,
    ) -> Result<Response<v1::ListFilesResponse>, Status> {
        let (files, options) = self.files(&request)?;
        let all = files.list(&options).await.map_err(failed)?;
        let request = request.into_inner();
        let (page, next_page_token) = page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(v1::ListFilesResponse {
            files: page.iter().map(|it| listed(it)).collect(),
            next_page_token,
        }))
    }

    async fn delete_file(
        &self,
        request: Request<v1::DeleteFileRequest>,
    ) -> Result<Response<v1::DeleteFileResponse>, Status> {
        let (files, options) = self.files(&request)?;
        let id = request.into_inner().id;
        files.delete(&id, options).await.map_err(failed)?;
        Ok(Response::new(v1::DeleteFileResponse {}))
    }

    async fn download_file(
        &self,
        request: Request<v1::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let (files, options) = self.files(&request)?;
        let id = request.into_inner().id;
        let content = files.download(&id, options).await.map_err(failed)?;
        let pieces = content.map(|piece| match piece {
            Ok(content) => Ok(v1::DownloadFileResponse { content }),
            Err(error) => Err(status::upstream_failed(
                &Failed { error, attempts: 1 },
                "id",
            )),
        });
        let mut response = Response::new(pieces.boxed());
        // Most files that tools make are compressed.
        response.disable_compression();
        Ok(response)
    }
}

/// A page of files, and the token of the next one.
fn page<'a>(
    all: &'a [Arc<Owned>],
    size: i32,
    token: &str,
) -> Result<(&'a [Arc<Owned>], String), Status> {
    let mut wrong = Violations::default();
    let size = match usize::try_from(size) {
        Ok(0) => PAGE,
        Ok(size) if size <= LARGEST_PAGE => size,
        _ => {
            wrong.add("page_size", format!("must be between 1 and {LARGEST_PAGE}"));
            PAGE
        }
    };
    let first = match (token, last_of(token)) {
        ("", _) => 0,
        // The last file of the page before may be deleted by now.
        (_, Some(last)) => all.partition_point(|owned| owned.position() >= last),
        (_, None) => {
            wrong.add("page_token", "must be the token of a page before");
            0
        }
    };
    wrong.into_result()?;
    let page = &all[first..(first + size).min(all.len())];
    let has_more = first + size < all.len();
    let last = page.last().filter(|_| has_more);
    let token = last.map(|it| format!("{}-{}", it.created, it.id));
    Ok((page, token.unwrap_or_default()))
}

/// The position of the last file of a page, by the token after it.
fn last_of(token: &str) -> Option<(u64, &str)> {
    let (created, id) = token.split_once('-')?;
    Some((created.parse().ok()?, id))
}
