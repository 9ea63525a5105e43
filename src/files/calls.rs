//! What callers ask of files.

use super::{FileError, FileFacts, Files, Owned, registry::UploadLimits};
use crate::{
    claude::files::FileObject,
    upstream::{
        CallOptions, Failed, FileContent, FileUpload, Fingerprint, KeyAffinity, OwnedKind,
        UploadBody, UpstreamError,
    },
};
use bytes::Bytes;
use std::{cmp::Reverse, sync::Arc, time::Duration};

/// A file to be uploaded.
pub struct NewFile {
    /// Its name, without quotation marks and control characters.
    pub filename: String,
    /// Its media type, printable ASCII; empty if it is not known.
    pub mime_type: String,
    /// Its content.
    pub content: Bytes,
    /// How long it is kept.
    pub keep_for: Duration,
}

impl Files {
    /// Uploads a file. One whose caller hangs up is uploaded all the same, and listed.
    ///
    /// # Errors
    /// When the tenant has its maximum, or the API does not accept it.
    pub async fn upload(
        &self,
        new: NewFile,
        options: CallOptions,
    ) -> Result<Arc<Owned>, FileError> {
        let limits = UploadLimits {
            files: self.shared.config.max_per_tenant,
            bytes: self.shared.config.max_bytes_per_tenant,
        };
        let tenant = tenant_of(&options);
        let size = new.content.len() as u64;
        let room = self.shared.registry.make_room(&tenant, size, limits)?;
        let (files, now) = (self.clone(), self.now());
        let upload = async move {
            let key = files.key_for(&tenant)?;
            let options = CallOptions {
                key: Some(key),
                host: options
                    .host
                    .or_else(|| Some(Arc::clone(&files.shared.host))),
                record: files.call.clone(),
                ..options
            };
            let headers = options.headers.as_deref().cloned();
            let expires_in = new.keep_for.as_secs();
            let upload = FileUpload {
                filename: &new.filename,
                mime_type: Some(new.mime_type.as_str()).filter(|it| !it.is_empty()),
                expires_in,
            };
            let body = UploadBody::new(upload, &new.content);
            drop(new);
            let uploaded = files.shared.client.upload_file(body, options).await?;
            let file = uploaded.value;
            let owned = Owned {
                id: file.id.clone(),
                kind: OwnedKind::File,
                tenant,
                host: uploaded.origin.host.to_string(),
                key: Some(key),
                headers,
                created: now,
                expires: now + expires_in,
                ends_by_itself: file.expires_at.is_some(),
                file: Some(FileFacts {
                    is_upload: true,
                    ..FileFacts::of(file)
                }),
            };
            let owned = files.shared.registry.keep(owned).await?;
            drop(room);
            Ok(owned)
        };
        let upload = self.shared.tasks.spawn(upload);
        // It panicked, or the process ends.
        upload.await.unwrap_or(Err(FileError::Interrupted))
    }

    /// A file as it is at the API.
    ///
    /// # Errors
    /// When the tenant has no such file, or the API does not answer.
    pub async fn get(&self, id: &str, options: CallOptions) -> Result<Arc<Owned>, FileError> {
        let owned = self.find(id, &options)?;
        let options = self.options(&owned, options);
        match self.shared.client.get_file(id, options).await {
            Ok(file) => {
                let is_upload = owned.file.as_ref().is_some_and(|file| file.is_upload);
                let seen = Owned {
                    file: Some(FileFacts {
                        is_upload,
                        ..FileFacts::of(file.value)
                    }),
                    ..(*owned).clone()
                };
                if seen == *owned {
                    return Ok(owned);
                }
                Ok(self.shared.registry.keep(seen).await?)
            }
            Err(failed) => Err(self.gone(&owned, failed).await),
        }
    }

    /// The files of a tenant, newest first, as they were seen last.
    pub fn list(&self, options: &CallOptions) -> Vec<Arc<Owned>> {
        self.shared.registry.files_of(&tenant_of(options))
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// When the tenant has no such file, or the API does not answer.
    pub async fn delete(&self, id: &str, options: CallOptions) -> Result<(), FileError> {
        let owned = self.find(id, &options)?;
        let options = self.options(&owned, options);
        match self.shared.client.delete_file(id, options).await {
            Ok(_) => {}
            // It is gone already.
            Err(failed) if failed.is_not_found() => {}
            Err(failed) => return Err(failed.into()),
        }
        Ok(self.shared.registry.forget(&owned).await?)
    }

    /// The content of a file that a tool of the API made.
    ///
    /// # Errors
    /// When the tenant has no such file, it is one that was uploaded, or the API does not
    /// answer.
    pub async fn download(&self, id: &str, options: CallOptions) -> Result<FileContent, FileError> {
        let owned = self.find(id, &options)?;
        let options = self.options(&owned, options);
        match self.shared.client.file_content(id, options).await {
            Ok(content) => Ok(content.value),
            Err(failed) => Err(self.gone(&owned, failed).await),
        }
    }

    fn find(&self, id: &str, options: &CallOptions) -> Result<Arc<Owned>, FileError> {
        let tenant = tenant_of(options);
        let found = self.shared.registry.find(&tenant, OwnedKind::File, id);
        found.ok_or(FileError::Unknown)
    }

    /// The error of a call about a file, which is forgotten if the API does not have it.
    async fn gone(&self, owned: &Owned, failed: Failed) -> FileError {
        if !failed.is_not_found() {
            return failed.into();
        }
        match self.shared.registry.forget(owned).await {
            Ok(()) => FileError::Unknown,
            Err(error) => error.into(),
        }
    }

    /// The options of a call about a file: it is where it was made.
    pub(super) fn options(&self, owned: &Owned, options: CallOptions) -> CallOptions {
        CallOptions {
            key: owned.key,
            host: Some(Arc::from(owned.host.as_str())),
            headers: owned.headers.clone().map(Arc::new),
            record: self.call.clone(),
            ..options
        }
    }

    /// The key of new files of a tenant: always the same one while it can be used, so
    /// that one request can name all of them.
    fn key_for(&self, tenant: &str) -> Result<Fingerprint, FileError> {
        let affinity = KeyAffinity::named(Some(tenant), "files");
        let keys = self.shared.keys.current();
        let usable = keys.iter().filter(|key| key.refusal().is_none());
        let chosen = usable.min_by_key(|key| Reverse(affinity.score(key.fingerprint().seed())));
        let none = || Failed {
            error: UpstreamError::NoUsableKey,
            attempts: 0,
        };
        Ok(chosen.ok_or_else(none)?.fingerprint())
    }
}

impl FileFacts {
    fn of(file: FileObject) -> Self {
        FileFacts {
            filename: file.filename,
            mime_type: file.mime_type,
            size: file.size,
            is_downloadable: file.is_downloadable,
            is_upload: false,
        }
    }
}

/// The tenant of a call; empty without access control.
fn tenant_of(options: &CallOptions) -> String {
    options.tenant.as_deref().unwrap_or_default().to_owned()
}
