//! Figures, as SVG: the same input gives the same bytes.
//!
//! [`cases`] shows the durations of all algorithms in the published setting, [`durations`] those of some runs,
//! [`curves`] what a sweep comes to.

mod bars;
mod curves;

pub use bars::{cases, durations};
pub use curves::curves;

use plotters::prelude::*;

use super::SimulationError;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// What it was to show could not be simulated.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// It could not be drawn.
    #[error("the figure cannot be drawn: {0}")]
    Drawing(String),
}

/// Draws on a white canvas of this size, in pixels.
fn drawn(
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Result<(), FigureError>,
) -> Result<String, FigureError> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas.fill(&WHITE).map_err(drawing)?;
        draw(&canvas)?;
        canvas.present().map_err(drawing)?;
    }
    Ok(svg)
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn drawing(error: impl std::fmt::Display) -> FigureError {
    FigureError::Drawing(error.to_string())
}

/// Text of this size in pixels.
fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_text_style(&(1, 1))
}

/// A palette that can be told apart also by those who see fewer colours: a colour for each algorithm, the same in every
/// figure.
const COLOURS: [(&str, RGBColor); 9] = [
    ("total-copy", RGBColor(0, 0, 0)),
    ("total-copy-dirty", RGBColor(130, 130, 130)),
    ("pre-copy", RGBColor(0, 114, 178)),
    ("pre-copy-unbounded", RGBColor(86, 180, 233)),
    ("lazy-copy", RGBColor(230, 159, 0)),
    ("flushing", RGBColor(120, 200, 80)),
    ("post-copy", RGBColor(0, 158, 115)),
    ("assisted-post-copy", RGBColor(204, 121, 167)),
    ("generic", RGBColor(213, 94, 0)),
];

/// The line of an algorithm: *generic* is the widest; others have the next colour in turn.
fn style(name: &str, at: usize) -> ShapeStyle {
    let known = COLOURS.iter().find(|(known, _)| *known == name);
    let (_, colour) = known.unwrap_or(&COLOURS[at % COLOURS.len()]);
    let stroke_width = if name == "generic" { 4 } else { 2 };
    ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width }
}
