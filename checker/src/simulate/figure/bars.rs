//! Durations as bars, stacked by the state of the process.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use protocol::policy::Policy;

use super::legend::{self, LegendEntry, LegendKey};
use super::{Canvas, Drawing, FigureError, FigureSize, FigureStyle, drawn, roomy, wrong};
use crate::simulate::paper::Case;
use crate::simulate::report::{SimulationRun, in_words};
use crate::simulate::{Fraction, SimulationError, SimulationOutcome, SimulationSetup, Span, run};

/// Of Pre-migration, Migration and Post-migration.
const COLOURS: [RGBColor; 3] = [RGBColor(158, 202, 225), RGBColor(217, 72, 1), RGBColor(161, 217, 155)];
const STATES: [&str; 3] = ["Pre-migration", "Migration (frozen)", "Post-migration"];

/// Pixels, where titles of axes have thirteen.
const ROW_HEIGHT: u32 = 26;
const HEAD_HEIGHT: u32 = 36;
const FOOT_HEIGHT: u32 = 44;
const PANEL_WIDTH: u32 = 330;
const LABEL_SIZE: u32 = 13;
/// To the right of a panel, where what never ends says so.
const MARGIN: u32 = 50;

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

    fn is_endless(&self) -> bool {
        self.states.contains(&Span::Endless)
    }
}

/// Bars below a title.
struct Panel {
    title: String,
    bars: Vec<Bar>,
}

/// A bar for each of these runs.
///
/// # Errors
/// It cannot be drawn.
pub fn durations(runs: &[SimulationRun], style: &FigureStyle) -> Result<String, FigureError> {
    let bars = runs.iter().map(|run| Bar::of(&run.setup, &run.outcome)).collect();
    let caption = runs.first().map_or(String::new(), |run| in_words(&run.setup));
    figure(vec![Panel { title: String::new(), bars }], &caption, style)
}

/// All algorithms in the published setting, normal, best and worst case side by side; generic as a range over the mix
/// of page kinds.
///
/// # Errors
/// Something cannot be simulated, or the figure not be drawn.
pub fn cases(style: &FigureStyle) -> Result<String, FigureError> {
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
        Ok(Panel { title: format!("{} case", case.name()), bars })
    };
    let panels = Case::ALL.into_iter().map(panel).collect::<Result<_, _>>()?;
    figure(panels, &in_words(&Case::Normal.setup(Policy::GENERIC)), style)
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

fn figure(panels: Vec<Panel>, caption: &str, style: &FigureStyle) -> Result<String, FigureError> {
    let bars = || panels.iter().flat_map(|panel| &panel.bars);
    let rows = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or(0) as u32;
    let longest_ms = bars().map(Bar::length_ms).fold(1.0, f64::max);
    let label_width = bars().map(|bar| style.width_of(&bar.name, LABEL_SIZE)).max().unwrap_or(0) + 16;
    let count = panels.len() as u32;
    let usual_width = label_width + style.scaled(PANEL_WIDTH) * count;
    let width = style.size.map_or(usual_width, |size| size.width);
    let caption = style.caption_lines(caption, width);
    let fixed = style.scaled(HEAD_HEIGHT) + style.scaled(FOOT_HEIGHT) + style.caption_height(caption.len());
    let usual = FigureSize { width, height: fixed + rows * style.scaled(ROW_HEIGHT) };
    let least = (label_width + count * style.scaled(MARGIN) * 2, fixed + rows * style.scaled(LABEL_SIZE));
    let size = roomy(style.size.unwrap_or(usual), least.0, least.1)?;
    let row_height = size.height.saturating_sub(fixed).checked_div(rows).unwrap_or(0) as i32;
    let panel_width = ((size.width - label_width) / count.max(1)) as i32;
    let scale = f64::from(panel_width - style.scaled(MARGIN) as i32) / longest_ms;
    let (left, head) = (label_width as i32, style.scaled(HEAD_HEIGHT) as i32);
    let mut bars =
        Bars { panels, caption, style, size, left, head, row_height, panel_width, longest_ms, scale };
    let (legend_width, _) = legend::size(&bars.entries(), style);
    if bars.corner().is_some_and(|(_, hidden)| hidden > 0) {
        // Where there is no room beside the bars, they are shorter.
        let rest = (panel_width - legend_width - style.scaled(MARGIN) as i32).max(panel_width / 4);
        bars.scale = f64::from(rest) / longest_ms;
    }
    drawn(&bars, style.notation)
}

struct Bars<'a> {
    panels: Vec<Panel>,
    caption: Vec<String>,
    style: &'a FigureStyle,
    size: FigureSize,
    /// Where the first panel begins, and where its bars do.
    left: i32,
    head: i32,
    row_height: i32,
    panel_width: i32,
    longest_ms: f64,
    /// Pixels for a millisecond.
    scale: f64,
}

impl Drawing for Bars<'_> {
    fn size(&self) -> (u32, u32) {
        (self.size.width, self.size.height)
    }

    fn draw<B: DrawingBackend>(&self, area: &Canvas<B>) -> Result<(), FigureError> {
        for (at, panel) in (0..).zip(&self.panels) {
            self.panel(area, panel, self.left + at * self.panel_width)?;
        }
        if let Some(panel) = self.panels.first() {
            for (row, bar) in (0..).zip(&panel.bars) {
                let mut label = self.style.anchored(LABEL_SIZE, HPos::Right);
                if bar.name == "generic" {
                    label.font = label.font.style(FontStyle::Bold);
                }
                area.draw_text(&bar.name, &label, (self.left - 8, self.middle(row))).map_err(wrong)?;
            }
        }
        let entries = self.entries();
        if let Some((corner, _)) = self.corner() {
            legend::draw(area, &entries, self.style, corner)?;
        }
        let below = self.size.height - self.style.caption_height(self.caption.len());
        let (_, foot) = area.split_vertically(below);
        self.style.draw_caption(&foot, &self.caption)
    }
}

impl Bars<'_> {
    fn panel<B: DrawingBackend>(
        &self,
        area: &Canvas<B>,
        panel: &Panel,
        left: i32,
    ) -> Result<(), FigureError> {
        let bottom = self.head + panel.bars.len() as i32 * self.row_height;
        let small = self.style.anchored(11, HPos::Center);
        let axis_middle = left + (self.longest_ms * self.scale) as i32 / 2;
        let title = self.style.anchored(LABEL_SIZE, HPos::Center);
        area.draw_text(&panel.title, &title, (axis_middle, self.style.scaled(14) as i32)).map_err(wrong)?;
        let step_ms = step(self.longest_ms);
        for tick in 0..=(self.longest_ms / step_ms) as i32 {
            let ms = f64::from(tick) * step_ms;
            let at = self.at(left, ms);
            let grid = [(at, self.head - 6), (at, bottom)];
            area.draw(&PathElement::new(grid, RGBColor(221, 221, 221))).map_err(wrong)?;
            let below = bottom + self.style.scaled(10) as i32;
            area.draw_text(&format!("{ms}"), &small, (at, below)).map_err(wrong)?;
        }
        let below = bottom + self.style.scaled(28) as i32;
        area.draw_text("Duration in ms", &title, (axis_middle, below)).map_err(wrong)?;
        (0..).zip(&panel.bars).try_for_each(|(row, bar)| self.bar(area, bar, left, self.middle(row)))
    }

    fn bar<B: DrawingBackend>(
        &self,
        area: &Canvas<B>,
        bar: &Bar,
        left: i32,
        middle: i32,
    ) -> Result<(), FigureError> {
        let (top, bottom) = (middle - self.row_height / 3, middle + self.row_height / 3);
        let mut done_ms = 0.0;
        for (state, colour) in bar.states.into_iter().zip(COLOURS) {
            let end_ms = match state {
                Span::Ns(ns) => done_ms + ns as f64 / 1e6,
                Span::Endless => self.longest_ms,
                Span::NotReached => done_ms,
            };
            let corners = [(self.at(left, done_ms), top), (self.at(left, end_ms), bottom)];
            let style = if state == Span::Endless { colour.mix(0.5).filled() } else { colour.filled() };
            if end_ms > done_ms {
                area.draw(&Rectangle::new(corners, style)).map_err(wrong)?;
            }
            if state == Span::Endless {
                let sign = self.style.anchored(LABEL_SIZE, HPos::Left);
                area.draw_text("→ ∞", &sign, (self.at(left, end_ms) + 4, middle)).map_err(wrong)?;
            }
            done_ms = end_ms;
        }
        match bar.range_ms {
            Some((from_ms, to_ms)) => {
                legend::range(area, (self.at(left, from_ms), self.at(left, to_ms)), middle, 5)
            }
            None => Ok(()),
        }
    }

    /// What occurs.
    fn entries(&self) -> Vec<LegendEntry> {
        let bars = || self.panels.iter().flat_map(|panel| &panel.bars);
        let occurs = |at: usize| {
            bars().any(|bar| match bar.states[at] {
                Span::Ns(ns) => ns > 0,
                Span::Endless => true,
                Span::NotReached => false,
            })
        };
        let states = STATES.into_iter().zip(COLOURS).enumerate().filter(|(at, _)| occurs(*at));
        let mut entries: Vec<LegendEntry> = states
            .map(|(_, (state, colour))| LegendEntry { key: LegendKey::Box(colour), text: state.to_owned() })
            .collect();
        if bars().any(|bar| bar.range_ms.is_some()) {
            let text = "over all mixes of pages".to_owned();
            entries.push(LegendEntry { key: LegendKey::Range, text });
        }
        if bars().any(Bar::is_endless) {
            entries.push(LegendEntry { key: LegendKey::Sign("→ ∞"), text: "never ends".to_owned() });
        }
        entries
    }

    /// Where the legend hides the least of any bar, at the right of some panel and beside some rows; and how many pixels of
    /// bars it hides there.
    fn corner(&self) -> Option<((i32, i32), i32)> {
        let (width, height) = legend::size(&self.entries(), self.style);
        let rows = self.panels.iter().map(|panel| panel.bars.len()).max()? as i32;
        let places = (0..).zip(&self.panels).flat_map(|(at, panel)| {
            let right = self.left + (at + 1) * self.panel_width - 4;
            (0..rows).map(move |row| (panel, self.left + at * self.panel_width, right, row))
        });
        let hidden = |(panel, left, right, row): &(&Panel, i32, i32, i32)| {
            let top = self.head + row * self.row_height;
            let beside = (0..).zip(&panel.bars).filter(|(row, _)| {
                self.middle(*row) + self.row_height / 3 > top
                    && self.middle(*row) - self.row_height / 3 < top + height
            });
            let end = |bar: &Bar| {
                let ms = if bar.is_endless() { self.longest_ms } else { bar.length_ms() };
                self.at(*left, ms) + if bar.is_endless() { self.style.scaled(30) as i32 } else { 0 }
            };
            let hidden: i32 = beside.map(|(_, bar)| (end(bar) - (right - width)).max(0)).sum();
            let below = (top + height - (self.head + rows * self.row_height)).max(0);
            (below, hidden)
        };
        let place = places.min_by_key(hidden)?;
        let ((_, hidden), (_, _, right, row)) = (hidden(&place), place);
        Some(((right - width, self.head + row * self.row_height + 1), hidden))
    }

    fn at(&self, left: i32, ms: f64) -> i32 {
        left + (ms * self.scale).round() as i32
    }

    fn middle(&self, row: i32) -> i32 {
        self.head + row * self.row_height + self.row_height / 2
    }
}

/// A round number of milliseconds such that there are a handful of them.
fn step(longest_ms: f64) -> f64 {
    let magnitude = 10f64.powf((longest_ms / 5.0).log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    magnitude * factors.into_iter().find(|factor| longest_ms / (magnitude * factor) <= 5.0).unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn_with(states: [Span; 3]) -> String {
        let bar = Bar { name: "post_copy".to_owned(), states, range_ms: None };
        figure(vec![Panel { title: String::new(), bars: vec![bar] }], "", &FigureStyle::default())
            .expect("a figure")
    }

    #[test]
    fn the_legend_has_what_occurs_and_nothing_else() {
        let ends = drawn_with([Span::Ns(0), Span::Ns(5_000_000), Span::Ns(9_000_000)]);
        let words = |figure: &str| {
            ["Pre-migration", "frozen", "Post-migration", "never ends", "∞", "mixes"]
                .map(|word| figure.contains(word))
        };
        assert_eq!(words(&ends), [false, true, true, false, false, false]);
        let endless = drawn_with([Span::Endless, Span::NotReached, Span::NotReached]);
        assert_eq!(words(&endless), [true, false, false, true, true, false]);
    }
}
