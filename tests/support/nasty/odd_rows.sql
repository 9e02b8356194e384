-- Orphans, NULL keys, invalid UTF-8, and values whose storage class is not that of their column.
INSERT INTO rooms VALUES ('it''s a "room"; DROP TABLE rooms; -- 🎉', 'odd', '2026-02-22T15:30:45+00:00', 1);
INSERT INTO rooms VALUES (NULL, 'no id', '', NULL), (NULL, 'no id either', 'yesterday', 'yes');
INSERT INTO rooms VALUES ('', X'00ff', X'', X'01'), (X'726f6f6d', CAST(X'ff00fe' AS TEXT), 17, 1.5);
INSERT INTO rooms VALUES ('Room', 'upper', '2026', 9223372036854775807), ('room', 'lower', '2026', -1);
INSERT INTO members VALUES
    ('room of nobody', 'claude-0', 'coder', '2026-02-22T15:30:45', 1, 0, 1.0),
    ('', '', '', '', '', '', ''),
    (X'726f6f6d', CAST(X'ff' AS TEXT), X'', 0, NULL, 1e300, 9e999),
    ('room', 'claude-0', 'coder', '2026-02-22T15:30:45', 1, -7, -0.0),
    ('room', 'Claude-0', 'coder', '2026-02-22T15:30:45', 1, 1.5, 3);
INSERT INTO messages (id, room_id, from_client, text, timestamp, type, channel, reply_to) VALUES
    ('orphan', 'room of nobody', 'claude-0', 'nobody reads this', '2026-02-22T15:30:45', NULL, NULL, NULL),
    ('orphan reply', 'room of nobody', 'claude-0', 'nor this', '2026-02-22T15:30:46Z', '', '', 'orphan'),
    ('other room', 'room', 'claude-0', 'across', '2026-02-22T15:30:47+05:30', 'message', 'main', 'orphan'),
    ('numbers', 42, 43, 44.5, -1, 1e300, 9e999, 45),
    ('blobs', X'00', X'ff', X'', X'323032362d30322d3232', X'01', X'02', X'73616d65'),
    (CAST(X'69ff64' AS TEXT), CAST(X'ff' AS TEXT), CAST(X'c0' AS TEXT), CAST(X'74657874eda080' AS TEXT),
        '2026-02-22T15:30:45', CAST(X'80' AS TEXT), 'main', CAST(X'69ff64' AS TEXT));
INSERT INTO decisions VALUES
    (NULL, 'room', 't', 'c', '', 'veto', NULL, NULL, NULL), (NULL, 'nowhere', '', '', '', '', 'many', 'yes', X'01'),
    ('D', 'room', 't', 'c', '', 'veto', 1, 2, -3), ('d', 'room', 't', 'c', '', 'veto', 1, 0.5, 0);
INSERT INTO votes VALUES
    ('decision of nobody', 'claude-0', 1, 0, '2026-02-22T15:30:45'), ('', '', '', '', ''),
    ('d', 'claude-0', NULL, NULL, X''), ('D', 'claude-0', 7, 'no', 'yesterday');
INSERT INTO tasks VALUES
    (NULL, 'room', '', NULL, '', '', NULL, ''), (NULL, 'nowhere', X'00', '', X'', '', 'done', NULL);
INSERT INTO files VALUES
    (NULL, 'room', '../../etc/passwd', '', '', -1, NULL, NULL, X''),
    ('f', 'nowhere', 'a' || char(0) || 'b', '', '', 'large', '', '', 'text in a blob column'),
    ('F', 'room', CAST(X'ff' AS TEXT), '', '', 1.5, X'', X'', 17), ('z', 'room', 'zeros', '', '', 0, '', '', zeroblob(70000));
INSERT INTO code_executions VALUES
    (NULL, 'room', '', '', '', '', NULL, NULL, NULL, NULL), ('x', 'nowhere', '', '', '', X'', X'', '', 'segfault', 'soon');
INSERT INTO channels VALUES
    ('', '', '', '', ''), ('main', 'nowhere', 'main', X'00', ''), ('Main', 'room', 'm', NULL, ''), ('main', 'room', 'm', NULL, '');
