//! A page: prose, and blocks of commands with their output.
//!
//! In a block that begins with ```` ```console ````, a line `$ …` is a command; what follows up to the next one is its
//! output. A comment `<!-- meanwhile: … -->` names what somebody else does at that point.

use crate::states::State;

/// A page, cut into what is kept and what is run.
#[derive(Debug)]
pub(crate) struct Page {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Line(String),
    Command(String),
    Meanwhile(String),
}

impl Page {
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut in_block = false;
        for line in text.lines() {
            if line == "```console" {
                in_block = true;
            } else if line == "```" {
                in_block = false;
            } else if in_block {
                if let Some(command) = line.strip_prefix("$ ") {
                    parts.push(Part::Command(command.to_owned()));
                }
                // Output: the command says it again.
                continue;
            } else if let Some(event) = line
                .strip_prefix("<!-- meanwhile: ")
                .and_then(|rest| rest.strip_suffix(" -->"))
            {
                parts.push(Part::Meanwhile(event.to_owned()));
                continue;
            }
            parts.push(Part::Line(line.to_owned()));
        }
        assert!(!in_block, "a block is not closed");
        Self { parts }
    }

    /// The page with the outputs that the commands have now.
    pub(crate) fn run(&self, state: &mut State) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Line(line) => text.push_str(line),
                Part::Command(command) => {
                    text.push_str("$ ");
                    text.push_str(command);
                    text.push('\n');
                    text.push_str(&state.run(command));
                    continue;
                }
                Part::Meanwhile(event) => {
                    state.meanwhile(event);
                    text.push_str(&format!("<!-- meanwhile: {event} -->"));
                }
            }
            text.push('\n');
        }
        text
    }
}
