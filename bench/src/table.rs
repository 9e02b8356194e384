//! The tables, in Markdown whose source is aligned: for the terminal and for the documentation.

use crate::outcome::{Latency, Outcome, Row};

/// The cases whose cost grows with the messages.
const GROWING: [&str; 5] = [
    crate::cases::MIGRATE,
    crate::cases::MIGRATE_ALONE,
    crate::cases::TIMESTAMPS,
    crate::cases::THREADS,
    crate::cases::BACKUP,
];

/// Everything that was found, as lines.
pub(crate) fn render(outcome: &Outcome) -> Vec<String> {
    let mut lines = vec![outcome.machine.clone()];
    let mut section = |title: &str, head: &[&str], rows: Vec<Vec<String>>| {
        if !rows.is_empty() {
            lines.extend([String::new(), format!("{title}:"), String::new()]);
            lines.extend(aligned(head, &rows));
        }
    };
    section(
        "Each command against its floor",
        &[
            "case",
            "messages",
            "time",
            "floor",
            "its time",
            "ratio",
            "target",
            "peak memory",
        ],
        outcome.rows.iter().map(row).collect(),
    );
    section(
        "What the server's users wait",
        &[
            "meanwhile",
            "messages",
            "took",
            "calls",
            "errors",
            "p50",
            "p99",
            "max",
            "longest lock",
            "target",
        ],
        outcome.latencies.iter().map(latency).collect(),
    );
    let growth = outcome.growth(&GROWING).into_iter().map(|size| {
        vec![
            size.case.to_owned(),
            count(size.messages),
            format!("{:.2} µs", size.each),
            format!("{:.2} ×", size.factor),
            size.peak.map_or_else(none, memory),
        ]
    });
    section(
        "How it grows (1 × is linear)",
        &[
            "case",
            "messages",
            "each message",
            "than at the size before",
            "peak memory",
        ],
        growth.collect(),
    );
    for (title, reasons) in [("Left out", &outcome.left_out), ("Failed", &outcome.failed)] {
        if !reasons.is_empty() {
            lines.extend([String::new(), format!("{title}:"), String::new()]);
            lines.extend(reasons.iter().map(|reason| format!("- {reason}")));
        }
    }
    lines
}

fn row(row: &Row) -> Vec<String> {
    let target = row.target.map_or_else(none, |target| {
        let ratio = Row {
            peak: None,
            ..row.clone()
        };
        format!("≤ {target} ×{}", mark(ratio.is_met()))
    });
    let peak = row.peak.map_or_else(none, |peak| {
        let kept = peak <= row.peak_target;
        format!("{}{}", memory(peak), if kept { "" } else { " ✗" })
    });
    vec![
        row.case.clone(),
        count(row.messages),
        row.seconds.map_or_else(none, time),
        row.floor.clone(),
        row.floor_seconds.map_or_else(none, time),
        row.ratio.map_or_else(none, |ratio| format!("{ratio:.2} ×")),
        target,
        peak,
    ]
}

fn latency(latency: &Latency) -> Vec<String> {
    vec![
        latency.during.clone(),
        count(latency.messages),
        time(latency.seconds),
        latency.calls.to_string(),
        latency.errors.to_string(),
        format!("{:.1} ms", latency.p50),
        latency.p99.map_or_else(none, |p99| format!("{p99:.1} ms")),
        format!("{:.0} ms", latency.max),
        latency
            .longest_lock
            .map_or_else(none, |lock| format!("{lock} ms")),
        format!(
            "{}max ≤ {} ms{}",
            latency
                .p99
                .map_or_else(String::new, |_| format!("p99 ≤ {} ms, ", Latency::P99)),
            Latency::MAX,
            mark(latency.is_met())
        ),
    ]
}

fn mark(met: bool) -> &'static str {
    if met { " ✓" } else { " ✗" }
}

fn none() -> String {
    "–".to_owned()
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.2} ms", s * 1e3),
    }
}

fn memory(bytes: u64) -> String {
    // Lossless below 2^53 bytes.
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A number with its thousands apart; of no messages nothing.
fn count(number: u64) -> String {
    if number == 0 {
        return none();
    }
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn aligned(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let cells =
        std::iter::once(head.iter().map(|&title| title.to_owned()).collect()).chain(rows.iter().cloned());
    let cells: Vec<Vec<String>> = cells.collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let texts = cells.iter().filter_map(|row| row.get(column));
            texts.map(|text| text.chars().count()).max().unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| {
            format!(
                " {text}{} ",
                " ".repeat(width.saturating_sub(text.chars().count()))
            )
        });
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    let mut lines: Vec<String> = cells.iter().map(line).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    lines.insert(1, format!("|{}|", rule.join("|")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_aligned_and_mark_what_misses_its_target() {
        let outcome = Outcome {
            machine: "2 cores.".to_owned(),
            rows: vec![
                Row {
                    case: "status".to_owned(),
                    messages: 10_000,
                    seconds: Some(0.002),
                    floor: "sqlite3 shell".to_owned(),
                    floor_seconds: Some(0.001),
                    ratio: Some(2.0),
                    rounds: vec![(0.002, 0.001)],
                    target: Some(1.3),
                    peak: Some(9 << 20),
                    peak_target: 8 << 20,
                },
                Row {
                    case: "adopt".to_owned(),
                    messages: 1_000_000,
                    seconds: Some(12.34),
                    floor: "one row".to_owned(),
                    peak_target: 1,
                    ..Row::default()
                },
            ],
            latencies: vec![Latency {
                during: "migrate".to_owned(),
                messages: 10_000,
                calls: 120,
                errors: 1,
                p50: 1.25,
                p99: Some(30.0),
                max: 260.4,
                longest_lock: Some(250),
                seconds: 1.5,
            }],
            left_out: vec!["undo: not there".to_owned()],
            failed: Vec::new(),
        };
        let expected = "\
2 cores.

Each command against its floor:

| case   | messages  | time    | floor         | its time | ratio  | target    | peak memory |
|--------|-----------|---------|---------------|----------|--------|-----------|-------------|
| status | 10 000    | 2.00 ms | sqlite3 shell | 1.00 ms  | 2.00 × | ≤ 1.3 × ✗ | 9.0 MiB ✗   |
| adopt  | 1 000 000 | 12.3 s  | one row       | –        | –      | –         | –           |

What the server's users wait:

| meanwhile | messages | took   | calls | errors | p50    | p99     | max    | longest lock | target                      |
|-----------|----------|--------|-------|--------|--------|---------|--------|--------------|-----------------------------|
| migrate   | 10 000   | 1.50 s | 120   | 1      | 1.2 ms | 30.0 ms | 260 ms | 250 ms       | p99 ≤ 60 ms, max ≤ 500 ms ✗ |

Left out:

- undo: not there";
        assert_eq!(render(&outcome).join("\n"), expected);
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(
            [0, 999, 1000, 5_000_000].map(count),
            ["–", "999", "1 000", "5 000 000"]
        );
        assert_eq!(
            [0.0012, 0.25, 3.456, 61.0].map(time),
            ["1.20 ms", "250 ms", "3.46 s", "61.0 s"]
        );
    }
}
