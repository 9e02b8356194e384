use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bridge_migrate_core::{
    Companion, EntryCounts, Error, ErrorKind, Import, Keep, Result, Settings, Side, TableRows, TimeZone,
    Value, Zone, clock::Clock,
};
use bridge_migrate_sqlite::{backup::COMPANION_LIMIT, read_companion_rows};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Agreement, Comparison, TokenFile, TokenImport};
use crate::catalog;

/// SHA-256 of `alpha` and of `beta`, from coreutils.
const ALPHA: &str = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
const BETA: &str = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753";

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_771_774_245, 0).unwrap()
    }

    fn nonce(&self) -> u32 {
        0
    }
}

struct Bridge {
    folder: TempDir,
    settings: Settings,
}

impl Bridge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().join("collab.db"));
        settings.time_zone = Zone::named(TimeZone::parse("America/New_York").unwrap());
        settings.clock = Arc::new(StoppedClock);
        Self { folder, settings }
    }

    fn with_tokens(json: impl AsRef<[u8]>) -> Self {
        let bridge = Self::new();
        fs::write(bridge.tokens(), json).unwrap();
        bridge
    }

    fn tokens(&self) -> PathBuf {
        self.settings.companion.clone()
    }

    fn read(&self) -> Vec<TableRows> {
        TokenImport.read(self.settings.inputs()).unwrap()
    }

    fn refusal(&self) -> Error {
        TokenImport.read(self.settings.inputs()).unwrap_err()
    }

    /// The error's text, without the temporary folder.
    fn refusal_text(&self) -> String {
        let error = self.refusal();
        assert_eq!(error.kind(), ErrorKind::CompanionInvalid);
        assert!(
            std::error::Error::source(&error).is_none(),
            "a source may quote a token"
        );
        error
            .to_string()
            .replace(self.folder.path().to_str().unwrap(), "DATA")
    }
}

fn texts(rows: &TableRows) -> Vec<String> {
    rows.rows
        .iter()
        .map(|row| {
            let values: Vec<_> = row
                .iter()
                .map(|value| {
                    value
                        .as_text()
                        .map_or_else(|| format!("{value:?}"), str::to_owned)
                })
                .collect();
            values.join(" | ")
        })
        .collect()
}

#[test]
fn tokens_become_hashes_and_local_times_become_utc() {
    let rows = Bridge::with_tokens(
        r#"{"tokens": {
             "beta": {"client_id": "claude-b", "created_at": "2026-07-01T12:00:00.5", "expires_at": "soon", "note": [1]},
             "alpha": {"client_id": "claude-a", "created_at": 17}},
            "revoked": ["alpha", "gone"], "version": {"a": 1}}"#,
    )
    .read();
    assert_eq!(
        rows.iter().map(|rows| rows.table).collect::<Vec<_>>(),
        TokenImport.tables()
    );
    assert_eq!(
        texts(&rows[0]),
        [
            format!("{ALPHA} | claude-a | 17 | Null"),
            format!("{BETA} | claude-b | 2026-07-01T16:00:00.500000+00:00 | soon"),
        ]
    );
    let revoked = texts(&rows[1]);
    assert_eq!(revoked.len(), 2, "a token that is in no map is kept too");
    assert!(revoked.contains(&format!("{ALPHA} | 2026-02-22T15:30:45+00:00")));
    assert!(revoked.is_sorted());
}

#[test]
fn of_a_key_that_comes_twice_the_last_one_counts() {
    let rows = Bridge::with_tokens(
        r#"{"tokens": {"gone": {"client_id": "x"}},
            "tokens": {"alpha": {"client_id": 1, "client_id": "old"}, "alpha": {"client_id": "new"}},
            "revoked": ["a"], "revoked": []}"#,
    )
    .read();
    assert_eq!(texts(&rows[0]), [format!("{ALPHA} | new | Null | Null")]);
    assert_eq!(rows[1].rows, [] as [Vec<Value>; 0]);
}

#[test]
fn what_only_the_database_has_is_told_by_client_and_time() {
    let bridge = Bridge::with_tokens(r#"{"tokens": {"alpha": {"client_id": "a"}}, "revoked": ["alpha"]}"#);
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(&catalog().unwrap().get(4).unwrap().up)
        .unwrap();
    connection
        .execute_batch(&format!(
            "INSERT INTO auth_tokens VALUES ('{ALPHA}', 'a', '1', NULL), ('{BETA}', 'bob', '2026-03-01', NULL), \
             ('{BETA}2', CAST(x'ff' AS TEXT), NULL, NULL); \
             INSERT INTO revoked_tokens VALUES ('{ALPHA}', '2'), ('{BETA}', '2026-03-02'), ('gone', '2026-03-03')"
        ))
        .unwrap();
    let rows = read_companion_rows(&connection, TokenImport.tables()).unwrap();
    let only = TokenImport
        .only_in_database(&rows, bridge.settings.inputs())
        .unwrap();
    assert_eq!(
        only,
        [
            "\u{fffd}, issued at an unknown time",
            "bob, issued 2026-03-01",
            "bob, revoked 2026-03-02",
            "unknown client, revoked 2026-03-03",
        ]
    );
}

#[test]
fn no_file_is_no_rows() {
    assert_eq!(Bridge::new().read(), []);
}

#[test]
fn a_file_of_another_structure_is_refused_by_position_and_without_its_values() {
    let refused = |json: &str| Bridge::with_tokens(json).refusal_text();
    let texts = [
        refused(r#""tk_secret""#),
        refused(r#"{"revoked": []}"#),
        refused(r#"{"tokens": ["tk_secret"]}"#),
        refused(r#"{"tokens": {"tk_secret": "tk_secret"}}"#),
        refused(r#"{"tokens": {"alpha": {"client_id": "a"}, "tk_secret": {"client_id": 5}}}"#),
        refused(r#"{"tokens": {"tk_secret": {"expires_at": "tk_secret"}}}"#),
        refused(r#"{"tokens": {}, "revoked": {"tk_secret": 1}}"#),
        refused("{\"tokens\": {},\n \"revoked\": [\"tk_secret\", 3]}"),
    ]
    .join("\n");
    assert!(!texts.contains("tk_secret"));
    insta::assert_snapshot!(texts, @r#"
    cannot read the token file DATA/tokens.json: it must be an object with `tokens` and `revoked` (line 1, column 11)
    cannot read the token file DATA/tokens.json: it must be an object with `tokens` and `revoked` (line 1, column 15)
    cannot read the token file DATA/tokens.json: `tokens` must be an object (line 1, column 11)
    cannot read the token file DATA/tokens.json: entry 1 of `tokens` must be an object with a text as `client_id` (line 1, column 36)
    cannot read the token file DATA/tokens.json: entry 2 of `tokens` must be an object with a text as `client_id` (line 1, column 70)
    cannot read the token file DATA/tokens.json: entry 1 of `tokens` must be an object with a text as `client_id` (line 1, column 52)
    cannot read the token file DATA/tokens.json: `revoked` must be a list (line 1, column 26)
    cannot read the token file DATA/tokens.json: entry 2 of `revoked` must be a text (line 2, column 27)
    "#);
}

#[test]
fn what_stays_half_written_is_refused_after_a_second() {
    let refused = |json: &[u8]| Bridge::with_tokens(json).refusal_text();
    let threads: Vec<_> = [
        &b"{\"tokens\": {\"tk_secret"[..],
        b"",
        b"{\"tokens\": {}} {\"tk_secret\": 1}",
        b"{\"tokens\": {\"tk_secret\xff\": 1}}",
    ]
    .into_iter()
    .map(|json| std::thread::spawn(move || refused(json)))
    .collect();
    let texts: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(texts.iter().all(|text| !text.contains("tk_secret")));
    insta::assert_snapshot!(texts.join("\n"), @r#"
    cannot read the token file DATA/tokens.json: it ends in the middle (line 1, column 22)
    cannot read the token file DATA/tokens.json: it is empty
    cannot read the token file DATA/tokens.json: it is not JSON (line 1, column 16)
    cannot read the token file DATA/tokens.json: it is not JSON (line 1, column 23)
    "#);
}

#[test]
fn a_file_that_is_being_rewritten_is_waited_for() {
    let bridge = Bridge::with_tokens(r#"{"tokens": {"alpha": {"client_"#);
    let path = bridge.tokens();
    let server = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        fs::write(path, r#"{"tokens": {"alpha": {"client_id": "a"}}}"#).unwrap();
    });
    assert_eq!(texts(&bridge.read()[0]), [format!("{ALPHA} | a | Null | Null")]);
    server.join().unwrap();
}

#[test]
fn what_is_no_file_or_too_large_is_refused_at_once() {
    let directory = Bridge::new();
    fs::create_dir(directory.tokens()).unwrap();

    let link = Bridge::new();
    fs::write(link.folder.path().join("real.json"), "{}").unwrap();
    std::os::unix::fs::symlink("real.json", link.tokens()).unwrap();

    let huge = Bridge::new();
    fs::File::create(huge.tokens())
        .unwrap()
        .set_len(COMPANION_LIMIT + 1)
        .unwrap();

    let texts = [directory.refusal_text(), link.refusal_text(), huge.refusal_text()].join("\n");
    insta::assert_snapshot!(texts, @r#"
    cannot read the token file DATA/tokens.json: it is not a file
    cannot read the token file DATA/tokens.json: it is a symbolic link: name the file that it leads to
    cannot read the token file DATA/tokens.json: it is larger than 16 MiB, which no token file is
    "#);
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for migration in catalog().unwrap().migrations() {
        connection.execute_batch(&migration.up).unwrap();
    }
    connection
}

fn insert(connection: &Connection, rows: &[TableRows]) {
    for rows in rows {
        let marks = vec!["?"; rows.table.columns.len()].join(", ");
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ({marks})",
            rows.table.name,
            rows.table.columns.join(", ")
        );
        for row in &rows.rows {
            connection
                .execute(
                    &insert,
                    rusqlite::params_from_iter(row.iter().map(Value::as_text)),
                )
                .unwrap();
        }
    }
}

fn compare(connection: &Connection, bridge: &Bridge) -> Result<Comparison> {
    let rows = read_companion_rows(connection, TokenFile.tables())?;
    super::compare(&rows, bridge.settings.inputs())
}

#[test]
fn after_an_import_file_and_database_are_equal() {
    let bridge = Bridge::with_tokens(
        r#"{"tokens": {"alpha": {"client_id": "a", "expires_at": "2026-07-01T12:00:00"}, "beta": {"client_id": "b"}},
            "revoked": ["gone"]}"#,
    );
    let connection = database();
    insert(&connection, &bridge.read());
    let comparison = compare(&connection, &bridge).unwrap();
    assert!(comparison.is_equal() && comparison.file_exists, "{comparison:?}");
    assert_eq!((comparison.tokens.in_both, comparison.revoked.in_both), (2, 1));
}

#[test]
fn a_comparison_counts_what_each_side_has_alone() {
    let bridge = Bridge::with_tokens(
        r#"{"tokens": {"alpha": {"client_id": "a"}, "beta": {"client_id": "b"}}, "revoked": ["alpha"]}"#,
    );
    let connection = database();
    connection
        .execute_batch(&format!(
            "INSERT INTO auth_tokens VALUES ('{ALPHA}', 'another', NULL, NULL), ('x', 'c', NULL, NULL), (X'00', 'c', NULL, NULL);
             INSERT INTO revoked_tokens VALUES ('{BETA}', 'now');"
        ))
        .unwrap();
    let comparison = compare(&connection, &bridge).unwrap();
    assert_eq!(
        comparison.tokens,
        Agreement {
            in_both: 1,
            differing: 1,
            only_in_file: 1,
            only_in_database: 2,
            ended: 0,
        }
    );
    assert_eq!(
        comparison.revoked,
        Agreement {
            in_both: 0,
            differing: 0,
            only_in_file: 1,
            only_in_database: 1,
            ended: 0,
        }
    );
    assert!(!comparison.is_equal());
}

#[test]
fn a_comparison_with_a_database_without_token_tables_says_what_to_do() {
    let error = compare(&Connection::open_in_memory().unwrap(), &Bridge::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
    insta::assert_snapshot!(error, @"cannot compare the token file with the database: it has no table auth_tokens");
}

#[test]
fn a_merged_file_has_every_field_of_both_and_is_as_the_server_writes_it() {
    let backup = br#"{"tokens": {"a": {"client_id": "x", "note": [1,  2.50]}, "b": {"client_id": "old"}},
        "revoked": ["b", "gone"], "of_backup": 1, "both": "old"}"#;
    let present = br#"{"both": "new", "tokens": {"b": {"client_id": "new"}, "c": {"client_id": "\u00e9"}}, "revoked": ["c"]}"#;
    fn side(file: &[u8]) -> Side<'_> {
        Side {
            file: Some(file),
            database: None,
        }
    }
    let merged = |keep, then: &[u8], today: &[u8]| {
        TokenFile
            .merge(Bridge::new().settings.inputs(), keep, &side(then), &side(today))
            .unwrap()
    };
    let both = merged(Keep::Merge, backup, present);
    insta::assert_snapshot!(String::from_utf8(both.file.clone().unwrap()).unwrap(), @r#"
    {
      "tokens": {
        "a": {"client_id": "x", "note": [1,  2.50]},
        "b": {"client_id": "new"},
        "c": {"client_id": "\u00e9"}
      },
      "revoked": [
        "c",
        "b",
        "gone"
      ],
      "both": "new",
      "of_backup": 1
    }
    "#);
    // The second time nothing is left to merge, and the bytes stay.
    let file = both.file.unwrap();
    assert_eq!(merged(Keep::Merge, backup, &file).file.unwrap(), file);
    assert_eq!(merged(Keep::Merge, &file, present).file.unwrap(), file);
    assert_eq!(merged(Keep::Backup, backup, present).file.unwrap(), backup);
    assert_eq!(merged(Keep::Present, backup, present).file.unwrap(), present);
    assert_eq!(
        both.counts,
        EntryCounts {
            came_back: 1,
            went: 1,
            stay_revoked: 0,
            kept: 0
        }
    );
}
