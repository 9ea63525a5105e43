//! Statuses of calls about files.

use super::{plain, upstream_failed};
use crate::{
    files::{FileError, OwnershipError},
    reason::Reason,
};
use tonic::Status;

/// The field of an upload that is named when it is too large.
const PAYLOAD: &str = "content";

/// The status of a failed call about a file.
pub fn file_failed(error: &FileError) -> Status {
    let reason = match error {
        FileError::Unknown => Reason::FileUnknown,
        FileError::TooMany(_) | FileError::TooLarge(_) => Reason::TooManyFiles,
        FileError::Interrupted => Reason::FileStateUnavailable,
        FileError::Upstream(failed) => return upstream_failed(failed, PAYLOAD),
        FileError::State(error) => {
            // It could have the path of the file. An outage of Redis is in the log once.
            if !matches!(error, OwnershipError::Unreachable) {
                tracing::error!(%error, "failed to access the state of files");
            }
            return plain(
                Reason::FileStateUnavailable,
                "the state of files is unavailable",
            );
        }
    };
    plain(reason, error.to_string())
}

/// The status of a call about a file where files are off.
pub fn files_disabled() -> Status {
    let message = "files are off: the operator must set files.state_file or files.shared";
    plain(Reason::FilesDisabled, message)
}
