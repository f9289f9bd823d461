//! Durations as bars, stacked by the state of the process.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use protocol::policy::Policy;

use super::{Canvas, FigureError, drawing, drawn, font};
use crate::simulate::paper::Case;
use crate::simulate::report::SimulationRun;
use crate::simulate::{Fraction, SimulationError, SimulationOutcome, SimulationSetup, Span, run};

/// Of Pre-migration, Migration and Post-migration.
const COLOURS: [RGBColor; 3] = [RGBColor(158, 202, 225), RGBColor(217, 72, 1), RGBColor(161, 217, 155)];
const STATES: [&str; 3] = ["Pre-migration", "Migration (frozen)", "Post-migration"];

const LABEL_WIDTH: i32 = 140;
const ROW_HEIGHT: i32 = 26;
const HEAD_HEIGHT: i32 = 44;
const FOOT_HEIGHT: i32 = 64;
const PANEL_WIDTH: i32 = 330;

/// One bar.
struct Bar {
    name: String,
    states: [Span; 3],
    /// Shortest and longest total, where the bar stands for several settings.
    range_ms: Option<(f64, f64)>,
}

impl Bar {
    fn of(setup: &SimulationSetup, outcome: &SimulationOutcome) -> Self {
        let states = [outcome.pre_migration, outcome.freeze, outcome.post_migration];
        Self { name: setup.policy.name.to_string(), states, range_ms: None }
    }

    /// As far as it can be told.
    fn length_ms(&self) -> f64 {
        let bar: f64 = self.states.iter().filter_map(|state| state.ns()).map(|ns| ns as f64 / 1e6).sum();
        self.range_ms.map_or(bar, |(_, longest)| longest.max(bar))
    }
}

/// A bar for each of these runs.
///
/// # Errors
/// It cannot be drawn.
pub fn durations(runs: &[SimulationRun]) -> Result<String, FigureError> {
    let bars = runs.iter().map(|run| Bar::of(&run.setup, &run.outcome)).collect();
    panels(vec![("duration in ms".to_owned(), bars)])
}

/// All algorithms in the published setting, normal, best and worst case side by side; generic as a range over the mix
/// of page kinds.
///
/// # Errors
/// Something cannot be simulated, or the figure not be drawn.
pub fn cases() -> Result<String, FigureError> {
    let panel = |case: Case| -> Result<_, SimulationError> {
        let bar = |policy: Policy| {
            let setup = case.setup(policy);
            let mut bar = Bar::of(&setup, &run(&setup)?);
            if setup.policy == Policy::GENERIC {
                bar.range_ms = Some(range_ms(&setup)?);
            }
            Ok(bar)
        };
        let bars = Policy::ALL.into_iter().map(bar).collect::<Result<_, SimulationError>>()?;
        Ok((format!("{} case, duration in ms", case.name()), bars))
    };
    panels(Case::ALL.into_iter().map(panel).collect::<Result<_, _>>()?)
}

/// Shortest and longest total over all mixes of file-mapped and private, modified and unmodified pages.
fn range_ms(setup: &SimulationSetup) -> Result<(f64, f64), SimulationError> {
    let mut range_ms = (f64::INFINITY, 0f64);
    let shares = [Fraction::NONE, Fraction::HALF, Fraction::ALL];
    for (mapped_share, dirty_share) in
        shares.into_iter().flat_map(|mapped| shares.map(|dirty| (mapped, dirty)))
    {
        let outcome = run(&SimulationSetup { mapped_share, dirty_share, ..setup.clone() })?;
        let ms = outcome.total().ns().map_or(f64::INFINITY, |ns| ns as f64 / 1e6);
        range_ms = (range_ms.0.min(ms), range_ms.1.max(ms));
    }
    Ok(range_ms)
}

fn panels(panels: Vec<(String, Vec<Bar>)>) -> Result<String, FigureError> {
    let rows = panels.iter().map(|(_, bars)| bars.len()).max().unwrap_or(0) as i32;
    let longest_ms = panels.iter().flat_map(|(_, bars)| bars).map(Bar::length_ms).fold(1.0, f64::max);
    let width = LABEL_WIDTH + PANEL_WIDTH * panels.len() as i32;
    let height = HEAD_HEIGHT + rows * ROW_HEIGHT + FOOT_HEIGHT;
    drawn((width as u32, height as u32), |canvas| {
        for (at, (title, bars)) in (0..).zip(&panels) {
            let left = LABEL_WIDTH + at * PANEL_WIDTH;
            let panel = Panel { canvas, left, scale: f64::from(PANEL_WIDTH - 50) / longest_ms, longest_ms };
            panel.draw(title, bars)?;
            if at == 0 {
                for (row, bar) in (0..).zip(bars) {
                    text(canvas, &bar.name, (LABEL_WIDTH - 8, middle(row)), HPos::Right)?;
                }
            }
        }
        legend(canvas, height - 18)
    })
}

struct Panel<'a, 'b> {
    canvas: &'a Canvas<'b>,
    /// Where its zero is, in pixels.
    left: i32,
    /// Pixels for a millisecond.
    scale: f64,
    longest_ms: f64,
}

impl Panel<'_, '_> {
    fn draw(&self, title: &str, bars: &[Bar]) -> Result<(), FigureError> {
        let bottom = middle(bars.len() as i32 - 1) + ROW_HEIGHT / 2;
        text(self.canvas, title, (self.left, 16), HPos::Left)?;
        let step_ms = step(self.longest_ms);
        for tick in 0..=(self.longest_ms / step_ms) as i32 {
            let ms = f64::from(tick) * step_ms;
            let grid = [(self.at(ms), HEAD_HEIGHT - 6), (self.at(ms), bottom)];
            self.canvas.draw(&PathElement::new(grid, RGBColor(221, 221, 221))).map_err(drawing)?;
            text(self.canvas, &format!("{ms}"), (self.at(ms), bottom + 12), HPos::Center)?;
        }
        (0..).zip(bars).try_for_each(|(row, bar)| self.bar(middle(row), bar))
    }

    fn bar(&self, middle: i32, bar: &Bar) -> Result<(), FigureError> {
        let (top, bottom) = (middle - ROW_HEIGHT / 3, middle + ROW_HEIGHT / 3);
        let mut done_ms = 0.0;
        for (state, colour) in bar.states.into_iter().zip(COLOURS) {
            let end_ms = match state {
                Span::Ns(ns) => done_ms + ns as f64 / 1e6,
                Span::Endless => self.longest_ms,
                Span::NotReached => done_ms,
            };
            let corners = [(self.at(done_ms), top), (self.at(end_ms), bottom)];
            let style = if state == Span::Endless { colour.mix(0.5).filled() } else { colour.filled() };
            if end_ms > done_ms {
                self.canvas.draw(&Rectangle::new(corners, style)).map_err(drawing)?;
            }
            if state == Span::Endless {
                text(self.canvas, "→ ∞", (self.at(end_ms) + 4, middle), HPos::Left)?;
            }
            done_ms = end_ms;
        }
        bar.range_ms.map_or(Ok(()), |range_ms| self.range(middle, range_ms))
    }

    fn range(&self, middle: i32, (from_ms, to_ms): (f64, f64)) -> Result<(), FigureError> {
        let (from, to) = (self.at(from_ms), self.at(to_ms));
        let tick = |at| [(at, middle - 5), (at, middle + 5)];
        for line in [[(from, middle), (to, middle)], tick(from), tick(to)] {
            self.canvas.draw(&PathElement::new(line, BLACK)).map_err(drawing)?;
        }
        Ok(())
    }

    fn at(&self, ms: f64) -> i32 {
        self.left + (ms * self.scale).round() as i32
    }
}

/// A round number of milliseconds such that there are a handful of them.
fn step(longest_ms: f64) -> f64 {
    let magnitude = 10f64.powf((longest_ms / 5.0).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    magnitude * factors.into_iter().find(|factor| longest_ms / (magnitude * factor) <= 5.0).unwrap_or(10.0)
}

fn middle(row: i32) -> i32 {
    HEAD_HEIGHT + row * ROW_HEIGHT + ROW_HEIGHT / 2
}

fn legend(canvas: &Canvas<'_>, middle: i32) -> Result<(), FigureError> {
    for (at, (state, colour)) in (0..).zip(STATES.into_iter().zip(COLOURS)) {
        let left = LABEL_WIDTH + 170 * at;
        let corners = [(left, middle - 6), (left + 12, middle + 6)];
        canvas.draw(&Rectangle::new(corners, colour.filled())).map_err(drawing)?;
        text(canvas, state, (left + 18, middle), HPos::Left)?;
    }
    Ok(())
}

fn text(canvas: &Canvas<'_>, text: &str, at: (i32, i32), anchor: HPos) -> Result<(), FigureError> {
    canvas.draw_text(text, &font(13).pos(Pos::new(anchor, VPos::Center)), at).map_err(drawing)
}
