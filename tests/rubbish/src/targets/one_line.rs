//! What holds of every message that may end on a terminal.

/// Fails unless the message is one line without characters that steer a terminal.
///
/// # Panics
/// When it is not.
pub(super) fn assert_one_line(message: &str) {
    assert!(!message.is_empty(), "an empty message");
    assert!(!message.contains(char::is_control), "{message:?}");
}
