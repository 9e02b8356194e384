//! The checklist, box by box.

use bridge_migrate_core::Finding;
use bridge_migrate_sqlite::checklist::{Checklist, Item, ItemState};
use serde::Serialize;

use crate::hint::in_text;
use crate::output::Report;
use crate::text::{CAUTION, LABEL, STRONG, WRONG, line, safe_lines, styled};

/// The answer of `checklist`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChecklistReport {
    pub(crate) passed: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) findings: Vec<Finding>,
}

impl From<Checklist> for ChecklistReport {
    fn from(mut list: Checklist) -> Self {
        for item in &mut list.items {
            if let Some(hint) = &item.hint {
                item.fix = in_text(hint);
            }
        }
        Self {
            passed: list.is_passed(),
            findings: list.findings(),
            items: list.items,
        }
    }
}

impl Report for ChecklistReport {
    fn render(&self) -> String {
        let mut page = String::new();
        for item in &self.items {
            let mark = match item.state {
                ItemState::Ok => styled(STRONG, "[x]"),
                ItemState::Warning => styled(CAUTION, "[!]"),
                ItemState::Failed => styled(WRONG, "[ ]"),
            };
            line!(page, "{mark} {}?", item.question);
            line!(page, "    {}", safe_lines(&item.evidence));
            if item.state != ItemState::Ok {
                line!(page, "    {LABEL}fix:{LABEL:#} {}", safe_lines(&item.fix));
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use bridge_migrate_core::Hint;

    use super::*;

    #[test]
    fn every_box_shows_its_evidence() {
        let item = |item, state, evidence: &str| Item {
            code: "BC101",
            item,
            question: "is there a backup",
            state,
            evidence: evidence.to_owned(),
            fix: String::new(),
            hint: Some(Hint::BackupCreate),
        };
        let report = ChecklistReport::from(Checklist {
            items: vec![
                item("backup", ItemState::Ok, "made today"),
                item("old", ItemState::Warning, "made long ago"),
                item("none", ItemState::Failed, "there is none"),
            ],
        });
        assert!(!report.passed);
        insta::assert_snapshot!(strip_str(&report.render()), @"
        [x] is there a backup?
            made today
        [!] is there a backup?
            made long ago
            fix: `backup create`
        [ ] is there a backup?
            there is none
            fix: `backup create`
        ");
    }
}
