//! What has to hold for any bytes, one module a parser. The fuzz targets try it
//! on bytes that they find; `tests/fuzz_corpus.rs` of the main package tries it
//! on those that were kept in `corpus/`.

pub mod clients_file;
pub mod config;
pub mod key_file;
pub mod kinds;
pub mod quoted;
pub mod signature_header;
pub mod sse;

/// What panics when a property does not hold.
pub type Check = fn(&[u8]);

/// Every target, by its name.
pub const TARGETS: [(&str, Check); 6] = [
    ("clients_file", clients_file::check),
    ("config", config::check),
    ("key_file", key_file::check),
    ("kinds", kinds::check),
    ("signature_header", signature_header::check),
    ("sse", sse::check),
];
