//! A data step that writes, into each row, the key at the root of the chain of parents above it.
//!
//! A chain ends at a row without a parent, at a row whose parent does not exist, or in a cycle, whose root
//! is its smallest key. Each row is read a bounded number of times however the chains lie, and the memory
//! does not grow with their length: cycles are found with Brent's algorithm, and a walk that does not fit
//! into a batch goes on in the next, its state in the cursor. Rows without a parent, which most are, are filled
//! many at once.

use std::collections::VecDeque;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension};

use super::{Batch, BatchOutcome};
use crate::sqlite::quote::identifier;
use crate::sqlite::sqlite_error::SqliteContext;
use bridge_migrate_core::{ChainRoots, Error, ErrorKind, Result};

/// Rows that are read at once: SQLite's cache holds their pages until they are written.
const PART: u64 = 256;

pub(super) fn forward(step: &ChainRoots, batch: &mut Batch<'_>) -> Result<BatchOutcome> {
    let state = match batch.cursor {
        Some(cursor) => cursor.parse()?,
        None => State::Scan { next: i64::MIN },
    };
    let rows = Rows::new(step, batch.connection);
    Walker {
        rows,
        state,
        part: None,
        left: batch.limit,
        visited: 0,
        changed: 0,
    }
    .run()
    .while_doing(format_args!("find the roots of the chains of {}", step.table))
}

/// Where the work stands between batches. All numbers are row ids, but for `power` and `steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Looking for the next row to fill, from `next` on.
    Scan { next: i64 },
    /// Walking up from `start` to find its root, or a cycle, with Brent's algorithm.
    Find {
        start: i64,
        tortoise: i64,
        hare: i64,
        power: u64,
        steps: u64,
    },
    /// Walking round the cycle through `anchor` to find its smallest key, so far that of `smallest`.
    Cycle {
        start: i64,
        anchor: i64,
        current: i64,
        smallest: i64,
    },
    /// Walking up from `start` again, filling rows with the key of `root`.
    FillFromKey { start: i64, current: i64, root: i64 },
    /// Walking up from `start` again, filling rows with what `root` is filled with.
    FillFromRoot { start: i64, current: i64, root: i64 },
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scan { next } => write!(f, "scan {next}"),
            Self::Find {
                start,
                tortoise,
                hare,
                power,
                steps,
            } => {
                write!(f, "find {start} {tortoise} {hare} {power} {steps}")
            }
            Self::Cycle {
                start,
                anchor,
                current,
                smallest,
            } => {
                write!(f, "cycle {start} {anchor} {current} {smallest}")
            }
            Self::FillFromKey { start, current, root } => write!(f, "fill-key {start} {current} {root}"),
            Self::FillFromRoot { start, current, root } => write!(f, "fill-root {start} {current} {root}"),
        }
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let damaged = || {
            Error::new(
                ErrorKind::HistoryDamaged,
                format!("the stored cursor `{text}` is not one of this step"),
            )
        };
        let mut words = text.split(' ');
        let name = words.next().unwrap_or_default();
        let numbers: Vec<i64> = words
            .map(str::parse)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| damaged())?;
        match (name, numbers.as_slice()) {
            ("scan", &[next]) => Ok(Self::Scan { next }),
            ("find", &[start, tortoise, hare, power, steps]) => Ok(Self::Find {
                start,
                tortoise,
                hare,
                power: power.unsigned_abs(),
                steps: steps.unsigned_abs(),
            }),
            ("cycle", &[start, anchor, current, smallest]) => Ok(Self::Cycle {
                start,
                anchor,
                current,
                smallest,
            }),
            ("fill-key", &[start, current, root]) => Ok(Self::FillFromKey { start, current, root }),
            ("fill-root", &[start, current, root]) => Ok(Self::FillFromRoot { start, current, root }),
            _ => Err(damaged()),
        }
    }
}

/// A row's parent, as far as the walk needs to know it.
enum Parent {
    /// None is named, or the one that is named does not exist: the row is a root.
    None,
    /// The parent's row, and whether its root is known already.
    Row { rowid: i64, is_filled: bool },
}

/// The statements over the table.
struct Rows<'a> {
    connection: &'a Connection,
    part: String,
    parent_of: String,
    is_smaller: String,
    fill_roots: String,
    fill_from_key: String,
    fill_from_root: String,
    largest: String,
    first_empty: String,
}

impl<'a> Rows<'a> {
    fn new(step: &ChainRoots, connection: &'a Connection) -> Self {
        let (table, key, parent, root) = (
            identifier(step.table),
            identifier(step.key),
            identifier(step.parent),
            identifier(step.root),
        );
        Self {
            connection,
            part: format!(
                "SELECT _rowid_, {root} IS NULL AND {parent} IS NOT NULL FROM {table} NOT INDEXED \
                 WHERE _rowid_ >= ?1 ORDER BY _rowid_ LIMIT ?2"
            ),
            parent_of: format!(
                "SELECT above._rowid_, above.{root} IS NOT NULL FROM {table} AS this NOT INDEXED \
                 LEFT JOIN {table} AS above ON above.{key} = this.{parent} WHERE this._rowid_ = ?1"
            ),
            is_smaller: format!(
                "SELECT (SELECT {key} FROM {table} WHERE _rowid_ = ?1) < (SELECT {key} FROM {table} WHERE _rowid_ = ?2)"
            ),
            // A root without a key has nothing to write: nobody can reply to it either.
            fill_roots: format!(
                "UPDATE {table} NOT INDEXED SET {root} = {key} \
                 WHERE _rowid_ BETWEEN ?1 AND ?2 AND {root} IS NULL AND {parent} IS NULL AND {key} IS NOT NULL"
            ),
            fill_from_key: format!(
                "UPDATE {table} SET {root} = (SELECT {key} FROM {table} WHERE _rowid_ = ?2) \
                 WHERE _rowid_ = ?1 AND {root} IS NULL \
                 AND (SELECT {key} FROM {table} WHERE _rowid_ = ?2) IS NOT NULL"
            ),
            fill_from_root: format!(
                "UPDATE {table} SET {root} = (SELECT {root} FROM {table} WHERE _rowid_ = ?2) \
                 WHERE _rowid_ = ?1 AND {root} IS NULL"
            ),
            largest: format!("SELECT max(_rowid_) FROM {table}"),
            first_empty: format!(
                "SELECT min(_rowid_) FROM {table} NOT INDEXED WHERE {root} IS NULL AND {key} IS NOT NULL"
            ),
        }
    }

    /// The first row to fill again. When the largest row id is in use, SQLite gives new rows random ones, and
    /// rows that the server adds meanwhile may lie behind the scan.
    fn left_behind(&self) -> rusqlite::Result<Option<i64>> {
        let largest: Option<i64> = self
            .connection
            .prepare_cached(&self.largest)?
            .query_row([], |row| row.get(0))?;
        if largest != Some(i64::MAX) {
            return Ok(None);
        }
        self.connection
            .prepare_cached(&self.first_empty)?
            .query_row([], |row| row.get(0))
    }

    fn parent_of(&self, rowid: i64) -> rusqlite::Result<Parent> {
        let parent: Option<(Option<i64>, bool)> = self
            .connection
            .prepare_cached(&self.parent_of)?
            .query_row([rowid], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(match parent {
            Some((Some(rowid), is_filled)) => Parent::Row { rowid, is_filled },
            // A row that is gone between two batches ends the walk like one without a parent.
            Some((None, _)) | None => Parent::None,
        })
    }

    fn is_smaller(&self, left: i64, right: i64) -> rusqlite::Result<bool> {
        let smaller: Option<bool> = self
            .connection
            .prepare_cached(&self.is_smaller)?
            .query_row([left, right], |row| row.get(0))?;
        Ok(smaller.unwrap_or(false))
    }
}

/// Rows that were read at once. Those without a parent are filled.
struct Part {
    /// The ids of the others that are not filled, each with how many rows of the part come after it.
    replies: VecDeque<(i64, u64)>,
    /// How many come after the one from which a walk began last.
    after: u64,
    /// Where the next part begins; `None` at the end of all row ids.
    next: Option<i64>,
}

struct Walker<'a> {
    rows: Rows<'a>,
    state: State,
    part: Option<Part>,
    left: u64,
    visited: u64,
    changed: u64,
}

impl Walker<'_> {
    fn run(mut self) -> rusqlite::Result<BatchOutcome> {
        while self.left > 0 || self.has_replies() {
            let next = match self.state {
                State::Scan { next } => self.scan(next)?,
                State::Find {
                    start,
                    tortoise,
                    hare,
                    power,
                    steps,
                } => Some(self.find(start, tortoise, hare, power, steps)?),
                State::Cycle {
                    start,
                    anchor,
                    current,
                    smallest,
                } => Some(self.cycle(start, anchor, current, smallest)?),
                State::FillFromKey { start, current, root } => Some(self.fill(start, current, root, true)?),
                State::FillFromRoot { start, current, root } => Some(self.fill(start, current, root, false)?),
            };
            match next {
                Some(state) => self.state = state,
                None => match self.rows.left_behind()? {
                    Some(next) => self.state = State::Scan { next },
                    None => return Ok(self.outcome(false)),
                },
            }
        }
        Ok(self.outcome(true))
    }

    fn outcome(&self, more: bool) -> BatchOutcome {
        // A walk that goes on in the next batch comes back to the rows after its start.
        let unfinished = match self.state {
            State::Scan { .. } => 0,
            _ => self.part.as_ref().map_or(0, |part| part.after),
        };
        BatchOutcome {
            cursor: more.then(|| self.state.to_string()),
            visited: self.visited.saturating_sub(unfinished),
            changed: self.changed,
        }
    }

    fn spend(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// Whether rows that were read, and are spent, are still to be looked at.
    fn has_replies(&self) -> bool {
        let is_scanning = matches!(self.state, State::Scan { .. });
        is_scanning && self.part.as_ref().is_some_and(|part| !part.replies.is_empty())
    }

    /// Goes to the next row whose root has to be looked for. Rows near their root, nearly all, are filled on the spot.
    fn scan(&mut self, next: i64) -> rusqlite::Result<Option<State>> {
        loop {
            while let Some(part) = &mut self.part
                && let Some((rowid, after)) = part.replies.pop_front()
            {
                part.after = after;
                match self.rows.parent_of(rowid)? {
                    Parent::None => self.changed += self.write(rowid, rowid, true)?,
                    Parent::Row {
                        rowid: parent,
                        is_filled: true,
                    } => {
                        self.changed += self.write(rowid, parent, false)?;
                    }
                    Parent::Row { is_filled: false, .. } => {
                        return Ok(Some(State::Find {
                            start: rowid,
                            tortoise: rowid,
                            hare: rowid,
                            power: 1,
                            steps: 0,
                        }));
                    }
                }
            }
            let Some(next) = self.part.as_ref().map_or(Some(next), |part| part.next) else {
                self.part = None;
                return Ok(None);
            };
            if self.left == 0 {
                return Ok(Some(State::Scan { next }));
            }
            self.part = self.read_part(next)?;
            if self.part.is_none() {
                return Ok(None);
            }
        }
    }

    /// Reads rows from `next` on, and fills those without a parent, of which nearly all tables have most.
    fn read_part(&mut self, next: i64) -> rusqlite::Result<Option<Part>> {
        let connection = self.rows.connection;
        let mut replies = VecDeque::new();
        let mut last = None;
        let mut count = 0;
        {
            let mut select = connection.prepare_cached(&self.rows.part)?;
            let mut rows = select.query([next, i64::try_from(self.left.min(PART)).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                count += 1;
                let rowid = row.get(0)?;
                if row.get(1)? {
                    replies.push_back((rowid, count));
                }
                last = Some(rowid);
            }
        }
        let Some(last) = last else { return Ok(None) };
        let filled = connection
            .prepare_cached(&self.rows.fill_roots)?
            .execute([next, last])?;
        self.changed += filled as u64;
        self.visited += count;
        self.left = self.left.saturating_sub(count);
        for (_, place) in &mut replies {
            *place = count - *place;
        }
        Ok(Some(Part {
            replies,
            after: 0,
            next: last.checked_add(1),
        }))
    }

    fn find(
        &mut self,
        start: i64,
        tortoise: i64,
        hare: i64,
        power: u64,
        steps: u64,
    ) -> rusqlite::Result<State> {
        self.spend();
        Ok(match self.rows.parent_of(hare)? {
            Parent::None => State::FillFromKey {
                start,
                current: start,
                root: hare,
            },
            Parent::Row {
                rowid,
                is_filled: true,
            } => State::FillFromRoot {
                start,
                current: start,
                root: rowid,
            },
            Parent::Row { rowid, .. } if rowid == tortoise => State::Cycle {
                start,
                anchor: rowid,
                current: rowid,
                smallest: rowid,
            },
            // The tortoise jumps to the hare each time the hare has gone twice as far as before.
            Parent::Row { rowid, .. } if steps + 1 == power => State::Find {
                start,
                tortoise: rowid,
                hare: rowid,
                power: power.saturating_mul(2),
                steps: 0,
            },
            Parent::Row { rowid, .. } => State::Find {
                start,
                tortoise,
                hare: rowid,
                power,
                steps: steps + 1,
            },
        })
    }

    fn cycle(&mut self, start: i64, anchor: i64, current: i64, smallest: i64) -> rusqlite::Result<State> {
        self.spend();
        let Parent::Row { rowid, .. } = self.rows.parent_of(current)? else {
            // The cycle was opened between two batches: begin again.
            return Ok(State::Scan { next: start });
        };
        let smallest = if self.rows.is_smaller(rowid, smallest)? {
            rowid
        } else {
            smallest
        };
        Ok(if rowid == anchor {
            State::FillFromKey {
                start,
                current: start,
                root: smallest,
            }
        } else {
            State::Cycle {
                start,
                anchor,
                current: rowid,
                smallest,
            }
        })
    }

    fn fill(&mut self, start: i64, current: i64, root: i64, from_key: bool) -> rusqlite::Result<State> {
        self.spend();
        let parent = self.rows.parent_of(current)?;
        let changed = self.write(current, root, from_key)?;
        self.changed += changed;
        let after_start = start.checked_add(1).unwrap_or(start);
        Ok(match parent {
            Parent::Row {
                rowid,
                is_filled: false,
            } if changed > 0 && current != root => {
                if from_key {
                    State::FillFromKey {
                        start,
                        current: rowid,
                        root,
                    }
                } else {
                    State::FillFromRoot {
                        start,
                        current: rowid,
                        root,
                    }
                }
            }
            _ => State::Scan { next: after_start },
        })
    }

    fn write(&self, rowid: i64, root: i64, from_key: bool) -> rusqlite::Result<u64> {
        let update = if from_key {
            &self.rows.fill_from_key
        } else {
            &self.rows.fill_from_root
        };
        let changed = self
            .rows
            .connection
            .prepare_cached(update)?
            .execute([rowid, root])?;
        Ok(changed as u64)
    }
}
