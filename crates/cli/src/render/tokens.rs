//! The token file and the database, in numbers: a token itself is never shown.

use bridge_migrate::tokens::{Agreement, Comparison};
use bridge_migrate_sqlite::ImportedAgain;
use serde::Serialize;

use crate::output::Report;
use crate::text::{count, counted, table::table};

/// The answer of `tokens import`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ImportedReport {
    #[serde(flatten)]
    pub(crate) outcome: ImportedAgain,
}

impl Report for ImportedReport {
    fn render(&self) -> String {
        let outcome = &self.outcome;
        let mut page = String::new();
        if outcome.added > 0 {
            page.push_str(&format!("added {}\n", counted(outcome.added, "row")));
        }
        if outcome.overwritten > 0 {
            page.push_str(&format!("overwrote {}\n", counted(outcome.overwritten, "row")));
        }
        if outcome.file_written {
            page.push_str("the token file says now which of its tokens are revoked\n");
        }
        if page.is_empty() {
            page.push_str("nothing to add: every token is in the database\n");
        }
        page
    }
}

/// The answer of `tokens verify`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ComparedReport {
    pub(crate) equal: bool,
    #[serde(flatten)]
    pub(crate) comparison: Comparison,
}

impl Report for ComparedReport {
    fn render(&self) -> String {
        if self.equal {
            let tokens = counted(self.comparison.tokens.in_both, "token");
            let revoked = count(self.comparison.revoked.in_both);
            return format!("the token file and the database agree: {tokens}, {revoked} revoked\n");
        }
        let columns = ["", ">IN BOTH", ">DIFFERING", ">ONLY IN FILE", ">ONLY IN DATABASE"];
        let row = |name: &str, agreement: &Agreement| {
            let mut row = vec![name.to_owned()];
            row.extend(
                [
                    agreement.in_both,
                    agreement.differing,
                    agreement.only_in_file,
                    agreement.only_in_database,
                ]
                .map(count),
            );
            row
        };
        let mut page = String::new();
        if !self.comparison.file_exists {
            page.push_str("there is no token file\n");
        }
        page.push_str(&table(
            &columns,
            [
                row("tokens", &self.comparison.tokens),
                row("revoked", &self.comparison.revoked),
            ],
        ));
        let only = self.comparison.tokens.only_in_database;
        if only > 0 {
            page.push_str(&format!(
                "servers of 1.0.0 read the file only and do not know {}: their clients\n\
                 sign in again there, or a newer token file is put in its place\n",
                counted(only, "token")
            ));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_difference_is_told_in_numbers_only() {
        let report = ComparedReport {
            equal: false,
            comparison: Comparison {
                file_exists: true,
                tokens: Agreement {
                    in_both: 12,
                    differing: 1,
                    only_in_file: 2,
                    only_in_database: 0,
                    ended: 5,
                },
                revoked: Agreement {
                    in_both: 3,
                    ..Agreement::default()
                },
            },
        };
        insta::assert_snapshot!(strip_str(&report.render()), @"
                 IN BOTH  DIFFERING  ONLY IN FILE  ONLY IN DATABASE
        tokens        12          1             2                 0
        revoked        3          0             0                 0
        ");
    }
}
