"""Compares a migrated database with the original, then runs the server's statements on it.

usage: compare.py FIXTURE DATABASE RELEASE
"""

import hashlib
import json
import re
import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path

TABLES = [
    "rooms",
    "members",
    "messages",
    "decisions",
    "votes",
    "tasks",
    "files",
    "code_executions",
    "channels",
]


def expect(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def read_only(path):
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def utc(text):
    """What the normal form of a timestamp is; UTC is the time zone of this run."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            time = time.replace(tzinfo=timezone.utc)
        return time.astimezone(timezone.utc).isoformat()
    except (ValueError, OverflowError):
        return text


def compare(original, migrated):
    for table in TABLES:
        columns = [row[1] for row in original.execute(f"PRAGMA table_info({table})")]
        expect(columns, f"the original has no table {table}")
        select = f"SELECT rowid, {', '.join(columns)} FROM {table} ORDER BY rowid"
        old, new = original.execute(select).fetchall(), migrated.execute(select).fetchall()
        expect(len(old) == len(new), f"{table} had {len(old)} rows and has {len(new)}")
        # Earlier releases of Python read fewer texts as timestamps than the program does.
        converts = table == "messages" and sys.version_info >= (3, 11)
        changing = columns.index("timestamp") + 1 if table == "messages" else None
        for before, after in zip(old, new):
            if changing is not None:
                value = utc(before[changing]) if converts else after[changing]
                before = (*before[:changing], value, *before[changing + 1 :])
            expect(before == after, f"{table}, row {before[0]} is not as it was")
        note = ", their timestamps in UTC" if converts else ""
        print(f"{table}: {len(new)} rows, as they were{note}")


def threads(migrated):
    parents = dict(migrated.execute("SELECT id, reply_to FROM messages"))
    for key, thread in migrated.execute("SELECT id, thread_id FROM messages"):
        chain = {}
        while key not in chain and key in parents:
            chain[key] = len(chain)
            key = parents[key]
        seen = list(chain)
        root = min(seen[chain[key] :]) if key in chain else seen[-1]
        expect(thread == root, f"message {seen[0]} has thread {thread}, not {root}")
    print("threads: each message has the root of its chain")


def compare_tokens(path, migrated):
    document = json.loads(path.read_text())
    for key, table in [("tokens", "auth_tokens"), ("revoked", "revoked_tokens")]:
        expected = {hashlib.sha256(token.encode()).hexdigest() for token in document[key]}
        found = {row[0] for row in migrated.execute(f"SELECT token_hash FROM {table}")}
        missing, extra = len(expected - found), len(found - expected)
        expect(not missing and not extra, f"{table}: {missing} tokens are missing, {extra} are too many")
        print(f"{table}: {len(found)} tokens, known by their hash")


def run_statements(path, connection):
    """Each statement as the server runs it, on a connection for each call, as the server opens it."""
    room = connection.execute("SELECT room_id FROM rooms LIMIT 1").fetchone()[0]
    decision = connection.execute("SELECT id FROM decisions LIMIT 1").fetchone()[0]
    connection.close()
    numbers = {"vote_weight": 1.5, "required_votes": 2, "approve": 1, "veto": 0, "size": 2, "approved": 1, "vetoed": 0}
    values = {"room_id": room, "decision_id": decision, "content": b"\x00\x01", "reply_to": None, **numbers}
    count = 0
    for statement in path.read_text().split(";\n"):
        statement = statement.strip().rstrip(";")
        if not statement:
            continue
        insert = re.search(r"INTO \w+ \((.*?)\) VALUES \((.*)\)", statement)
        if insert:
            names = [
                name.strip()
                for name, value in zip(insert[1].split(","), insert[2].split(","))
                if value.strip() == "?"
            ]
        else:
            names = re.findall(r"(\w+) *[=>] *\?", statement)
        names += ["limit"] * statement.count("LIMIT ?")
        expect(len(names) == statement.count("?"), f"cannot tell the values of: {statement}")
        row = {
            name: 50 if name == "limit" else values.get(name, f"from the server, {name} {count}") for name in names
        }
        with sqlite3.connect(sys.argv[2], timeout=5) as server:
            server.execute(statement, [row[name] for name in names]).fetchall()
        server.close()
        count += 1
    expect(count > 0, f"{path} has no statement")
    print(f"statements: all {count} of the server run")


def main():
    fixture, database, release = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    original, migrated = read_only(fixture / "collab.db"), read_only(database)
    query = "SELECT version FROM schema_version ORDER BY applied_at DESC LIMIT 1"
    answer = migrated.execute(query).fetchone()[0]
    expect(answer == release, f"the strategy's query answers {answer}, not {release}")
    compare(original, migrated)
    threads(migrated)
    compare_tokens(fixture / "tokens.json", migrated)
    run_statements(fixture / "app-statements.sql", migrated)
    with read_only(database) as check:
        expect(check.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is damaged")


main()
