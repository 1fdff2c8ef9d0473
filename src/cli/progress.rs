//! A bar on a terminal, nothing in a pipe.

use super::table::thousands;
use crate::runtime::verify::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// How far reading has come, for someone who waits.
pub struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// One that is shown on standard error, where that is a terminal and it is `wanted`.
    pub fn new(wanted: bool) -> Bar {
        let shown = wanted && std::io::stderr().is_terminal();
        Bar { bar: shown.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10))) }
    }

    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        let Some(bar) = &self.bar else { return };
        if bar.position() == 0 {
            bar.set_style(style(progress.bytes_total.is_some()));
        }
        bar.set_message(thousands(progress.records));
        bar.set_length(progress.bytes_total.unwrap_or(progress.bytes));
        bar.set_position(progress.bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Of a pipe nobody knows how long it is.
fn style(length_known: bool) -> ProgressStyle {
    let template = match length_known {
        true => "{bar:30.green} {bytes} of {total_bytes}, {msg} records, {eta} left",
        false => "{spinner} {bytes}, {msg} records",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
