//! What the service tells about itself.

mod config;

pub use config::{LogConfig, LogFormat};
