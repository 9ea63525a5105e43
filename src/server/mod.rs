//! The way in.

mod config;

pub use config::ServerConfig;
