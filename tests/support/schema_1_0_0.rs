//! The schema of release 1.0.0, in the words in which the Bridge's server creates it.
//!
//! SQLite stores the text of a CREATE statement from the object's name on, so the white space matters to whoever
//! compares stored texts.

/// What the server runs at each start. The tests of all crates share this file.
const SERVER_1_0_0: &str = include_str!("../server_1_0_0.sql");

/// What the server runs at each start, in its order. All but its first start find everything in place.
pub fn start_up() -> impl Iterator<Item = &'static str> {
    SERVER_1_0_0.split_terminator(";\n")
}

/// The nine tables, in the order in which the server creates them, with their columns in order.
pub const TABLES: [(&str, &[&str]); 9] = [
    ("rooms", &["room_id", "topic", "created_at", "active"]),
    (
        "members",
        &[
            "room_id",
            "client_id",
            "role",
            "joined_at",
            "active",
            "contributions",
            "vote_weight",
        ],
    ),
    (
        "messages",
        &[
            "id",
            "room_id",
            "from_client",
            "text",
            "timestamp",
            "type",
            "channel",
            "reply_to",
        ],
    ),
    (
        "decisions",
        &[
            "id",
            "room_id",
            "text",
            "proposed_by",
            "proposed_at",
            "vote_type",
            "required_votes",
            "approved",
            "vetoed",
        ],
    ),
    ("votes", &["decision_id", "voter", "approve", "veto", "voted_at"]),
    (
        "tasks",
        &[
            "id",
            "room_id",
            "text",
            "assignee",
            "assigned_by",
            "assigned_at",
            "completed",
            "completed_at",
        ],
    ),
    (
        "files",
        &[
            "id",
            "room_id",
            "name",
            "uploaded_by",
            "uploaded_at",
            "size",
            "content_type",
            "channel",
            "content",
        ],
    ),
    (
        "code_executions",
        &[
            "id",
            "room_id",
            "executed_by",
            "executed_at",
            "language",
            "code",
            "output",
            "error",
            "exit_code",
            "execution_time_ms",
        ],
    ),
    (
        "channels",
        &["channel_id", "room_id", "name", "topic", "created_at"],
    ),
];

/// The three indexes.
pub const INDEXES: [&str; 3] = ["idx_active", "idx_room_time", "idx_channel"];

/// The columns of one of the nine tables.
///
/// # Panics
/// When `table` is none of them.
pub fn columns_of(table: &str) -> &'static [&'static str] {
    let found = TABLES.iter().find(|(name, _)| *name == table);
    found.unwrap_or_else(|| panic!("1.0.0 has no table {table:?}")).1
}

/// The texts that `sqlite_schema` shows after the server's first start, in creation order.
pub fn stored_texts() -> Vec<String> {
    start_up()
        .map(|sql| sql.replacen(" IF NOT EXISTS", "", 1))
        .collect()
}
