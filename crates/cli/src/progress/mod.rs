//! Shows people what happens while the engine works: a line for each step, and bars on long work.

mod events;

use std::{cell::RefCell, fmt::Write};

use bridge_migrate_core::{Activity, Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output::Output;
use crate::progress::events::{aside, line};
use crate::text::{count, safe};

const BYTES: &str = "{msg:32} {bar:30} {bytes:>11} / {total_bytes:11} {bytes_per_sec:>13}  {eta} left";
const ROWS: &str = "{msg:32} {bar:30} {human_pos:>11} / {human_len:11} {rate:>13}  {eta} left";
const UNKNOWN: &str = "{msg:32} {spinner} {elapsed}";

/// An observer for people.
#[derive(Debug)]
pub(crate) struct Console<'a> {
    output: &'a Output,
    /// Asked for only when there is something to draw.
    shows_progress: RefCell<Option<bool>>,
    bar: RefCell<Option<(Activity, ProgressBar)>>,
}

impl<'a> Console<'a> {
    /// An observer that shows what happens as `output` wants it.
    pub(crate) fn new(output: &'a Output) -> Self {
        Self {
            output,
            shows_progress: RefCell::new(None),
            bar: RefCell::new(None),
        }
    }

    fn progress(&self, activity: Activity, subject: &str, done: u64, total: Option<u64>) {
        if !*self
            .shows_progress
            .borrow_mut()
            .get_or_insert_with(|| self.output.shows_progress())
        {
            return;
        }
        let mut current = self.bar.borrow_mut();
        let bar = match current.take() {
            Some((same, bar)) if same == activity => bar,
            other => {
                if let Some((_, bar)) = other {
                    bar.finish_and_clear();
                }
                new_bar(activity, subject, total)
            }
        };
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        *current = Some((activity, bar));
    }

    fn finish(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    /// Writes while no bar is in the way.
    fn beside_bar(&self, write: impl FnOnce()) {
        match &*self.bar.borrow() {
            Some((_, bar)) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Observer for Console<'_> {
    fn observe(&self, event: &Event) {
        match event {
            Event::Progress {
                activity,
                subject,
                done,
                total,
            } => self.progress(*activity, subject, *done, *total),
            Event::ProgressFinished { .. } => self.finish(),
            _ => {
                if let Some(text) = line(event, self.output.is_verbose()) {
                    self.beside_bar(|| self.output.say(&text));
                } else if let Some(text) = aside(event) {
                    self.beside_bar(|| self.output.note(&text));
                }
            }
        }
    }
}

impl Drop for Console<'_> {
    fn drop(&mut self) {
        // An error must not be written into a bar.
        self.finish();
    }
}

fn new_bar(activity: Activity, subject: &str, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match (activity, total) {
        (_, None) => UNKNOWN,
        (Activity::Rows, Some(_)) => ROWS,
        (Activity::Copy | Activity::Digest, Some(_)) => BYTES,
        (Activity::Check, Some(_)) => UNKNOWN,
    };
    bar.set_style(style(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let doing = match activity {
        Activity::Copy => "copying ",
        Activity::Check => "checking ",
        Activity::Digest => "reading ",
        Activity::Rows => "",
    };
    // A copy has no name until it is verified.
    let subject = if subject.starts_with(".bridge-migrate-") {
        "the copy"
    } else {
        subject
    };
    bar.set_message(safe(&format!("{doing}{subject}")));
    // Drawn when something happens: a thread that draws may not be had, which is a panic there.
    bar.tick();
    bar
}

/// A template with `{rate}`: whole rows a second.
fn style(template: &str) -> Result<ProgressStyle, indicatif::style::TemplateError> {
    let style = ProgressStyle::with_template(template)?;
    Ok(
        style.with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
            // A rate is never negative, and what is beyond u64 saturates.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rate = state.per_sec() as u64;
            // What cannot be drawn is lost.
            let _ = write!(text, "{}/s", count(rate));
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_ones_that_indicatif_reads() {
        for template in [BYTES, ROWS, UNKNOWN] {
            style(template).unwrap();
        }
    }
}
