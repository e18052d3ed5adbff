//! Where things outside the binary are: the folder `contracts/` with its build and its npm packages, and the PATH.
//!
//! Bytecode is a build's output and not committed, so it is read when it is needed and not when the binary is made.

use std::path::{Path, PathBuf};

use alloy::primitives::Bytes;
use serde::Deserialize;

use super::DemoError;

/// A file below the folder `contracts/`: the one that `MEIKAN_CONTRACTS_DIR` names, else the first above the working
/// directory or above the program that has the file.
pub(super) fn in_contracts(file: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("MEIKAN_CONTRACTS_DIR") {
        return Some(Path::new(&folder).join(file)).filter(|path| path.is_file());
    }
    let starts = [std::env::current_dir(), std::env::current_exe()];
    let folders = starts.iter().flatten().flat_map(|start| start.ancestors());
    folders.map(|folder| folder.join("contracts").join(file)).find(|path| path.is_file())
}

/// A program on the PATH.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[derive(Deserialize)]
struct Artifact {
    bytecode: Bytecode,
}

#[derive(Deserialize)]
struct Bytecode {
    object: Bytes,
}

/// The creation bytecode of a contract, from its build.
pub(super) fn bytecode(contract: &str) -> Result<Bytes, DemoError> {
    let path = in_contracts(&format!("out/{contract}.sol/{contract}.json")).ok_or(DemoError::ContractsMissing)?;
    let unusable = |reason: String| DemoError::Artifact { path: path.clone(), reason };
    let text = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    let artifact: Artifact = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    if artifact.bytecode.object.is_empty() {
        return Err(unusable("it has no bytecode".into()));
    }
    Ok(artifact.bytecode.object)
}
