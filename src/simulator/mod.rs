//! A stand-in for the Claude API over real HTTP.

mod config;

pub use config::SimulatorConfig;
