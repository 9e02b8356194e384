//! Reads the folder of migrations and writes the registry; shared by the build script and its test.

use std::{fmt::Write, path::Path};

use naming::{MigrationName, Release};

/// What the build script takes from a migration's file. The rest is Rust, which the compiler reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: MigrationName,
    pub(crate) release: Release,
    /// The first line of the module docs.
    pub(crate) summary: String,
    /// The text under `# Rollback`, as one paragraph.
    pub(crate) rollback: String,
    /// The findings that `lint: allow(CODE): reason` allows, with their reasons.
    pub(crate) allowed: Vec<(String, String)>,
}

/// Reads every migration in a folder.
///
/// # Errors
/// All mistakes found, each in one line that names its file.
pub(crate) fn read(folder: &Path) -> Result<Vec<Source>, Vec<String>> {
    let cannot_read = |source: std::io::Error| vec![format!("cannot read {}: {source}", folder.display())];
    let mut file_names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot_read)? {
        let entry = entry.map_err(cannot_read)?;
        file_names.push(entry.file_name().to_string_lossy().into_owned());
    }
    let names = naming::scan(file_names)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let mut sources = Vec::new();
    let mut mistakes = Vec::new();
    for name in names {
        let file_name = name.file_name();
        let source = std::fs::read_to_string(folder.join(&file_name))
            .map_err(|error| error.to_string())
            .and_then(|text| describe(name, &text));
        match source {
            Ok(source) => sources.push(source),
            Err(mistake) => mistakes.push(format!("migrations/{file_name}: {mistake}")),
        }
    }
    if mistakes.is_empty() {
        Ok(sources)
    } else {
        Err(mistakes)
    }
}

/// Takes what it needs from a migration's text. Line endings do not matter.
///
/// # Errors
/// When module docs, their `# Rollback` section or the release are missing.
pub(crate) fn describe(name: MigrationName, text: &str) -> Result<Source, String> {
    let docs: Vec<&str> = text
        .lines()
        .skip_while(|line| line.is_empty() || (line.starts_with("//") && !line.starts_with("//!")))
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let (docs, allowed) = take_allowed(docs)?;
    let summary = docs.first().copied().unwrap_or_default();
    if summary.is_empty() || summary.starts_with('#') {
        return Err("it must start with `//!` and what it does, in a sentence".to_owned());
    }
    let rollback: Vec<&str> = docs
        .iter()
        .copied()
        .skip_while(|line| *line != "# Rollback")
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| !line.is_empty())
        .collect();
    if rollback.is_empty() {
        return Err(
            "its module docs must say, under `//! # Rollback`, what going back does and what it loses"
                .to_owned(),
        );
    }
    Ok(Source {
        name,
        release: release(text)?,
        summary: summary.to_owned(),
        rollback: rollback.join(" "),
        allowed,
    })
}

/// Takes `lint: allow(CODE): reason` out of the docs. A reason goes on until an empty line, a heading or the
/// next of its kind; it may be missing, which is a finding of its own.
#[expect(
    clippy::type_complexity,
    reason = "the docs that are left, and what was taken out"
)]
fn take_allowed(docs: Vec<&str>) -> Result<(Vec<&str>, Vec<(String, String)>), String> {
    let mut left = Vec::new();
    let mut allowed: Vec<(String, String)> = Vec::new();
    let mut in_reason = false;
    for line in docs {
        if let Some(rest) = line.strip_prefix("lint:") {
            let (code, reason) = rest
                .trim_start()
                .strip_prefix("allow(")
                .and_then(|rest| rest.split_once(')'))
                .ok_or_else(|| format!("`{line}` must be written as `lint: allow(BM210): why`"))?;
            let reason = reason.strip_prefix(':').unwrap_or(reason).trim();
            allowed.push((code.trim().to_owned(), reason.to_owned()));
            in_reason = true;
        } else if line.is_empty() || line.starts_with('#') || !in_reason {
            in_reason = false;
            left.push(line);
        } else if let Some((_, reason)) = allowed.last_mut() {
            let gap = if reason.is_empty() { "" } else { " " };
            reason.push_str(gap);
            reason.push_str(line);
        }
    }
    Ok((left, allowed))
}

/// The release that the text gives to `Definition::new`.
fn release(text: &str) -> Result<Release, String> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let literal = code
        .split_once("Definition::new(")
        .and_then(|(_, arguments)| arguments.trim_start().strip_prefix('"'))
        .and_then(|literal| literal.split_once('"'))
        .map(|(release, _)| release)
        .ok_or("it must name its release as in `Definition::new(\"1.1.0\", Phase::Expand)`")?;
    Release::parse(literal).map_err(|error| error.to_string())
}

/// The Rust text of the registry: a module for each file, a function that lists them, and the last release.
///
/// # Errors
/// When the folder's path is not UTF-8, which Rust cannot name in an attribute.
pub(crate) fn registry(folder: &Path, sources: &[Source]) -> Result<String, String> {
    let mut modules = String::new();
    let mut entries = String::new();
    for source in sources {
        let path = folder.join(source.name.file_name());
        let path = path
            .to_str()
            .ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        let (version, name) = (source.name.version(), source.name.name());
        let module = format!("v{version:03}_{name}");
        // Writing to a String cannot fail.
        let _ = writeln!(modules, "#[path = {path:?}]\nmod {module};");
        let _ = writeln!(
            entries,
            "        Registered {{ version: {version}, name: {name:?}, summary: {:?}, rollback: {:?}, allowed: &{:?}, definition: {module}::migration() }},",
            source.summary, source.rollback, source.allowed
        );
    }
    let last = sources
        .last()
        .map_or_else(String::new, |source| source.release.to_string());
    Ok(format!(
        "{modules}\n\
         /// The release that the last migration completes.\n\
         pub const SCHEMA_VERSION: &str = {last:?};\n\n\
         fn registry() -> Vec<Registered> {{\n    vec![\n{entries}    ]\n}}\n"
    ))
}
