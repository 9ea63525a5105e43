//! The business: one module an RPC.

mod config;

pub use config::{ClassifyConfig, GenerateConfig, ServiceConfig, SummarizeConfig};
