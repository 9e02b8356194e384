//! Why a run failed, as its log and the history tell it: names, keys and codes, never a value of user data.

use serde::{Deserialize, Serialize};

/// The cause of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What was being done, and what is wrong.
    pub message: String,
    /// What lay beneath, in the words of SQLite or of the system.
    pub because: Option<String>,
    /// SQLite's extended result code (<https://sqlite.org/rescode.html>).
    pub sqlite_code: Option<i32>,
    /// The table, where it is known.
    pub table: Option<String>,
    /// The row's key, where one row is to blame.
    pub row: Option<String>,
    /// The row's id.
    pub rowid: Option<i64>,
}

impl Cause {
    /// One line for people: what, why and where.
    pub fn line(&self) -> String {
        let mut line = self.message.clone();
        if let Some(because) = &self.because {
            line.push_str(&format!(": {because}"));
        }
        match (&self.table, &self.row) {
            (Some(table), Some(row)) => line.push_str(&format!(" ({table}, row {row})")),
            (Some(table), None) => line.push_str(&format!(" ({table})")),
            (None, _) => {}
        }
        if let Some(code) = self.sqlite_code {
            line.push_str(&format!(" [SQLite {code}]"));
        }
        line
    }
}
