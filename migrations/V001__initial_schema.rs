//! Creates the nine tables and three indexes of release 1.0.0.
//!
//! # Why
//! A fresh database starts here, and one that the Bridge's server made is recognised by it. So this is what
//! the server itself creates, column for column and in its order: an `id` that is the primary key and may be
//! NULL, since SQLite lets a TEXT primary key be NULL; foreign keys without ON DELETE; no check.
//!
//! # Rollback
//! Drops all nine tables, and with them every room, member, message, decision, vote, task, file, code
//! execution and channel. Nothing is left of the Bridge's data; only a backup brings it back.
//!
//! lint: allow(BM212): The servers of 1.0.0 make these tables without such indexes, and this must be what they make.
//! Rooms are never deleted, which is when the lack would be felt.

use crate::authoring::{Definition, Phase, Schema, binary, double, integer, text};

pub(crate) fn migration() -> Definition {
    Definition::new("1.0.0", Phase::Expand)
        .up(|m| {
            rooms_and_members(m);
            messages(m);
            decisions_and_votes(m);
            work_in_rooms(m);
        })
        .down(|m| {
            for table in [
                "channels",
                "code_executions",
                "files",
                "tasks",
                "votes",
                "decisions",
                "messages",
                "members",
                "rooms",
            ] {
                m.drop_table(table);
            }
        })
}

fn rooms_and_members(m: &mut Schema) {
    m.create_table("rooms", |t| {
        t.add_column("room_id", text().nullable(true).primary(true));
        t.add_column("topic", text());
        t.add_column("created_at", text());
        t.add_column("active", integer().nullable(true).default(1));
    });
    m.create_index("idx_active", "rooms", &["active"]);
    m.create_table("members", |t| {
        t.add_column("room_id", text());
        t.add_column("client_id", text());
        t.add_column("role", text());
        t.add_column("joined_at", text());
        t.add_column("active", integer().nullable(true).default(1));
        t.add_column("contributions", integer().nullable(true).default(0));
        t.add_column("vote_weight", double().nullable(true).default(1.0));
        t.primary_key(&["room_id", "client_id"]);
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
}

fn messages(m: &mut Schema) {
    m.create_table("messages", |t| {
        t.add_column("id", text().nullable(true).primary(true));
        t.add_column("room_id", text());
        t.add_column("from_client", text());
        t.add_column("text", text());
        t.add_column("timestamp", text());
        t.add_column("type", text().nullable(true).default("message"));
        t.add_column("channel", text().nullable(true).default("main"));
        t.add_column("reply_to", text().nullable(true));
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
    m.create_index("idx_room_time", "messages", &["room_id", "timestamp"]);
    m.create_index("idx_channel", "messages", &["room_id", "channel"]);
}

fn decisions_and_votes(m: &mut Schema) {
    m.create_table("decisions", |t| {
        t.add_column("id", text().nullable(true).primary(true));
        t.add_column("room_id", text());
        t.add_column("text", text());
        t.add_column("proposed_by", text());
        t.add_column("proposed_at", text());
        t.add_column("vote_type", text());
        t.add_column("required_votes", integer().nullable(true));
        t.add_column("approved", integer().nullable(true).default(0));
        t.add_column("vetoed", integer().nullable(true).default(0));
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
    m.create_table("votes", |t| {
        t.add_column("decision_id", text());
        t.add_column("voter", text());
        t.add_column("approve", integer().nullable(true).default(1));
        t.add_column("veto", integer().nullable(true).default(0));
        t.add_column("voted_at", text());
        t.primary_key(&["decision_id", "voter"]);
        t.foreign_key(&["decision_id"]).references("decisions", &["id"]);
    });
}

fn work_in_rooms(m: &mut Schema) {
    m.create_table("tasks", |t| {
        t.add_column("id", text().nullable(true).primary(true));
        t.add_column("room_id", text());
        t.add_column("text", text());
        t.add_column("assignee", text().nullable(true));
        t.add_column("assigned_by", text());
        t.add_column("assigned_at", text());
        t.add_column("completed", integer().nullable(true).default(0));
        t.add_column("completed_at", text().nullable(true));
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
    m.create_table("files", |t| {
        t.add_column("id", text().nullable(true).primary(true));
        t.add_column("room_id", text());
        t.add_column("name", text());
        t.add_column("uploaded_by", text());
        t.add_column("uploaded_at", text());
        t.add_column("size", integer());
        t.add_column("content_type", text().nullable(true));
        t.add_column("channel", text().nullable(true).default("main"));
        t.add_column("content", binary());
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
    m.create_table("code_executions", |t| {
        t.add_column("id", text().nullable(true).primary(true));
        t.add_column("room_id", text());
        t.add_column("executed_by", text());
        t.add_column("executed_at", text());
        t.add_column("language", text());
        t.add_column("code", text());
        t.add_column("output", text().nullable(true));
        t.add_column("error", text().nullable(true));
        t.add_column("exit_code", integer().nullable(true).default(0));
        t.add_column("execution_time_ms", double().nullable(true));
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
    m.create_table("channels", |t| {
        t.add_column("channel_id", text());
        t.add_column("room_id", text());
        t.add_column("name", text());
        t.add_column("topic", text().nullable(true));
        t.add_column("created_at", text());
        t.primary_key(&["room_id", "channel_id"]);
        t.foreign_key(&["room_id"]).references("rooms", &["room_id"]);
    });
}
