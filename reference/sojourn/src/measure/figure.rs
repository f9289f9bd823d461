//! The durations of all algorithms as bars, stacked by the state of the process: the published figure, measured. As SVG.

use std::fmt::Write as _;

use super::paper::{Experiment, PaperCase, PaperRow, PaperState};

/// Of Pre-migration, Migration and Post-migration.
const COLOURS: [&str; 3] = ["#9ecae1", "#d94801", "#a1d99b"];
const NAMES: [&str; 3] = ["Pre-migration", "Migration (frozen)", "Post-migration"];

const LABEL_WIDTH: f64 = 150.0;
const PANEL_WIDTH: f64 = 330.0;
const MARGIN: f64 = 50.0;
const ROW_HEIGHT: f64 = 26.0;
const HEAD_HEIGHT: f64 = 44.0;
const FOOT_HEIGHT: f64 = 64.0;

/// A panel for each case, a bar for each row.
pub fn bars(experiment: &Experiment) -> String {
    let of_names: Vec<&[PaperRow]> = experiment.rows.chunk_by(|a, b| a.name == b.name).collect();
    let longest_ms = experiment.rows.iter().map(length_ms).fold(1.0, f64::max);
    let bottom = HEAD_HEIGHT + of_names.len() as f64 * ROW_HEIGHT;
    let (width, height) = (LABEL_WIDTH + PANEL_WIDTH * PaperCase::ALL.len() as f64, bottom + FOOT_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (at, case) in (0..).zip(PaperCase::ALL) {
        let left = LABEL_WIDTH + PANEL_WIDTH * f64::from(at);
        let scale = (PANEL_WIDTH - MARGIN) / longest_ms;
        text(&mut svg, (left, 20.0), "start", &format!("{} case, duration in ms", case.name()));
        let step = step_ms(longest_ms);
        for tick in 0..=(longest_ms / step) as u32 {
            let (ms, x) = (f64::from(tick) * step, left + f64::from(tick) * step * scale);
            rectangle(&mut svg, (x, HEAD_HEIGHT - 6.0), (1.0, bottom - HEAD_HEIGHT + 6.0), "#dddddd");
            text(&mut svg, (x, bottom + 16.0), "middle", &format!("{ms}"));
        }
        for (row, of_name) in of_names.iter().enumerate() {
            let top = HEAD_HEIGHT + row as f64 * ROW_HEIGHT;
            if at == 0 {
                text(&mut svg, (LABEL_WIDTH - 8.0, top + 17.0), "end", &of_name[0].name);
            }
            if let Some(row) = of_name.iter().find(|row| row.case == case && !row.runs.is_empty()) {
                bar(&mut svg, row, (left, top), scale, longest_ms);
            }
        }
    }
    for (at, (name, colour)) in (0..).zip(NAMES.into_iter().zip(COLOURS)) {
        let left = LABEL_WIDTH + 170.0 * f64::from(at);
        rectangle(&mut svg, (left, height - 24.0), (12.0, 12.0), colour);
        text(&mut svg, (left + 18.0, height - 13.0), "start", name);
    }
    svg + "</svg>\n"
}

fn bar(svg: &mut String, row: &PaperRow, (left, top): (f64, f64), scale: f64, longest_ms: f64) {
    let mut done_ms = 0.0;
    for (state, colour) in PaperState::ALL.into_iter().zip(COLOURS) {
        let Some(spread) = row.time(state) else {
            let (from, to) = (left + done_ms * scale, left + longest_ms * scale);
            let _ = writeln!(svg, "<g opacity=\"0.5\">");
            rectangle(svg, (from, top + 5.0), (to - from, ROW_HEIGHT - 10.0), colour);
            let _ = writeln!(svg, "</g>");
            return text(svg, (to + 4.0, top + 17.0), "start", "→ ∞");
        };
        let ms = spread.median / 1e6;
        rectangle(svg, (left + done_ms * scale, top + 5.0), (ms * scale, ROW_HEIGHT - 10.0), colour);
        done_ms += ms;
    }
}

/// As far as it can be told.
fn length_ms(row: &PaperRow) -> f64 {
    PaperState::ALL.into_iter().filter_map(|state| row.time(state)).map(|spread| spread.median / 1e6).sum()
}

/// A round number of milliseconds such that there are a handful of them.
fn step_ms(longest_ms: f64) -> f64 {
    let magnitude = 10f64.powf((longest_ms / 5.0).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * magnitude)
        .into_iter()
        .find(|step| longest_ms / step <= 5.0)
        .unwrap_or(10.0 * magnitude)
}

// Writing to a string does not fail.
fn rectangle(svg: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::run::MeasuredRun;

    #[test]
    fn bars_are_as_long_as_it_took() {
        let row = |name: &str, post_ns| {
            let run = MeasuredRun {
                moved: true,
                pre_ns: 250_000_000,
                freeze_ns: 50_000_000,
                post_ns,
                ..MeasuredRun::default()
            };
            PaperRow { name: name.to_owned(), case: PaperCase::Normal, runs: vec![run] }
        };
        let rows = vec![row("one", Some(700_000_000)), row("another", None)];
        let svg = bars(&Experiment { own_pages: 0, rows, failed: Vec::new() });
        // 280 pixels are a second.
        for width in ["70.0", "14.0", "196.0"] {
            assert!(svg.contains(&format!("width=\"{width}\" height=\"16.0\"")), "{width}: {svg}");
        }
        assert_eq!(svg.matches("→ ∞").count(), 1);
        assert_eq!(step_ms(1000.0), 200.0);
    }
}
