//! What rollbacks keep: named until it is back, taken back at any later time, row by row.

use std::path::{Path, PathBuf};

use bridge_migrate_core::Settings;
use bridge_migrate_sqlite::kept::{self, PruneOptions, ReclaimOptions, Reclaimed};
use bridge_migrate_sqlite::{MigrateOutcome, PlanOptions, plan, status::status};

use super::*;

const UP: &str = "\
CREATE TABLE palette (name TEXT PRIMARY KEY, shade INTEGER UNIQUE);
ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'white';
CREATE TABLE marks (note TEXT REFERENCES notes (id), colour TEXT NOT NULL REFERENCES palette);
CREATE TABLE chain (id INTEGER PRIMARY KEY, before INTEGER REFERENCES chain (id));";
const DOWN: &str = "\
DROP TABLE chain; DROP TABLE marks; ALTER TABLE notes DROP COLUMN colour; DROP TABLE palette;";
/// Rows of every kind: with a key, without one, twice the same, referring to others and to themselves.
const KEPT: &str = "\
INSERT INTO palette VALUES ('red', 1), ('blue', 2), (CAST(x'ff' AS TEXT), NULL);
INSERT INTO marks VALUES ('a', 'red'), ('a', 'red'), (NULL, 'blue'), ('d', 'blue');
INSERT INTO chain VALUES (1, 2), (2, 2), (3, 1);
UPDATE notes SET colour = 'red' WHERE id = 'a'; UPDATE notes SET colour = NULL WHERE id = 'b';
UPDATE notes SET colour = 'blue' WHERE id IS NULL";
const ALL: &[(&str, u64)] = &[("chain", 3), ("marks", 4), ("notes.colour", 3), ("palette", 3)];

fn catalog_with(up: &str) -> Catalog {
    let mut migrations = notes();
    migrations.push(migration(5, "colours", Release::new(1, 2, 0), up, DOWN));
    Catalog::new("Notes", migrations).unwrap()
}

fn coloured() -> Catalog {
    catalog_with(UP)
}

/// As [`coloured`], with tables that refer to each other.
fn ringed() -> Catalog {
    let more = "CREATE TABLE heads (id INTEGER PRIMARY KEY, tail INTEGER NOT NULL REFERENCES tails (id));
        CREATE TABLE tails (id INTEGER PRIMARY KEY, head INTEGER NOT NULL REFERENCES heads (id), name TEXT UNIQUE);";
    let mut migrations = notes();
    let (up, down) = (
        format!("{UP}{more}"),
        format!("DROP TABLE heads; DROP TABLE tails; {DOWN}"),
    );
    migrations.push(migration(5, "colours", Release::new(1, 2, 0), &up, &down));
    Catalog::new("Notes", migrations).unwrap()
}

/// Columns for rows without a key.
fn bare() -> Catalog {
    let mut migrations = notes();
    migrations.push(migration(
        5,
        "bare",
        Release::new(1, 2, 0),
        "CREATE TABLE bare (body TEXT);",
        "DROP TABLE bare;",
    ));
    migrations.push(migration(
        6,
        "colours",
        Release::new(1, 3, 0),
        "ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'white'; ALTER TABLE bare ADD COLUMN tint TEXT;",
        "ALTER TABLE bare DROP COLUMN tint; ALTER TABLE notes DROP COLUMN colour;",
    ));
    Catalog::new("Notes", migrations).unwrap()
}

fn up(place: &Place) -> MigrateOutcome {
    up_with(place, &coloured())
}

fn up_with(place: &Place, catalog: &Catalog) -> MigrateOutcome {
    migrate(catalog, &place.settings, MigrateOptions::default(), &Silent).unwrap()
}

fn down(place: &Place) -> PathBuf {
    down_with(place, &coloured(), 4)
}

fn down_with(place: &Place, catalog: &Catalog, version: u32) -> PathBuf {
    let back = back_to(version, Strategy::Down);
    let done = rollback(catalog, &place.settings, back, &mut |_| true, &Silent).unwrap();
    done.kept.into_iter().next().unwrap()
}

fn reclaim(place: &Place) -> Reclaimed {
    kept::reclaim(&place.settings, &ReclaimOptions::default(), &Silent).unwrap()
}

/// Rows and values that came back, by table and column.
fn back_by_subject(outcome: &Reclaimed) -> Vec<(&str, u64)> {
    let mut back: Vec<_> = outcome
        .back
        .iter()
        .map(|back| (back.subject.as_str(), back.rows))
        .collect();
    back.sort_unstable();
    back
}

fn stays(outcome: &Reclaimed) -> Vec<String> {
    let line = |row: &kept::Stays| {
        format!(
            "{} {}: {}",
            row.subject,
            row.key.as_deref().unwrap_or("*"),
            row.why
        )
    };
    let mut stays: Vec<String> = outcome.stays.iter().map(line).collect();
    stays.sort();
    stays
}

/// Every row that a rollback to V004 drops, and every value.
fn content(place: &Place) -> Vec<String> {
    place.strings(
        "SELECT 'palette ' || hex(name) || coalesce(shade, '-') FROM palette \
         UNION ALL SELECT 'marks ' || coalesce(note, '-') || colour FROM marks \
         UNION ALL SELECT 'chain ' || id || coalesce(before, '-') FROM chain \
         UNION ALL SELECT 'notes ' || coalesce(id, '-') || coalesce(colour, 'NULL') FROM notes ORDER BY 1",
    )
}

/// A database at V005 with rows of every kind, which a rollback dropped and kept, and the content before.
fn rolled_back() -> (Place, Vec<String>, PathBuf) {
    let place = migrated();
    up(&place);
    place.open().execute_batch(KEPT).unwrap();
    let before = content(&place);
    let file = down(&place);
    (place, before, file)
}

fn left(place: &Place) -> u64 {
    let list = kept::list(&place.settings).unwrap();
    list.kept.iter().map(|kept| kept.left).sum()
}

#[test]
fn what_is_kept_is_named_until_it_is_back_and_comes_back_at_any_later_time() {
    let (place, before, file) = rolled_back();
    let named = |kept: &[kept::Kept]| -> Vec<(String, u64, Option<String>)> {
        let mut named: Vec<_> = kept
            .iter()
            .map(|kept| (kept.subject(), kept.left, kept.problem.clone()))
            .collect();
        named.sort();
        named
    };
    let expected = |problem: Option<&str>| -> Vec<_> {
        ALL.iter()
            .map(|(subject, rows)| ((*subject).to_owned(), *rows, problem.map(str::to_owned)))
            .collect()
    };
    let found = status(&coloured(), &place.settings).unwrap();
    assert_eq!(named(&found.kept), expected(Some("V005 is not applied")));
    let plan = plan(&coloured(), &place.settings, PlanOptions::default()).unwrap();
    assert_eq!(named(&plan.kept), expected(Some("V005 is not applied")));

    // Nothing fits yet, and nothing is lost by trying.
    let outcome = reclaim(&place);
    assert_eq!((outcome.back_count(), outcome.stay_count), (0, 13));
    assert!(stays(&outcome).contains(&"palette *: V005 is not applied".to_owned()));

    // A plain migrate does not strand it.
    assert_eq!(named(&up(&place).kept), expected(None));
    assert_eq!(
        named(&up(&place).kept),
        expected(None),
        "also when there is nothing to do"
    );
    let outcome = reclaim(&place);
    assert_eq!(
        (back_by_subject(&outcome).as_slice(), outcome.stay_count),
        (ALL, 0)
    );
    assert_eq!(content(&place), before);
    assert_eq!(status(&coloured(), &place.settings).unwrap().kept, []);
    assert_eq!(
        place.strings("SELECT command FROM migration_runs ORDER BY rowid DESC LIMIT 1"),
        ["kept reclaim"]
    );

    // Running it again is harmless, and the file is still there.
    assert_eq!(reclaim(&place), Reclaimed::default());
    assert_eq!(content(&place), before);
    assert!(file.exists());
}

#[test]
fn rows_that_no_longer_fit_are_listed_and_stay_and_the_rest_comes_back() {
    let (place, _, _) = rolled_back();
    up(&place);
    place
        .open()
        .execute_batch(
            "UPDATE notes SET colour = 'newer' WHERE id = 'a'; DELETE FROM notes WHERE id IN ('b', 'd'); \
             INSERT INTO palette VALUES ('red', 7), ('green', 2); INSERT INTO chain VALUES (2, NULL); \
             CREATE TRIGGER loud BEFORE INSERT ON marks BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        .unwrap();
    let outcome = reclaim(&place);
    assert_eq!(
        stays(&outcome),
        [
            "chain 2: another row has its key, with another before",
            "marks row 3: it refers to a row of palette that is not there",
            "marks row 4: it refers to a row of notes that is not there",
            "notes.colour a: a newer value is there",
            "notes.colour b: its row is gone",
            "palette blue: UNIQUE constraint failed: palette.shade",
            "palette red: another row has its key, with another shade",
        ]
    );
    assert_eq!(
        (outcome.back_count(), outcome.stay_count, left(&place)),
        (6, 7, 7)
    );
    assert_eq!(
        content(&place),
        [
            "chain 12",
            "chain 2-",
            "chain 31",
            "marks ared",
            "marks ared",
            "notes -blue",
            "notes anewer",
            "palette 677265656E2",
            "palette 7265647",
            "palette FF-",
        ]
    );
    // What was in the way is gone: the rest follows, and what is back is not written again.
    place
        .open()
        .execute_batch("DELETE FROM palette WHERE name = 'green'; DELETE FROM marks WHERE note = 'a'")
        .unwrap();
    let outcome = reclaim(&place);
    assert_eq!(back_by_subject(&outcome), [("marks", 1), ("palette", 1)]);
    assert_eq!(outcome.stay_count, 5);
    assert_eq!(place.strings("SELECT coalesce(note, '-') FROM marks"), ["-"]);
    // The rest never will. Whoever gives it up is done with it, and nothing that is there changes.
    let before = content(&place);
    let options = ReclaimOptions {
        give_up: true,
        ..ReclaimOptions::default()
    };
    let outcome = kept::reclaim(&place.settings, &options, &Silent).unwrap();
    assert_eq!(
        (outcome.back_count(), outcome.stay_count, outcome.given_up),
        (0, 5, 5)
    );
    assert_eq!((content(&place), left(&place)), (before, 0));
    let kept = kept::list(&place.settings).unwrap().kept;
    let file = place.settings.backup_dir.join(&kept[0].file);
    assert!(file.exists(), "until it is pruned");
    let pruned = kept::prune(&place.settings, &PruneOptions::default(), &Silent).unwrap();
    assert_eq!((pruned.removed.len(), pruned.loses.len()), (1, 0));
    assert!(!file.exists());
}

#[test]
fn after_several_rollbacks_the_newest_comes_first_and_nothing_comes_twice() {
    let (place, before, _) = rolled_back();
    up(&place);
    place
        .open()
        .execute_batch(
            "INSERT INTO palette VALUES ('red', 9), ('lime', 3); INSERT INTO marks VALUES ('a', 'lime'); \
             UPDATE notes SET colour = 'lime' WHERE id = 'a'",
        )
        .unwrap();
    down(&place);
    up(&place);
    let outcome = reclaim(&place);
    assert_eq!(
        stays(&outcome),
        [
            "notes.colour a: a newer value is there",
            "palette red: another row has its key, with another shade"
        ]
    );
    let all = content(&place);
    assert_eq!(all.len(), before.len() + 2, "{all:?}");
    // What came back is dropped once more, and comes back once more.
    down(&place);
    up(&place);
    assert_eq!(stays(&reclaim(&place)).len(), 2);
    assert_eq!(content(&place), all);
}

#[test]
fn a_row_that_is_there_as_it_was_has_come_back() {
    let (place, before, _) = rolled_back();
    up(&place);
    place
        .open()
        .execute_batch(
            "INSERT INTO palette VALUES ('red', 1); INSERT INTO chain VALUES (2, 2); \
             UPDATE notes SET colour = 'red' WHERE id = 'a'",
        )
        .unwrap();
    let outcome = reclaim(&place);
    assert_eq!(
        (outcome.back_count(), outcome.already, outcome.stay_count),
        (10, 3, 0)
    );
    assert_eq!((content(&place), left(&place)), (before, 0));
}

#[test]
fn rows_that_refer_to_each_other_come_back_together_or_not_at_all() {
    let place = migrated();
    up_with(&place, &ringed());
    // Each refers to one that comes after it, and the last one to the first; of the other rings one does not fit.
    place
        .open()
        .execute_batch(
            "PRAGMA foreign_keys = OFF; \
             INSERT INTO chain WITH RECURSIVE c (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 300) \
             SELECT n, n % 300 + 1 FROM c; \
             INSERT INTO heads VALUES (1, 10), (2, 20), (3, 20), (4, 40); \
             INSERT INTO tails VALUES (10, 1, 'one'), (20, 2, 'two'), (30, 3, 'three'), (40, 99, 'four')",
        )
        .unwrap();
    let all = |place: &Place| {
        place.strings(
            "SELECT 'heads ' || id || '>' || tail FROM heads \
             UNION ALL SELECT 'tails ' || id || '>' || head FROM tails \
             UNION ALL SELECT 'chain ' || count(*) || ' ' || sum(before) FROM chain ORDER BY 1",
        )
    };
    assert_eq!(all(&place)[0], "chain 300 45150");
    down_with(&place, &ringed(), 4);
    up_with(&place, &ringed());
    place
        .open()
        .execute_batch("PRAGMA foreign_keys = OFF; INSERT INTO tails VALUES (77, 1, 'two')")
        .unwrap();
    let outcome = reclaim(&place);
    assert_eq!(
        stays(&outcome),
        [
            "heads 2: it refers to a row of tails that is not there",
            "heads 3: it refers to a row of tails that is not there",
            "heads 4: it refers to a row of tails that is not there",
            "tails 20: UNIQUE constraint failed: tails.name",
            "tails 30: it refers to a row of heads that is not there",
            "tails 40: it refers to a row of heads that is not there",
        ]
    );
    assert_eq!(
        all(&place),
        ["chain 300 45150", "heads 1>10", "tails 10>1", "tails 77>1"]
    );
    // With what was in the way gone, the other ring follows, and what hangs on it.
    place
        .open()
        .execute_batch("DELETE FROM tails WHERE id = 77")
        .unwrap();
    let outcome = reclaim(&place);
    assert_eq!((outcome.back_count(), outcome.stay_count), (4, 2));
    assert_eq!(
        all(&place)[1..],
        [
            "heads 1>10",
            "heads 2>20",
            "heads 3>20",
            "tails 10>1",
            "tails 20>2",
            "tails 30>3"
        ]
    );
}

#[test]
fn a_value_of_a_row_without_a_key_comes_back_to_that_row_whatever_its_row_id() {
    let place = migrated();
    up_with(&place, &bare());
    place
        .open()
        .execute_batch(
            "INSERT INTO bare VALUES ('gone', 'x'), ('twin', 'one'), ('first', 'two'), ('twin', 'three'), \
             ('other', NULL); \
             INSERT INTO notes (id, body) VALUES (NULL, 'gone'), (NULL, 'five'), (NULL, 'six'); \
             UPDATE notes SET colour = body WHERE id IS NULL",
        )
        .unwrap();
    let content = || {
        place.strings(
            "SELECT body || '=' || coalesce(tint, '-') FROM bare \
             UNION ALL SELECT body || '=' || coalesce(colour, '-') FROM notes WHERE id IS NULL ORDER BY 1",
        )
    };
    down_with(&place, &bare(), 5);
    // The rows get each other's row ids, and one is changed.
    place
        .open()
        .execute_batch(
            "DELETE FROM bare WHERE body = 'gone'; DELETE FROM notes WHERE body IN ('gone', 'THREE'); VACUUM; \
             UPDATE notes SET body = 'SIX' WHERE body = 'six'",
        )
        .unwrap();
    up_with(&place, &bare());
    let outcome = reclaim(&place);
    assert_eq!(
        content(),
        [
            "SIX=white",
            "first=two",
            "five=five",
            "other=-",
            "twin=one",
            "twin=three"
        ]
    );
    let why = "its row, which has no key, is not there as it was";
    assert_eq!(outcome.stay_count, 4, "{outcome:?}");
    assert!(
        stays(&outcome).iter().all(|line| line.ends_with(why)),
        "{outcome:?}"
    );
}

#[test]
fn a_column_that_is_not_there_any_more_keeps_its_rows_in_the_file() {
    let (place, _, _) = rolled_back();
    let narrower = catalog_with(&UP.replace(
        "name TEXT PRIMARY KEY, shade INTEGER UNIQUE",
        "name TEXT PRIMARY KEY",
    ));
    migrate(&narrower, &place.settings, MigrateOptions::default(), &Silent).unwrap();
    let outcome = reclaim(&place);
    assert!(
        stays(&outcome).contains(&"palette *: palette has no column shade to write to".to_owned()),
        "{outcome:?}"
    );
    assert_eq!(back_by_subject(&outcome), [("chain", 3), ("notes.colour", 3)]);
    assert_eq!(left(&place), 7, "the marks refer to colours that are not there");
}

#[test]
fn migrate_with_reclaim_takes_all_kept_files_also_when_nothing_is_pending() {
    let (place, before, _) = rolled_back();
    let reclaim = MigrateOptions {
        reclaim: true,
        ..MigrateOptions::default()
    };
    up(&place);
    place
        .open()
        .execute_batch("INSERT INTO palette VALUES ('lime', 3)")
        .unwrap();
    down(&place);
    let outcome = migrate(&coloured(), &place.settings, reclaim, &Silent).unwrap();
    assert_eq!(outcome.reclaimed.unwrap().back_count(), 14);
    assert_eq!(outcome.kept, []);
    assert_eq!(content(&place).len(), before.len() + 1);
    assert!(
        migrate(&coloured(), &place.settings, reclaim, &Silent)
            .unwrap()
            .run
            .is_none()
    );

    down(&place);
    up(&place);
    let outcome = migrate(&coloured(), &place.settings, reclaim, &Silent).unwrap();
    assert_eq!(outcome.reclaimed.unwrap().back_count(), 14);
}

#[test]
fn files_that_are_damaged_gone_or_of_another_rollback_keep_what_they_hold() {
    let (place, before, file) = rolled_back();
    up(&place);
    let sound = std::fs::read(&file).unwrap();
    let mut wrong = sound.clone();
    // The root page of the rows.
    for byte in &mut wrong[4096..8192] {
        *byte = 0x5a;
    }
    let empty = Place::new();
    empty
        .open()
        .execute_batch("CREATE TABLE contents (data)")
        .unwrap();
    let foreign = std::fs::read(empty.database()).unwrap();
    for bytes in [&sound[..sound.len() / 2], b"", b"nonsense", &wrong, &foreign] {
        std::fs::write(&file, bytes).unwrap();
        let outcome = reclaim(&place);
        assert_eq!((outcome.back_count(), outcome.stay_count), (0, 13));
        assert_eq!(left(&place), 13);
    }
    std::fs::remove_file(&file).unwrap();
    let outcome = reclaim(&place);
    assert!(stays(&outcome)[0].contains("its file is not in"), "{outcome:?}");
    #[cfg(unix)]
    {
        let elsewhere = place.folder.path().join("elsewhere");
        std::fs::write(&elsewhere, &sound).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        let outcome = reclaim(&place);
        assert!(stays(&outcome)[0].contains("not a regular one"), "{outcome:?}");
        std::fs::remove_file(&file).unwrap();
    }
    std::fs::write(&file, &sound).unwrap();
    assert_eq!(reclaim(&place).stay_count, 0);
    assert_eq!(content(&place), before);
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_copied_folder_and_a_restored_database_know_what_is_kept_of_theirs() {
    let (place, before, file) = rolled_back();
    up(&place);
    let copy = Place::new();
    copy_folder(place.folder.path(), copy.folder.path());
    assert_eq!(reclaim(&copy).back_count(), 13);
    assert_eq!(content(&copy), before);
    assert_eq!(left(&place), 13, "the original is as it was");

    // A state from before the rollback has the rows itself: the file is not its own, and doubles nothing.
    let secured = place.strings("SELECT backup FROM migration_runs WHERE command = 'rollback'");
    let backup = secured[0].trim_end_matches(".json");
    let found = bridge_migrate_sqlite::backup::find(&place.settings, backup.as_ref()).unwrap();
    bridge_migrate_sqlite::restore::restore(
        &place.settings,
        &found,
        &bridge_migrate_sqlite::restore::RestoreOptions::default(),
        &Silent,
    )
    .unwrap();
    assert_eq!(content(&place), before);
    assert_eq!(reclaim(&place), Reclaimed::default());
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        kept::list(&place.settings).unwrap().others,
        std::slice::from_ref(&name)
    );
    place
        .open()
        // One of two rows without a key that are the same is gone, and the others have other row ids.
        .execute_batch("DELETE FROM chain WHERE id = 3; DELETE FROM marks WHERE rowid = 1; VACUUM")
        .unwrap();
    let options = ReclaimOptions {
        files: vec![name],
        give_up: false,
    };
    let outcome = kept::reclaim(&place.settings, &options, &Silent).unwrap();
    assert_eq!(
        (outcome.back_count(), outcome.already, outcome.stay_count),
        (2, 11, 0)
    );
    assert_eq!(content(&place), before);
}

#[test]
fn pruning_says_what_would_be_lost_and_needs_a_yes() {
    let (place, _, file) = rolled_back();
    let prune = |settings: &Settings, lose, dry_run| {
        let options = PruneOptions {
            lose,
            dry_run,
            ..PruneOptions::default()
        };
        kept::prune(settings, &options, &Silent)
    };
    let error = prune(&place.settings, false, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfirmationNeeded);
    assert!(error.message().contains("notes.colour: 3 values"), "{error}");
    assert!(file.exists());
    let dry = prune(&place.settings, true, true).unwrap();
    assert_eq!((dry.removed.len(), dry.loses.len()), (1, 4));
    assert!(file.exists());

    // What is back can go; the other stays.
    up(&place);
    reclaim(&place);
    place
        .open()
        .execute_batch("UPDATE notes SET colour = 'white'; DELETE FROM marks")
        .unwrap();
    let second = down(&place);
    let pruned = prune(&place.settings, false, false).unwrap();
    assert_eq!(
        (pruned.removed.len(), pruned.stay.len(), pruned.loses.len()),
        (1, 1, 0)
    );
    assert!(!file.exists() && second.exists());
    let pruned = prune(&place.settings, true, false).unwrap();
    assert_eq!((pruned.removed.len(), left(&place)), (1, 0));
    assert!(!second.exists());
    assert_eq!(
        prune(&place.settings, true, false).unwrap(),
        kept::Pruned::default()
    );
    assert_eq!(
        place.strings("SELECT DISTINCT command FROM migration_runs WHERE command LIKE 'kept%' ORDER BY 1"),
        ["kept prune", "kept reclaim"]
    );
    for wrong in ["nosuch", "../notes.db", "notes.db"] {
        let options = PruneOptions {
            files: vec![wrong.to_owned()],
            lose: true,
            ..PruneOptions::default()
        };
        let error = kept::prune(&place.settings, &options, &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{wrong}");
    }
    assert!(place.database().exists());
}
