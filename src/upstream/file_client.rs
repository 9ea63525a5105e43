//! The calls of the Files API.

use super::{
    Answered, Body, CallOptions, Client, Failed, FileCall, FileContent, Payload, UploadBody,
    client::call,
};
use crate::claude::{files::FileObject, request::MessagesRequest};

impl Client {
    /// Uploads a file. An attempt that may have reached the API is not repeated.
    ///
    /// # Errors
    /// When the API does not accept the file, or it is not known whether it did.
    pub async fn upload_file(
        &self,
        body: UploadBody,
        options: CallOptions,
    ) -> Result<Answered<FileObject>, Failed> {
        self.file(FileCall::Upload(body), options).await
    }

    /// Reads what is known of a file.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn get_file(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<FileObject>, Failed> {
        self.file(FileCall::Get(id.to_owned()), options).await
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn delete_file(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<()>, Failed> {
        let answered = self
            .of_files(FileCall::Delete(id.to_owned()), options)
            .await?;
        answered.expect(|body| matches!(body, Body::Deleted).then_some(()))
    }

    /// The content of a file, as it arrives.
    ///
    /// # Errors
    /// When no attempt succeeds before the deadline.
    pub async fn file_content(
        &self,
        id: &str,
        options: CallOptions,
    ) -> Result<Answered<FileContent>, Failed> {
        let answered = self
            .of_files(FileCall::Content(id.to_owned()), options)
            .await?;
        answered.expect(|body| match body {
            Body::FileContent(content) => Some(content),
            _ => None,
        })
    }

    async fn file(
        &self,
        of: FileCall,
        options: CallOptions,
    ) -> Result<Answered<FileObject>, Failed> {
        let answered = self.of_files(of, options).await?;
        answered.expect(|body| match body {
            Body::File(file) => Some(*file),
            _ => None,
        })
    }

    async fn of_files(&self, of: FileCall, options: CallOptions) -> Result<Answered<Body>, Failed> {
        let nothing = MessagesRequest::default();
        self.answered(call(Payload::Files(of), &nothing, options))
            .await
    }
}
