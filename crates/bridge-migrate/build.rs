//! Turns the files of `migrations/` into modules and a registry of them.
#![allow(clippy::print_stdout)] // It is how a build script talks to cargo.

#[path = "build/migrations.rs"]
mod migrations;

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/migrations.rs");
    if let Err(mistakes) = generate() {
        for mistake in mistakes {
            println!("cargo::error={}", mistake.replace('\n', " "));
        }
    }
}

fn generate() -> Result<(), Vec<String>> {
    let variable =
        |name: &str| std::env::var_os(name).ok_or_else(|| vec![format!("cargo did not set {name}")]);
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
    let folder = folder
        .canonicalize()
        .map_err(|error| vec![format!("cannot find {}: {error}", folder.display())])?;
    let registry = migrations::registry(&folder, &sources).map_err(|mistake| vec![mistake])?;
    let target = PathBuf::from(variable("OUT_DIR")?).join("registry.rs");
    std::fs::write(&target, registry)
        .map_err(|error| vec![format!("cannot write {}: {error}", target.display())])
}
