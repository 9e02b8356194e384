//! The page as a person meets it: in a browser, without a network.

pub(crate) mod sample;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{escape, page};
use sample::{HOSTILE, failed, passed};

/// A browser without a window, if this machine has one.
fn chromium() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// What the browser makes of a page.
fn dom(browser: &PathBuf, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("profile").display()
        ))
        .arg(format!("file://{}", file.display()))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_browser_shows_the_page_and_runs_nothing_in_it() {
    let Some(browser) = chromium() else {
        println!("skipped: there is no chromium on this machine");
        return;
    };
    let dom = dom(&browser, &page(&passed()));
    assert!(
        dom.contains("<title>Rehearsal of Claude Multi-Agent Bridge: 1.0.0 (V001) to 1.2.0 (V009)</title>")
    );
    assert!(
        !dom.contains("<title>taken"),
        "a text of the database ran as a script"
    );
    for text in [
        "✓ Passed, with warnings",
        "The way back restores the data",
        "idx_thread",
        "+ thread_id",
        "12.3 s",
        "999,988",
        "5f2c01aa",
        "CREATE INDEX idx_thread",
    ] {
        assert!(dom.contains(text), "{text}");
    }
    // The parser found every element where it was meant to be.
    for element in ["section", "svg", "table", "details"] {
        let (opened, closed) = (
            dom.matches(&format!("<{element}")).count(),
            dom.matches(&format!("</{element}>")).count(),
        );
        assert_eq!(opened, closed, "{element}");
        assert!(opened > 0, "{element}");
    }
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    for text in [page(&passed()), page(&failed())] {
        for reference in [
            "http:", "https:", "//", "src=", "href=", "url(", "@import", "<link", "<script", "<img",
        ] {
            let found = text.match_indices(reference).next();
            assert_eq!(found, None, "{reference}");
        }
        assert!(text.contains("default-src 'none'"));
    }
}

#[test]
fn texts_of_the_database_stay_texts() {
    let text = page(&passed());
    assert!(!text.contains(HOSTILE));
    assert!(text.matches(&escape(HOSTILE)).count() >= 4);
}

#[test]
fn a_failed_rehearsal_says_so_first_and_shows_how_far_it_came() {
    let text = page(&failed());
    let verdict = text.find("✗ Failed").unwrap();
    assert!(verdict < text.find("<h2>").unwrap());
    assert!(text.contains("messages: 5 rows before, 4 after"));
    assert!(text.contains("not reached"));
    assert!(!text.contains("went back"));
}

#[test]
fn the_longest_lock_is_that_of_the_way_up_everywhere_on_the_page() {
    let mut rehearsal = passed();
    for step in &mut rehearsal.steps {
        if let Some(again) = &mut step.again {
            again.max_lock_ms = 98_765;
        }
    }
    let up = rehearsal.steps.iter().filter_map(|step| step.up);
    assert_eq!(
        Some(rehearsal.longest_lock_ms()),
        up.map(|measures| measures.max_lock_ms).max()
    );
    assert!(!page(&rehearsal).contains("98.8 s"));
}
