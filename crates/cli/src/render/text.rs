//! Text that is an answer as it stands: help, a manual page, a completion script.

use serde::Serialize;

use crate::output::Report;

/// Ready text.
#[derive(Debug, Serialize)]
pub(crate) struct Text {
    text: String,
}

impl Text {
    /// An answer that is this text.
    pub(crate) fn new(text: String) -> Self {
        Self { text }
    }
}

impl Report for Text {
    fn render(&self) -> String {
        self.text.clone()
    }
}
