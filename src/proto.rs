//! The code generated from `proto/` and `health/`, and the descriptors for reflection.

mod decoded_size;
mod message_types;

pub use decoded_size::DecodedSize;

/// Messages, client and server of the package `claude.v1`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("claude.v1");
}

/// The server of the package `grpc.health.v1`, with `List`; the other messages are
/// those of `tonic-health`.
#[allow(missing_docs, clippy::all, clippy::unwrap_used)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The encoded `FileDescriptorSet` of `health/`.
pub const HEALTH_DESCRIPTORS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/health_descriptor.bin"));

/// The encoded `FileDescriptorSet` of `proto/`, as served by gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/claude_descriptor.bin"));

/// Full name of the service, as used in health checks and method paths.
pub const SERVICE_NAME: &str = "claude.v1.ClaudeService";

/// Full name of the service of batches.
pub const BATCH_SERVICE_NAME: &str = "claude.v1.BatchService";

/// Full name of the service of documents.
pub const DOCUMENT_SERVICE_NAME: &str = "claude.v1.DocumentService";

/// Full name of the service of files.
pub const FILE_SERVICE_NAME: &str = "claude.v1.FileService";

/// `google.rpc.ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "claude-grpc";

/// The names of the methods of all services. No two have the same.
pub const METHODS: [&str; 21] = [
    "SubmitBatch",
    "GetBatch",
    "ListBatches",
    "CancelBatch",
    "DeleteBatch",
    "StreamBatchResults",
    "Generate",
    "GenerateStream",
    "Summarize",
    "SummarizeStream",
    "Classify",
    "ProcessItems",
    "CountTokens",
    "ListModels",
    "SummarizeDocument",
    "ClassifyDocument",
    "UploadFile",
    "GetFile",
    "ListFiles",
    "DeleteFile",
    "DownloadFile",
];

/// The name of the method that a path of one of the services refers to.
pub fn method(path: &str) -> Option<&str> {
    let services = [
        SERVICE_NAME,
        BATCH_SERVICE_NAME,
        DOCUMENT_SERVICE_NAME,
        FILE_SERVICE_NAME,
    ];
    services
        .into_iter()
        .find_map(|service| method_of(service, path))
}

/// Whether a path is one of the service of batches.
pub fn is_of_batches(path: &str) -> bool {
    method_of(BATCH_SERVICE_NAME, path).is_some()
}

/// The method whose items each count as a call.
pub const PROCESS_ITEMS: &str = "ProcessItems";

/// Whether a path is one of the service of documents.
pub fn is_of_documents(path: &str) -> bool {
    method_of(DOCUMENT_SERVICE_NAME, path).is_some()
}

/// Whether a path is one of the service of files.
pub fn is_of_files(path: &str) -> bool {
    method_of(FILE_SERVICE_NAME, path).is_some()
}

fn method_of<'a>(service: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix('/')?
        .strip_prefix(service)?
        .strip_prefix('/')
}

/// Whether a method answers with a stream.
pub fn is_stream(method: &str) -> bool {
    matches!(
        method,
        "GenerateStream"
            | "SummarizeStream"
            | "StreamBatchResults"
            | "DownloadFile"
            | "SummarizeDocument"
            | "ClassifyDocument"
            | "ProcessItems"
    )
}

/// Whether a method is asked with a stream.
pub fn is_client_stream(method: &str) -> bool {
    matches!(
        method,
        "SummarizeDocument" | "ClassifyDocument" | "ProcessItems"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn the_methods_are_those_of_the_descriptors() {
        let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let services = files.file.iter().flat_map(|file| &file.service);
        let methods: Vec<&str> = services
            .flat_map(|service| &service.method)
            .map(|method| method.name())
            .collect();
        assert_eq!(methods, METHODS);
        let services = files.file.iter().flat_map(|file| &file.service);
        for method in services.flat_map(|service| &service.method) {
            assert_eq!(is_stream(method.name()), method.server_streaming());
            assert_eq!(is_client_stream(method.name()), method.client_streaming());
        }
        assert_eq!(
            method("/claude.v1.ClaudeService/Classify"),
            Some("Classify")
        );
        assert_eq!(method("/grpc.health.v1.Health/Check"), None);
    }
}
