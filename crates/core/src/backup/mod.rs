//! interim
#![allow(missing_docs)]
use crate::{error::Result, event::Observer, settings::Settings};
use std::path::PathBuf;
#[derive(Debug, Clone)]
pub struct Backup {
    pub database: PathBuf,
    pub companion: Option<PathBuf>,
    pub manifest: PathBuf,
    pub bytes: u64,
    pub sha256: String,
}
#[derive(Debug, Clone)]
pub struct BackupFacts {
    pub version: Option<u32>,
    pub release: Option<String>,
    pub run: Option<String>,
    pub reason: String,
}
pub fn create(_: &Settings, _: &BackupFacts, _: &dyn Observer) -> Result<Backup> {
    Ok(Backup {
        database: PathBuf::new(),
        companion: None,
        manifest: PathBuf::new(),
        bytes: 0,
        sha256: String::new(),
    })
}
#[derive(Debug, Clone)]
pub struct BackupEntry {
    pub database: PathBuf,
    pub manifest: PathBuf,
    pub created_at: String,
    pub bytes: u64,
}
pub fn newest(_: &Settings) -> Result<Option<BackupEntry>> {
    Ok(None)
}
