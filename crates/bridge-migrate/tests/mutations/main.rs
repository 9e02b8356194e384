//! Mistakes seeded into the Bridge's own migrations, each of which lint must name with its code.
//!
//! Mistakes in names, seals and documentation, which need no compiled migration, are seeded in xtask's tests.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "../common/mod.rs"]
mod common;
mod servers;
mod tables;
mod ways;

use bridge_migrate_core::{ContractText, Migration, Phase, Release};
use bridge_migrate_sqlite::lint::lint;

/// The catalog while it is changed.
struct Draft {
    migrations: Vec<Migration>,
    contracts: Vec<ContractText>,
}

impl Draft {
    fn at(&mut self, version: usize) -> &mut Migration {
        &mut self.migrations[version - 1]
    }

    fn up(&mut self, version: usize, from: &str, to: &str) {
        let up = &mut self.at(version).up;
        assert!(up.contains(from), "{from} is not in {up}");
        *up = up.replacen(from, to, 1);
    }

    fn down(&mut self, version: usize, from: &str, to: &str) {
        let down = &mut self.at(version).down;
        assert!(down.contains(from), "{from} is not in {down}");
        *down = down.replacen(from, to, 1);
    }

    fn more(&mut self, version: usize, up: &str, down: &str) {
        let migration = self.at(version);
        migration.up = format!("{}{up};\n", migration.up);
        if !down.is_empty() {
            migration.down = format!("{down};\n{}", migration.down);
        }
    }

    fn add(&mut self, phase: Phase, up: &str, down: &str) -> &mut Migration {
        let next = self.migrations.len() as u32 + 1;
        self.migrations.push(
            Migration::new(next, "mutant", Release::new(1, 2, 0))
                .phase(phase)
                .summary("Breaks something.")
                .rollback("Mends it.")
                .up(format!("{up};\n"))
                .down(format!("{down};\n")),
        );
        self.migrations.last_mut().unwrap()
    }
}

type Mutation = (&'static str, &'static str, fn(&mut Draft));

#[test]
fn every_seeded_mistake_is_named_with_its_code() {
    let mutations: Vec<&Mutation> = ways::WAYS
        .iter()
        .chain(tables::TABLES)
        .chain(servers::SERVERS)
        .collect();
    let mut wrong = Vec::new();
    for (name, code, mutate) in &mutations {
        let (migrations, contracts) = common::parts_at_1_2_0();
        let mut draft = Draft {
            migrations,
            contracts,
        };
        mutate(&mut draft);
        let mutant = common::catalog_of((draft.migrations, draft.contracts));
        let found = lint(&mutant).unwrap().findings;
        if !found.iter().any(|finding| finding.code == *code) {
            wrong.push(format!("{name}: {code} expected, found {found:#?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        mutations.len(),
        wrong.join("\n")
    );
    assert!(mutations.len() >= 40);
}

/// Without this, a mutation test proves nothing: the catalog itself must be free of every code.
#[test]
fn the_catalog_itself_has_none_of_these() {
    let catalog = common::catalog_of(common::parts_at_1_2_0());
    assert_eq!(lint(&catalog).unwrap().findings, []);
}
