//! Turns the files of `migrations/` into modules and a registry of them, and lists those of `contracts/`.
#![allow(clippy::print_stdout)] // It is how a build script talks to cargo.

#[path = "build/contracts.rs"]
mod contracts;
#[path = "build/migrations.rs"]
mod migrations;

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/migrations.rs");
    println!("cargo::rerun-if-changed=build/contracts.rs");
    for mistake in [generate(), list_contracts()]
        .into_iter()
        .filter_map(Result::err)
        .flatten()
    {
        println!("cargo::error={}", mistake.replace('\n', " "));
    }
}

fn generate() -> Result<(), Vec<String>> {
    let folder = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../migrations");
    // The folder, for files that come and go; the files, for those that an editor changes in place.
    println!("cargo::rerun-if-changed={}", folder.display());
    let sources = migrations::read(&folder)?;
    for source in &sources {
        println!(
            "cargo::rerun-if-changed={}",
            folder.join(source.name.file_name()).display()
        );
    }
    let folder = absolute(&folder)?;
    let registry = migrations::registry(&folder, &sources).map_err(|mistake| vec![mistake])?;
    write("registry.rs", &registry)
}

fn list_contracts() -> Result<(), Vec<String>> {
    let folder = absolute(&Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../contracts"))?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let releases = contracts::read(&folder)?;
    let list = contracts::list(&folder, &releases).map_err(|mistake| vec![mistake])?;
    write("contracts.rs", &list)
}

fn variable(name: &str) -> Result<std::ffi::OsString, Vec<String>> {
    std::env::var_os(name).ok_or_else(|| vec![format!("cargo did not set {name}")])
}

fn absolute(folder: &Path) -> Result<PathBuf, Vec<String>> {
    folder
        .canonicalize()
        .map_err(|error| vec![format!("cannot find {}: {error}", folder.display())])
}

fn write(name: &str, text: &str) -> Result<(), Vec<String>> {
    let target = PathBuf::from(variable("OUT_DIR")?).join(name);
    std::fs::write(&target, text).map_err(|error| vec![format!("cannot write {}: {error}", target.display())])
}
