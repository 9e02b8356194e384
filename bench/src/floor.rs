//! The same work as bare statements: the golden SQL of each migration, and one statement for each data step.

use xtask::error::Error;
use xtask::project::{self, Project};

/// V005 by one statement, with the date functions of SQLite's own. Texts that are no timestamp stay.
pub(crate) const NORMALIZE_TIMESTAMPS: &str = "\
UPDATE messages
SET timestamp =
    strftime('%Y-%m-%dT%H:%M:%S',
        substr(timestamp, 1, 19) || substr(timestamp, iif(substr(timestamp, 20, 1) = '.', 27, 20)))
    || iif(substr(timestamp, 20, 1) = '.', substr(timestamp, 20, 7), '') || '+00:00'
WHERE timestamp NOT LIKE '%+00:00' AND date(substr(timestamp, 1, 10)) = substr(timestamp, 1, 10);
";

/// V007 by one statement: a parent stands before its replies, so that its own thread is known already.
const FILL_THREADS: &str = "\
UPDATE messages
SET thread_id = coalesce((SELECT parent.thread_id FROM messages AS parent WHERE parent.id = messages.reply_to), id);
";

/// V005 back, by one statement that finds the old values where `migrate` left them.
pub(crate) const OLD_TIMESTAMPS: &str = "\
UPDATE messages SET timestamp = old.old_value
FROM migration_affected_records AS old
WHERE old.migration = 5 AND messages.rowid = old.row_id;
";

const CLEAR_THREADS: &str = "UPDATE messages SET thread_id = NULL;\n";

/// What stands in the golden SQL for a data step.
const DATA_STEP: &str = "-- data step:";

/// A migration as bare statements.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its number.
    pub(crate) version: u32,
    up: String,
    down: String,
}

/// All migrations, in order.
///
/// # Errors
/// When a golden file cannot be read, or a data step has no statement here.
pub(crate) fn steps(project: &Project) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    for name in project.migrations()? {
        let path = project.golden_dir().join(name.file_name()).with_extension("sql");
        steps.push(parse(name.version(), &project::read(&path)?)?);
    }
    Ok(steps)
}

/// The way up from behind one version to another, each step one transaction.
pub(crate) fn up(steps: &[Step], from: u32) -> String {
    let steps = steps.iter().filter(|step| step.version > from);
    steps.map(|step| transaction(&step.up)).collect()
}

/// The whole way up as one transaction.
pub(crate) fn up_together(steps: &[Step]) -> String {
    let statements: String = steps.iter().map(|step| step.up.as_str()).collect();
    transaction(&statements)
}

/// The way back to a version, each step one transaction.
pub(crate) fn down(steps: &[Step], to: u32) -> String {
    let steps = steps.iter().rev().filter(|step| step.version > to);
    steps.map(|step| transaction(&step.down)).collect()
}

/// Statements as one transaction.
pub(crate) fn transaction(sql: &str) -> String {
    format!("BEGIN IMMEDIATE;\n{sql}COMMIT;\n")
}

fn parse(version: u32, golden: &str) -> Result<Step, Error> {
    let (up, down) = golden
        .split_once("\n-- down\n")
        .ok_or_else(|| Error::new(format!("the golden SQL of V{version:03} has no `-- down`")))?;
    Ok(Step {
        version,
        up: statements(version, up, [(5, NORMALIZE_TIMESTAMPS), (7, FILL_THREADS)])?,
        down: statements(version, down, [(5, OLD_TIMESTAMPS), (7, CLEAR_THREADS)])?,
    })
}

fn statements(version: u32, golden: &str, data: [(u32, &str); 2]) -> Result<String, Error> {
    let mut sql = String::new();
    for line in golden.lines() {
        if line.starts_with(DATA_STEP) {
            let statement = data.iter().find(|(known, _)| *known == version);
            let (_, statement) = statement.ok_or_else(|| {
                Error::new(format!(
                    "the data step of V{version:03} has no bare statement to compare with"
                ))
                .hint("write one in xtask/src/bench/floor.rs")
            })?;
            sql.push_str(statement);
        } else if !line.starts_with("--") {
            sql.push_str(line);
            sql.push('\n');
        }
    }
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Project {
        Project::at(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
    }

    #[test]
    fn every_migration_has_its_bare_statements() {
        let steps = steps(&project()).unwrap();
        let numbers: Vec<u32> = steps.iter().map(|step| step.version).collect();
        assert_eq!(numbers, (1..=steps.len() as u32).collect::<Vec<_>>());
        let up = up(&steps, 1);
        assert_eq!(up.matches("BEGIN IMMEDIATE;").count(), steps.len() - 1);
        assert!(up.contains("SET timestamp") && up.contains("SET thread_id") && !up.contains("-- "));
        let down = down(&steps, 1);
        let first = down.find("messages_keep_deleted").unwrap();
        assert!(first < down.find("\"preferences\"").unwrap(), "newest first");
    }

    #[test]
    fn a_data_step_without_a_floor_is_an_error_that_names_it() {
        let error = parse(10, "-- up\n-- data step: fill x\n-- down\n").unwrap_err();
        assert!(error.to_string().contains("V010"), "{error}");
        assert!(parse(10, "-- up\nSELECT 1;\n").is_err());
    }
}
