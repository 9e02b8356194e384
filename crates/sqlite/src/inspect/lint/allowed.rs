//! What a migration's file allows, and whether it says why.

use super::{Allowed, Found, Place, RULES, Report};
use bridge_migrate_core::Migration;

/// A finding is allowed without a reason.
const NO_REASON: &str = "BM106";
/// Something is allowed that is not there.
const IN_VAIN: &str = "BM107";

/// Puts what was found on a migration where it belongs.
pub(super) fn sort(migration: &Migration, mut found: Vec<Found>, report: &mut Report) {
    for (code, reason) in &migration.allowed {
        if reason.is_empty() {
            found.push(Found::error(
                NO_REASON,
                Place::Whole,
                format!("it allows {code} and does not say why"),
                format!("write `//! lint: allow({code}): ` and the reason, or take the line out"),
            ));
        } else if !found.iter().any(|found| found.code == code) {
            let known = RULES.iter().any(|rule| rule.code == code);
            found.push(Found::warning(
                IN_VAIN,
                Place::Whole,
                if known {
                    format!("it allows {code}, which is not found on it")
                } else {
                    format!("it allows {code}, which is no code")
                },
                "take the line out",
            ));
        }
    }
    for found in found {
        let reason = migration.allows(found.code).map(str::to_owned);
        let finding = found.finding(migration);
        match reason {
            Some(reason) => report.allowed.push(Allowed { finding, reason }),
            None => report.findings.push(finding),
        }
    }
}
