//! What the colours and signs of a figure mean, in a box inside it.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Canvas, FigureError, FigureStyle, wrong};

/// An entry: what is drawn, and what it means.
#[derive(Clone, Debug)]
pub(super) struct LegendEntry {
    pub key: LegendKey,
    pub text: String,
}

/// What an entry shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum LegendKey {
    /// A piece of a line.
    Line(ShapeStyle),
    /// A filled box.
    Box(RGBColor),
    /// A line between two ends.
    Range,
    /// A sign.
    Sign(&'static str),
}

const TEXT_SIZE: u32 = 10;
const LEADING: u32 = 14;
const KEY_WIDTH: i32 = 32;

/// Width and height of the box.
pub(super) fn size(entries: &[LegendEntry], style: &FigureStyle) -> (i32, i32) {
    let widest = entries.iter().map(|entry| style.width_of(&entry.text, TEXT_SIZE)).max().unwrap_or(0);
    let height = entries.len() as u32 * style.scaled(LEADING) + 6;
    (widest as i32 + KEY_WIDTH + 10, height as i32)
}

/// Draws it with its upper left corner there.
pub(super) fn draw<B: DrawingBackend>(
    area: &Canvas<B>,
    entries: &[LegendEntry],
    style: &FigureStyle,
    (left, top): (i32, i32),
) -> Result<(), FigureError> {
    if entries.is_empty() {
        return Ok(());
    }
    let (width, height) = size(entries, style);
    let corners = [(left, top), (left + width, top + height)];
    area.draw(&Rectangle::new(corners, WHITE.mix(0.85).filled())).map_err(wrong)?;
    area.draw(&Rectangle::new(corners, RGBColor(200, 200, 200))).map_err(wrong)?;
    let leading = style.scaled(LEADING) as i32;
    for (row, entry) in (0..).zip(entries) {
        let middle = top + 3 + row * leading + leading / 2;
        let from = left + 5;
        let to = from + KEY_WIDTH - 8;
        match entry.key {
            LegendKey::Line(shape) => {
                area.draw(&PathElement::new([(from, middle), (to, middle)], shape)).map_err(wrong)?;
            }
            LegendKey::Box(colour) => {
                let corners = [(from, middle - 4), (to, middle + 4)];
                area.draw(&Rectangle::new(corners, colour.filled())).map_err(wrong)?;
            }
            LegendKey::Range => range(area, (from, to), middle, 4)?,
            LegendKey::Sign(sign) => {
                let anchored = style.anchored(TEXT_SIZE, HPos::Center);
                area.draw_text(sign, &anchored, ((from + to) / 2, middle)).map_err(wrong)?;
            }
        }
        let anchored = style.anchored(TEXT_SIZE, HPos::Left);
        area.draw_text(&entry.text, &anchored, (left + KEY_WIDTH + 3, middle)).map_err(wrong)?;
    }
    Ok(())
}

/// A line with two ends.
pub(super) fn range<B: DrawingBackend>(
    area: &Canvas<B>,
    (from, to): (i32, i32),
    middle: i32,
    half: i32,
) -> Result<(), FigureError> {
    let tick = |at| [(at, middle - half), (at, middle + half)];
    for line in [[(from, middle), (to, middle)], tick(from), tick(to)] {
        area.draw(&PathElement::new(line, BLACK)).map_err(wrong)?;
    }
    Ok(())
}
