//! The page of a rehearsal: one file that needs nothing else, for a review on screen or on paper.

mod data;
mod diagram;
mod html;
mod layout;
mod shape;
mod steps;
mod summary;
#[cfg(test)]
pub(crate) mod tests;
mod timings;
mod way_back;

use bridge_migrate_sqlite::rehearse::Rehearsal;

use html::escape;

/// Kept out of the page's text, so that an editor can check it.
const STYLE: &str = include_str!("style.css");

/// The page.
pub(crate) fn page(rehearsal: &Rehearsal) -> String {
    let title = format!(
        "Rehearsal of {}: {} to {}",
        rehearsal.application, rehearsal.from, rehearsal.to
    );
    let body = [
        summary::section(rehearsal),
        summary::checks(rehearsal),
        timings::section(rehearsal),
        diagram::section(rehearsal),
        data::section(rehearsal),
        steps::section(rehearsal),
        way_back::section(rehearsal),
        summary::smoke_test(rehearsal),
    ]
    .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}{}</main>\n</body>\n</html>\n",
        escape(&title),
        summary::footer(rehearsal),
    )
}
