//! A migration is added by the book: CONTRIBUTING is walked in a copy of the project, command by command.
//!
//! The commands are read from the document; what a person writes between them stands here. The copy has a target folder
//! of its own, since its programs know a migration that this project does not have. `WALK_ALL=1` runs all tests in it.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, a panic is the report"
)]
#![allow(clippy::print_stdout, reason = "how long each command took")]

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};
use std::{fs, process::Command};

/// Set in the copy, so that its tests do not walk, too.
const INSIDE: &str = "BRIDGE_WALK_INSIDE";

/// What stands in the project's folder and is no source.
const LEFT_OUT: [&str; 4] = [".git", "target", "logs", "data"];

/// Without `WALK_ALL`, the tests that ask most of the catalog.
const ASKED: &[&[&str]] = &[
    &[
        "--package=bridge-migrate-tests",
        "--test=runbooks",
        "--test=scaffold",
    ],
    &[
        "--package=bridge-migrate-tests",
        "--test=suites",
        "--",
        "migrate::journey",
        "migrate::options",
        "plan::",
        "status::",
        "records::",
        "wait::",
        "bad_input::a_target",
        "bad_input::a_newer",
    ],
    &["--package=xtask", "--package=bench"],
];

/// A copy of the project.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// In the target folder of this run: what was built there before is used again.
    fn make() -> Self {
        let test = std::env::current_exe().unwrap();
        let place = test.ancestors().nth(3).unwrap().join("walk");
        let copy = Self {
            root: place.join("copy"),
            target: place.join("target"),
        };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root).unwrap();
        }
        copy_folder(&project(), &copy.root, &LEFT_OUT);
        // What is slow to build need not be fast here.
        copy.append(
            ".cargo/config.toml",
            "\n[profile.dev]\ndebug = 0\n[profile.dev.package.libsqlite3-sys]\nopt-level = 1\n",
        );
        copy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let before = fs::read_to_string(self.path(name)).unwrap_or_default();
        self.write(name, &(before + text));
    }

    /// Writes a migration as an editor leaves it.
    fn author(&self, name: &str, docs: &str, definition: &str) {
        self.write(name, &format!("{docs}\n{definition}"));
        self.succeeds(&format!("rustfmt {name}"));
    }

    /// Replaces a text that must be there.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from:?}:\n{text}");
        self.write(name, &text.replace(from, to));
    }

    /// Runs a line of the document; gives what it said and whether it succeeded.
    fn run(&self, line: &str) -> (String, bool) {
        let started = Instant::now();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(&self.root);
        let output = shell
            .env("CARGO_TARGET_DIR", &self.target)
            .env("RUST_BACKTRACE", "1")
            .env_remove("BLESS")
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let said =
            [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream).into_owned());
        println!("{:6.1} s  {line}", started.elapsed().as_secs_f64());
        (said.concat(), output.status.success())
    }

    #[track_caller]
    fn succeeds(&self, line: &str) -> String {
        let (said, succeeded) = self.run(line);
        assert!(succeeded, "{line}\n{said}");
        said
    }

    /// Runs a line that must fail, and gives the codes of what it found.
    #[track_caller]
    fn finds(&self, line: &str) -> (Vec<String>, String) {
        let (said, succeeded) = self.run(line);
        assert!(!succeeded, "{line}\n{said}");
        for noise in ["panicked at", "stack backtrace", "running ", "error[E"] {
            assert!(!said.contains(noise), "{noise} in what {line} says:\n{said}");
        }
        let codes = said.lines().filter_map(|line| {
            let code = line.trim_start().split(' ').next()?;
            let is_code = ["XT", "BM"].iter().any(|start| code.starts_with(start));
            is_code.then(|| code.to_owned())
        });
        (codes.collect(), said)
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// With the times of the files: what is as it was need not be built again.
fn copy_folder(from: &Path, to: &Path, without: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if without.contains(&entry.file_name().to_string_lossy().as_ref()) {
            continue;
        }
        if kind.is_dir() {
            copy_folder(&source, &target, &[]);
        } else if kind.is_file() {
            fs::copy(&source, &target).unwrap();
            let modified = entry
                .metadata()
                .unwrap()
                .modified()
                .unwrap_or(SystemTime::UNIX_EPOCH);
            fs::File::options()
                .write(true)
                .open(&target)
                .unwrap()
                .set_modified(modified)
                .unwrap();
        }
    }
}

/// The lines of the `bash` blocks of a section.
fn commands(document: &str, heading: &str) -> Vec<String> {
    let section = document
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let mut is_inside = false;
    let mut found = Vec::new();
    for line in section {
        match line.trim() {
            "```bash" => is_inside = true,
            "```" => is_inside = false,
            command if is_inside => found.push(command.to_owned()),
            _ => {}
        }
    }
    found
}

/// The release after the newest, as the document's example is for its own time.
fn next_release(copy: &Copy) -> String {
    let text = copy.text("MIGRATIONS.md");
    let stated = text
        .lines()
        .find_map(|line| line.strip_prefix("**Version**: "))
        .unwrap()
        .to_owned();
    let mut parts = stated.split('.').map(|part| part.parse::<u32>().unwrap());
    let (major, minor) = (parts.next().unwrap(), parts.next().unwrap());
    format!("{major}.{}.0", minor + 1)
}

/// What new-migration said that it made, without folder and ending.
fn made(said: &str) -> String {
    let file = said
        .lines()
        .find_map(|line| line.strip_prefix("made migrations/V"));
    format!("V{}", file.unwrap().trim_end_matches(".rs"))
}

const UP_AND_DOWN: &str = "        .up(|m| {
            m.change_table(\"files\", |t| t.add_column(\"checksum\", text().nullable(true)));
            m.create_index(\"idx_files_checksum\", \"files\", &[\"checksum\"]);
        })
        .down(|m| {
            m.drop_index(\"idx_files_checksum\");
            m.change_table(\"files\", |t| t.drop_column(\"checksum\"));
        })
";

/// The definition of an author who has the last half left out.
fn definition(release: &str, change: &str) -> String {
    format!(
        "use crate::authoring::{{Definition, Phase, text}};

pub(crate) fn migration() -> Definition {{
    Definition::new(\"{release}\", Phase::Expand)
{change}}}
"
    )
}

/// What the author says of it.
const SAID: &str = "//! Keeps the checksum of each file.
//!
//! # Why
//! Clients ask whether what they have is still the same.
//!
//! # Rollback
//! Drops the column, and with it all checksums.
";

#[test]
fn a_migration_is_added_by_the_book() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let copy = Copy::make();
    let release = next_release(&copy);
    let document = copy.text("CONTRIBUTING.md");
    let lines: Vec<String> = commands(&document, "## Adding a migration")
        .iter()
        .map(|line| line.replace("1.3.0", &release))
        .collect();
    let [new, bless, seal, check, test] = lines.as_slice() else {
        panic!("CONTRIBUTING has other commands: {lines:?}");
    };
    assert!(new.contains(&format!("--release {release}")), "{new}");

    let said = copy.succeeds(new);
    let stem = made(&said);
    let (file, golden) = (
        format!("migrations/{stem}.rs"),
        format!("migrations/golden/{stem}.sql"),
    );
    let contract = format!("contracts/{release}.sql");
    for made in [&file, &golden, &contract] {
        assert!(copy.text(made).contains("PENDING"), "{made}");
    }

    // Everything that is still to be done is found, at once and without a compiler.
    let (codes, said) = copy.finds(&format!("{check} --text-only"));
    assert_eq!(
        codes,
        ["XT201", "XT302", "XT402", "XT404", "XT405", "XT502", "XT604"],
        "{said}"
    );

    // An author who forgets the way back is told so, and by file.
    let only_up = UP_AND_DOWN.split_once("        .down").unwrap().0;
    copy.author(&file, SAID, &definition(&release, only_up));
    copy.replace(
        "MIGRATIONS.md",
        "PENDING: what changes, and what operators should know.",
        "A checksum for each file.",
    );
    let stub = copy.text(&contract);
    let (head, rest) = (stub.split_once("PENDING").unwrap().0, "\n-- foreign keys: off\n");
    copy.write(&contract, &format!("{head}checksums of files.\n{rest}"));
    let (codes, said) = copy.finds(bless);
    assert_eq!(codes, ["XT201", "XT302", "XT803"], "{said}");
    assert!(
        said.contains(&format!("XT803 {file}: it needs both an `up` and a `down`")),
        "{said}"
    );

    // One who writes what is no Rust, by line.
    copy.author(&file, SAID, &definition(&release, "        .upp(|m| {})\n"));
    let (codes, said) = copy.finds(bless);
    assert_eq!(codes, ["XT201", "XT302", "XT802"], "{said}");
    assert!(said.contains(&format!("XT802 {file}:")), "{said}");

    // Lint comes before the seal.
    copy.author(&file, SAID, &definition(&release, UP_AND_DOWN));
    let (codes, said) = copy.finds(bless);
    assert_eq!(codes, ["XT201", "BM210"], "{said}");
    let sealed = copy.text("migrations/migrations.lock");
    let (codes, said) = copy.finds(seal);
    assert_eq!(codes, ["BM210"], "{said}");
    assert_eq!(copy.text("migrations/migrations.lock"), sealed);

    let allowed = "//!\n//! lint: allow(BM210): Files are few.\n";
    copy.author(
        &file,
        &format!("{SAID}{allowed}"),
        &definition(&release, UP_AND_DOWN),
    );
    let (codes, said) = copy.finds(bless);
    assert_eq!(codes, ["XT201"], "{said}");
    assert!(copy.text(&golden).contains("ADD COLUMN \"checksum\""));

    copy.succeeds(seal);
    copy.succeeds(check);
    refuses_more_in_a_closed_release(&copy, &stem, &release);
    assert_eq!(test, "cargo test --workspace");
    if std::env::var_os("WALK_ALL").is_some() {
        copy.succeeds(&format!("{test} --locked --no-fail-fast --quiet"));
    } else {
        for which in ASKED {
            copy.succeeds(&format!(
                "cargo test --locked --no-fail-fast --quiet {}",
                which.join(" ")
            ));
        }
    }
}

/// Neither the command nor a file made by hand adds to a release that is sealed.
fn refuses_more_in_a_closed_release(copy: &Copy, stem: &str, release: &str) {
    let log = copy.text("MIGRATIONS.md");
    let (said, succeeded) = copy.run(&format!(
        "cargo xtask new-migration 'one more' --release {release}"
    ));
    let closed = format!("release {release} is closed");
    assert!(!succeeded && said.contains(&closed), "{said}");
    assert_eq!(copy.text("MIGRATIONS.md"), log);

    let number: u32 = stem[1..4].parse().unwrap();
    let by_hand = format!("migrations/V{:03}__one_more.rs", number + 1);
    copy.write(&by_hand, &copy.text(&format!("migrations/{stem}.rs")));
    let (codes, said) = copy.finds("cargo xtask check --text-only");
    assert_eq!(codes, ["XT201", "XT206", "XT301", "XT501"], "{said}");
    fs::remove_file(copy.path(&by_hand)).unwrap();
}
