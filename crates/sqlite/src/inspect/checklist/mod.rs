//! The pre-migration checklist: the strategy's five boxes and ours, each answered for this database with
//! evidence. Reads only.

mod file_system;
mod items;
mod permissions;
mod server_sqlite;

use serde::Serialize;

use crate::files::database_file::{FileState, for_catalog, inspect};
use crate::inspect::status::{self, Status};
use crate::migrate::way_up;
use crate::plan::receipt::{self, Receipt};
use crate::plan::{Plan, PlanOptions};
use crate::sqlite::connection::{self, Reader};
use bridge_migrate_core::{Catalog, Error, Finding, Hint, Result, Settings, Severity};

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Nothing speaks against migrating.
    Ok,
    /// Someone should decide.
    Warning,
    /// A migration should not run, or would be refused.
    Failed,
}

/// One box of the checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The stable code of its finding, when there is one.
    pub code: &'static str,
    /// Its name, in one word; stable.
    pub item: &'static str,
    /// What it asks, for people.
    pub question: &'static str,
    /// How it stands.
    pub state: ItemState,
    /// What the answer rests on.
    pub evidence: String,
    /// What to do when it is not in order.
    pub fix: String,
    /// The same as a value, where it is one: whoever shows it words it.
    #[serde(skip)]
    pub hint: Option<Hint>,
}

/// The whole list, in the order in which people go through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checklist {
    /// The items.
    pub items: Vec<Item>,
}

impl Checklist {
    /// Whether no item failed.
    pub fn is_passed(&self) -> bool {
        self.items.iter().all(|item| item.state != ItemState::Failed)
    }

    /// The items that are not in order, as findings: the gravest first.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self
            .items
            .iter()
            .filter_map(|item| {
                let severity = match item.state {
                    ItemState::Ok => return None,
                    ItemState::Warning => Severity::Warning,
                    ItemState::Failed => Severity::Error,
                };
                Some(Finding {
                    code: item.code,
                    severity,
                    subject: item.item.to_owned(),
                    message: item.evidence.clone(),
                    fix: item.fix.clone(),
                })
            })
            .collect();
        findings.sort_by_key(|finding| finding.severity);
        findings
    }
}

/// What every item may look at.
pub(crate) struct Context<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) settings: &'a Settings,
    pub(crate) status: Result<Status>,
    pub(crate) plan: Result<Plan>,
    /// The receipt that allows the plan, if there is something to rehearse.
    pub(crate) receipt: Result<Option<Receipt>>,
    pub(crate) reader: Option<&'a Reader>,
    pub(crate) oldest_server: Option<(u32, u32)>,
}

/// Goes through the list. What cannot be found out is an item that failed, not an error. `oldest_server` is the SQLite
/// of the oldest server that may have the database open, by its major and minor version; `None` where it is not known.
///
/// # Errors
/// When the folder of the database does not exist, or its path leads to nothing.
pub fn checklist(
    catalog: &Catalog,
    settings: &Settings,
    oldest_server: Option<(u32, u32)>,
) -> Result<Checklist> {
    let settings = &for_catalog(catalog, settings)?;
    let is_database = matches!(inspect(&settings.database), Ok(FileState::Database { .. }));
    let answer = |settings: &Settings, reader: Option<&Reader>| {
        let plan = way_up::plan(catalog, settings, PlanOptions::default());
        let context = Context {
            catalog,
            settings,
            status: status::status(catalog, settings),
            receipt: match &plan {
                Ok(plan) if !plan.is_empty() => receipt::matching(catalog, settings, plan),
                _ => Ok(None),
            },
            plan,
            reader,
            oldest_server,
        };
        Checklist {
            items: ITEMS.iter().map(|item| item.answer(&context)).collect(),
        }
    };
    let answered = is_database.then(|| {
        connection::with_reader(&settings.database, settings.busy_timeout, |reader| {
            Ok(answer(settings, Some(reader)))
        })
    });
    Ok(match answered {
        Some(Ok(checklist)) => checklist,
        Some(locked) => answer(&settings.after(&locked), None),
        None => answer(settings, None),
    })
}

/// What an item asks, and what looks for the answer.
struct Asked(
    &'static str,
    &'static str,
    &'static str,
    fn(&Context<'_>) -> Answered,
);

const ITEMS: [Asked; 13] = [
    Asked("BC101", "backup", "is there a backup", items::backup),
    Asked(
        "BC102",
        "rehearsal",
        "was it tested on a copy of this database",
        items::rehearsal,
    ),
    Asked(
        "BC103",
        "contracts",
        "does the application work with the new schema",
        items::contracts,
    ),
    Asked("BC104", "rollback", "is the way back documented", items::rollback),
    Asked(
        "BC105",
        "version",
        "is the version in the code the one that it migrates to",
        items::version,
    ),
    Asked(
        "BC106",
        "plan",
        "is the database what the migrations expect",
        items::plan,
    ),
    Asked("BC107", "disk", "is there room on the disk", items::disk),
    Asked(
        "BC110",
        "permissions",
        "may this user write where the migration writes",
        permissions::check,
    ),
    Asked("BC108", "lock", "is the migration lock free", items::lock),
    Asked(
        "BC109",
        "journal",
        "is the journal mode one that the tool keeps",
        items::journal_mode,
    ),
    Asked(
        "BC111",
        "sqlite",
        "can the SQLite of the oldest server read the new schema",
        server_sqlite::check,
    ),
    Asked(
        "BC112",
        "file_system",
        "is the database on a file system of this machine",
        file_system::check,
    ),
    Asked(
        "BC113",
        "clock",
        "is the clock later than the last run",
        items::clock,
    ),
];

impl Asked {
    fn answer(&self, context: &Context<'_>) -> Item {
        let Self(code, item, question, find) = *self;
        let (Ok(Answer(state, evidence, fix)) | Err(Answer(state, evidence, fix))) = find(context);
        Item {
            code,
            item,
            question,
            state,
            evidence,
            fix: fix.words,
            hint: fix.hint,
        }
    }
}

/// How an item stands, what that rests on, and what to do.
struct Answer(ItemState, String, Fix);

#[derive(Default)]
struct Fix {
    words: String,
    hint: Option<Hint>,
}

impl From<&str> for Fix {
    fn from(words: &str) -> Self {
        Self {
            words: words.to_owned(),
            hint: None,
        }
    }
}

impl From<Hint> for Fix {
    fn from(hint: Hint) -> Self {
        Self {
            words: String::new(),
            hint: Some(hint),
        }
    }
}

/// An answer; `Err` where an error prevents one.
type Answered = std::result::Result<Answer, Answer>;

fn ok(evidence: impl Into<String>) -> Answered {
    Ok(Answer(ItemState::Ok, evidence.into(), Fix::default()))
}

fn warning(evidence: impl Into<String>, fix: impl Into<Fix>) -> Answered {
    Ok(Answer(ItemState::Warning, evidence.into(), fix.into()))
}

fn failed(evidence: impl Into<String>, fix: impl Into<Fix>) -> Answered {
    Ok(Answer(ItemState::Failed, evidence.into(), fix.into()))
}

impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        let fix = error.hint().clone().into();
        Self(ItemState::Failed, error.message().to_owned(), fix)
    }
}

/// The kind of file system that `path` is on, where the system tells.
pub(crate) fn file_system_of(path: &std::path::Path) -> Option<String> {
    file_system::mount_of(path).map(|mount| mount.kind)
}
