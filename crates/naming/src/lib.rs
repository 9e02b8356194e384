//! The grammar of migration file names, releases and phases.
#![allow(missing_docs)]
use std::fmt;
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationName {
    pub version: u32,
    pub name: String,
}
impl MigrationName {
    pub fn stem_of(version: u32, name: &str) -> String {
        format!("V{version:03}__{name}")
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}
#[derive(Debug)]
pub struct ReleaseError;
impl Release {
    pub fn parse(s: &str) -> Result<Self, ReleaseError> {
        let mut it = s.split('.').map(|p| p.parse().map_err(|_| ReleaseError));
        let mut n = || it.next().unwrap_or(Err(ReleaseError));
        Ok(Self {
            major: n()?,
            minor: n()?,
            patch: n()?,
        })
    }
}
impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    Expand,
    Backfill,
    Contract,
}
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expand => "expand",
            Self::Backfill => "backfill",
            Self::Contract => "contract",
        })
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Latest,
    Version(u32),
    Release(Release),
    Back(u32),
    Forward(u32),
}
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
