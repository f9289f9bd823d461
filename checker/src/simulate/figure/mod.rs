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
