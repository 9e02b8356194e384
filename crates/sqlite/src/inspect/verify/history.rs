//! The history against the catalog, row by row, and `schema_version` against both.

use std::collections::BTreeSet;

use naming::Release;
use rusqlite::types::ValueRef;

use crate::records::{history, schema_version};
use crate::schema::tool_tables;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{Catalog, Result};

use super::{Context, codes, report::Report};

pub(super) fn check(context: &Context<'_>, report: &mut Report) -> Result<()> {
    if !tool_tables::exists(context.connection, tool_tables::HISTORY)? {
        return Ok(());
    }
    let mut versions = BTreeSet::new();
    let mut is_readable = true;
    let last = context.catalog.last_version();
    history::read_rows(context.connection, &mut |rowid, row| {
        let applied = match row {
            Ok(applied) => applied,
            Err(why) => {
                is_readable = false;
                report.add(
                    &codes::HISTORY_DAMAGED,
                    format!("{} row {rowid}", tool_tables::HISTORY),
                    why,
                );
                return Ok(());
            }
        };
        let version = applied.version;
        let stem = format!("V{version:03}");
        if !versions.insert(version) {
            report.add(&codes::HISTORY_DAMAGED, stem, "it is in the history twice");
        } else if version > last {
            report.add(
                &codes::NEWER,
                stem,
                format!("it is applied, and this program knows migrations up to V{last:03}"),
            );
        } else if let Some(why) = applied.divergence(context.catalog)? {
            report.add(&codes::DIVERGENT, stem, why);
        }
        Ok(())
    })?;
    let version = versions.last().copied().unwrap_or(0);
    // A row that cannot be read may be the missing one.
    if is_readable {
        for missing in (1..version).filter(|number| !versions.contains(number)).take(10) {
            report.add(
                &codes::GAP,
                format!("V{missing:03}"),
                format!("it was never applied, but V{version:03} was"),
            );
        }
        if version <= last {
            releases(context, version, report)?;
        }
    }
    Ok(())
}

fn releases(context: &Context<'_>, version: u32, report: &mut Report) -> Result<()> {
    if !tool_tables::exists(context.connection, tool_tables::SCHEMA_VERSION)? {
        if version > 0 {
            report.add(
                &codes::RELEASE_CONTRADICTS,
                tool_tables::SCHEMA_VERSION,
                "the table is missing",
            );
        }
        return Ok(());
    }
    let implied = context.catalog.release_at(version);
    let says = schema_version::current(context.connection)?;
    if says
        .as_deref()
        .map(Release::parse)
        .and_then(std::result::Result::ok)
        != implied
    {
        report.add(
            &codes::RELEASE_CONTRADICTS,
            tool_tables::SCHEMA_VERSION,
            format!(
                "its last row says {}, and the history says {}",
                in_words(says.as_deref()),
                implied.map_or_else(
                    || "that no release is complete".to_owned(),
                    |release| release.to_string()
                )
            ),
        );
    }
    rows(context, complete(context.catalog, version), report)
}

fn complete(catalog: &Catalog, version: u32) -> BTreeSet<Release> {
    (1..=version)
        .filter_map(|version| catalog.release_at(version))
        .collect()
}

fn in_words(says: Option<&str>) -> String {
    match says {
        None => "nothing".to_owned(),
        Some(text) => match Release::parse(text) {
            Ok(release) => release.to_string(),
            // Filled in by hand: what it says is not repeated.
            Err(_) => "something that is no release".to_owned(),
        },
    }
}

fn rows(context: &Context<'_>, mut complete: BTreeSet<Release>, report: &mut Report) -> Result<()> {
    let doing = "read schema_version";
    let mut unknown: u64 = 0;
    let mut select = context
        .connection
        .prepare_cached("SELECT version FROM schema_version")
        .while_doing(doing)?;
    let mut found = select.query([]).while_doing(doing)?;
    while let Some(row) = found.next().while_doing(doing)? {
        let release = match row.get_ref(0).while_doing(doing)? {
            ValueRef::Text(text) => std::str::from_utf8(text)
                .ok()
                .and_then(|text| Release::parse(text).ok()),
            _ => None,
        };
        match release {
            Some(release) if complete.remove(&release) => {}
            Some(release) => report.add(
                &codes::RELEASE_UNKNOWN,
                tool_tables::SCHEMA_VERSION,
                format!("it has a row for {release}, which the history does not have as complete"),
            ),
            None => unknown += 1,
        }
    }
    if unknown > 0 {
        report.add(
            &codes::RELEASE_UNKNOWN,
            tool_tables::SCHEMA_VERSION,
            format!("{unknown} of its rows are of no release"),
        );
    }
    for release in complete {
        report.add(
            &codes::RELEASE_CONTRADICTS,
            tool_tables::SCHEMA_VERSION,
            format!("it has no row for {release}, which the history has as complete"),
        );
    }
    Ok(())
}
