//! Models, batches and files that exist from the start, with ids of the operator's
//! choice: tests of clients name such ids.

use super::{
    batches::BatchFixture,
    catalogue::{self, ModelFixture},
    files::FileFixture,
    state::SimulatorState,
};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The file with the fixtures cannot be used.
#[derive(Debug, Error)]
#[error("fixtures_file: {}: {problem}", path.display())]
pub(super) struct FixturesError {
    path: PathBuf,
    problem: String,
}

/// The contents of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fixtures {
    models: Vec<ModelFixture>,
    batches: Vec<BatchFixture>,
    files: Vec<FileFixture>,
}

/// Reads a file, and adds what it has.
///
/// # Errors
/// When the file cannot be read, or has what the API would refuse.
pub(super) fn install(path: &Path, state: &mut SimulatorState) -> Result<(), FixturesError> {
    let wrong = |problem: String| FixturesError {
        path: path.to_owned(),
        problem,
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let fixtures: Fixtures = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    for model in fixtures.models {
        let info = catalogue::fixture(model).map_err(|error| wrong(error.message().to_owned()))?;
        state.models.push(info);
    }
    for batch in fixtures.batches {
        let id = batch.id.clone();
        let installed = batch.install(state);
        installed.map_err(|error| wrong(format!("{id}: {}", error.message())))?;
    }
    for file in fixtures.files {
        file.install(&mut state.files);
    }
    Ok(())
}
