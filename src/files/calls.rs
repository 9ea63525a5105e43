//! What callers ask of files.

use super::{
    FileError, FileFacts, Files, Owned, named_ids::NamedIds, possessions::UploadLimits,
    registry::UploadRoom,
};
use crate::{
    call::Deadline,
    claude::files::FileObject,
    upstream::{
        CallOptions, Failed, FileContent, FileUpload, Fingerprint, HostLacks, KeyAffinity, Keys,
        OwnedKind, UploadBody, UpstreamError,
    },
};
use bytes::Bytes;
use std::{cmp::Reverse, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long an upload may take once it has begun.
const LONGEST_UPLOAD: Duration = Duration::from_secs(600);

/// How long it may take to note it.
const LONGEST_WRITE: Duration = Duration::from_secs(60);

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
    /// Uploads a file. One that has begun goes on when its caller hangs up, and is listed.
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
        // It waits for its turn, and then is made.
        let longest = options.deadline.remaining() + LONGEST_UPLOAD + LONGEST_WRITE;
        let registry = &self.shared.registry;
        let room = registry.make_room(&tenant, size, limits, longest).await?;
        let turn = Arc::clone(&self.shared.uploads).acquire_owned();
        let turn = timeout(options.deadline.remaining(), turn).await;
        let turn = turn.map_err(|_| not_asked(UpstreamError::DeadlineExceeded("while waiting")))?;
        let files = self.clone();
        let upload = self.shared.tasks.spawn(async move {
            let _turn = turn;
            let uploaded = files.upload_now(new, tenant, options).await?;
            files.keep_uploaded(uploaded, room).await
        });
        // It panicked, or the process ends.
        upload.await.unwrap_or(Err(FileError::Interrupted))
    }

    async fn upload_now(
        &self,
        new: NewFile,
        tenant: String,
        options: CallOptions,
    ) -> Result<Owned, FileError> {
        let (host, key) = self.place_for(&tenant, &options).await?;
        let options = CallOptions {
            deadline: Deadline::after(LONGEST_UPLOAD),
            key: Some(key),
            host: Some(host),
            record: self.call.clone(),
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
        let size = new.content.len() as u64;
        // The body has it.
        drop(new);
        let created = self.now();
        let uploaded = self.shared.client.upload_file(body, options).await?;
        let file = uploaded.value;
        Ok(Owned {
            id: file.id.clone(),
            kind: OwnedKind::File,
            tenant,
            host: uploaded.origin.host.to_string(),
            key: Some(key),
            headers,
            created,
            expires: created + expires_in,
            file: Some(FileFacts {
                size,
                is_upload: true,
                ..FileFacts::of(file)
            }),
        })
    }

    /// Keeps an upload. One that cannot be kept is deleted: nobody could name it after a
    /// restart.
    async fn keep_uploaded(
        &self,
        uploaded: Owned,
        room: UploadRoom,
    ) -> Result<Arc<Owned>, FileError> {
        let owned = Arc::new(uploaded);
        if let Err(error) = self.shared.registry.keep(&owned, room).await {
            let options = self.options(&owned, CallOptions::new(Deadline::after(LONGEST_UPLOAD)));
            let _ = self.shared.client.delete_file(&owned.id, options).await;
            self.shared.registry.forget(&owned);
            return Err(error.into());
        }
        Ok(owned)
    }

    /// A file as it is at the API.
    ///
    /// # Errors
    /// When the tenant has no such file, or the API does not answer.
    pub async fn get(&self, id: &str, options: CallOptions) -> Result<Arc<Owned>, FileError> {
        let owned = self.find(id, &options).await?;
        let options = self.options(&owned, options);
        match self.shared.client.get_file(id, options).await {
            Ok(file) => {
                let seen = FileFacts::of(file.value);
                let file = match &owned.file {
                    Some(known) if known.is_upload => FileFacts {
                        size: known.size,
                        is_upload: true,
                        ..seen
                    },
                    _ => seen,
                };
                if owned.file.as_ref() == Some(&file) {
                    return Ok(owned);
                }
                let seen = Owned {
                    file: Some(file),
                    ..(*owned).clone()
                };
                // It may have been deleted meanwhile.
                let replaced = self.shared.registry.replace(&owned, seen).await;
                replaced.ok_or(FileError::Unknown)
            }
            Err(failed) => Err(self.gone(&owned, failed).await),
        }
    }

    /// The files of a tenant, newest first, as they were seen last.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(&self, options: &CallOptions) -> Result<Vec<Arc<Owned>>, FileError> {
        Ok(self.shared.registry.files_of(&tenant_of(options)).await?)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// When the tenant has no such file, or the API does not answer.
    pub async fn delete(&self, id: &str, options: CallOptions) -> Result<(), FileError> {
        let owned = self.find(id, &options).await?;
        let options = self.options(&owned, options);
        match self.shared.client.delete_file(id, options).await {
            Ok(_) => {
                self.shared.registry.forget(&owned);
                Ok(self.shared.registry.flush().await?)
            }
            Err(failed) => Err(self.gone(&owned, failed).await),
        }
    }

    /// The key with which a request of a tenant must be made, if it names something: the
    /// one that has it. What the tenant may not name is found later.
    pub async fn key_named_in(&self, body: &Bytes, options: &CallOptions) -> Option<Fingerprint> {
        let named = NamedIds::search(body).await.ok()??;
        let ids: Vec<_> = named.ids.iter().map(|(kind, id)| (*kind, &**id)).collect();
        let registry = &self.shared.registry;
        let found = registry.find_all(&tenant_of(options), &ids).await;
        let mut owned = found.into_iter().filter_map(|found| found.ok().flatten());
        owned.find_map(|owned| owned.key)
    }

    /// The content of a file that a tool of the API made.
    ///
    /// # Errors
    /// When the tenant has no such file, it is one that was uploaded, or the API does not
    /// answer.
    pub async fn download(&self, id: &str, options: CallOptions) -> Result<FileContent, FileError> {
        let owned = self.find(id, &options).await?;
        let options = self.options(&owned, options);
        match self.shared.client.file_content(id, options).await {
            Ok(content) => Ok(content.value),
            Err(failed) => Err(failed.into()),
        }
    }

    async fn find(&self, id: &str, options: &CallOptions) -> Result<Arc<Owned>, FileError> {
        let tenant = tenant_of(options);
        let found = self.shared.registry.find(&tenant, OwnedKind::File, id);
        found.await?.ok_or(FileError::Unknown)
    }

    /// The error of a call about a file, which is forgotten if the API does not have it.
    async fn gone(&self, owned: &Arc<Owned>, failed: Failed) -> FileError {
        if !failed.is_not_found() || !self.has_key_of(owned) {
            return failed.into();
        }
        self.shared.registry.forget(owned);
        match self.shared.registry.flush().await {
            Ok(()) => FileError::Unknown,
            Err(error) => error.into(),
        }
    }

    /// Whether the key of a file is configured: without it, nobody knows whether the API
    /// has the file.
    pub(super) fn has_key_of(&self, owned: &Owned) -> bool {
        let mut hosts = self.shared.hosts.iter();
        let keys = hosts.find(|(host, _)| **host == *owned.host);
        keys.is_some_and(|(_, keys)| has(keys, owned.key))
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

    /// The host and key of a new file of a tenant: those of its newest upload, so that one
    /// request can name all of them, otherwise always the same ones.
    async fn place_for(
        &self,
        tenant: &str,
        options: &CallOptions,
    ) -> Result<(Arc<str>, Fingerprint), FileError> {
        let uploads = self.shared.registry.files_of(tenant).await?.into_iter();
        let caller = options.caller.as_deref();
        let may_use = |host: &Arc<str>| {
            let is_named = options.host.as_ref().is_none_or(|name| name == host);
            is_named && caller.is_none_or(|caller| caller.may_use_host(host))
        };
        let hosts = self.shared.hosts.iter();
        let hosts: Vec<_> = hosts.filter(|(host, _)| may_use(host)).collect();
        for earlier in uploads.filter(|it| it.uploaded_bytes().is_some()) {
            let place = hosts.iter().find(|(host, keys)| {
                let usable = usable(keys);
                **host == *earlier.host && usable.iter().any(|key| Some(*key) == earlier.key)
            });
            if let (Some((host, _)), Some(key)) = (place, earlier.key) {
                return Ok((Arc::clone(host), key));
            }
        }
        let lacks = UpstreamError::NotServed(HostLacks::Host);
        let (host, keys) = hosts.first().ok_or_else(|| not_asked(lacks))?;
        let affinity = KeyAffinity::named(Some(tenant), "files");
        let keys = usable(keys).into_iter();
        let chosen = keys.min_by_key(|key| Reverse(affinity.score(key.seed())));
        let key = chosen.ok_or_else(|| not_asked(UpstreamError::NoUsableKey))?;
        Ok((Arc::clone(host), key))
    }
}

fn not_asked(error: UpstreamError) -> Failed {
    Failed { error, attempts: 0 }
}

fn has(keys: &Keys, key: Option<Fingerprint>) -> bool {
    let keys = keys.current();
    keys.iter().any(|one| Some(one.fingerprint()) == key)
}

/// The keys that the API has not rejected.
fn usable(keys: &Keys) -> Vec<Fingerprint> {
    let keys = keys.current();
    let keys = keys.iter().filter(|key| key.refusal().is_none());
    keys.map(|key| key.fingerprint()).collect()
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
