//! Whether the oldest server's SQLite can still parse the schema: one that cannot loses the whole database.

use crate::schema::since::newer_syntax;

use super::{Answered, Context, failed, ok};

pub(super) fn check(context: &Context<'_>) -> Answered {
    let plan = context.plan.as_ref()?;
    let schema = plan.steps.last().map_or(&plan.managed, |step| &step.schema_after);
    let ours = rusqlite::version();
    let Some(oldest) = context.oldest_server else {
        return ok(format!("ours is {ours}; that of the servers is not known"));
    };
    let (major, minor) = oldest;
    let newer = schema.iter().find_map(|object| {
        let mut used = newer_syntax(&object.sql).into_iter();
        Some((object, used.find(|(_, since)| oldest < (3, *since))?))
    });
    match newer {
        Some((object, (what, since))) => failed(
            format!(
                "{} {} uses {what}, which SQLite has since 3.{since}; servers may carry {major}.{minor}",
                object.kind, object.name
            ),
            "write the migration without it, or end those servers first",
        ),
        None => ok(format!(
            "ours is {ours}; nothing in the schema is newer than {major}.{minor}"
        )),
    }
}
