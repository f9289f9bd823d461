//! What a sweep comes to, as curves: freeze, total and faults against the parameter.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Canvas, FigureError, drawing, drawn, font};
use crate::simulate::Outcome;
use crate::simulate::report::Swept;
use crate::simulate::sweep::Point;

const PANEL_SIZE: (u32, u32) = (340, 300);
const LEGEND_WIDTH: u32 = 170;

/// From this factor between the largest and the smallest value on, the axis is logarithmic.
const STEEP: f64 = 20.0;

/// A palette that can be told apart also by those who see fewer colours.
const COLOURS: [RGBColor; 9] = [
    RGBColor(0, 0, 0),
    RGBColor(130, 130, 130),
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(120, 200, 80),
    RGBColor(204, 121, 167),
];

/// What is drawn against the parameter.
struct Measure {
    title: &'static str,
    value: fn(&Outcome) -> Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure { title: "freeze in ms", value: |outcome| ms(outcome.freeze.ns()) },
    Measure { title: "total in ms", value: |outcome| ms(outcome.total().ns()) },
    Measure { title: "faults", value: |outcome| Some(outcome.faults.remote() as f64) },
];

fn ms(ns: Option<u64>) -> Option<f64> {
    ns.map(|ns| ns as f64 / 1e6)
}

/// The curves of a sweep. What does not end is not drawn.
///
/// # Errors
/// They cannot be drawn.
pub fn curves(swept: &Swept) -> Result<String, FigureError> {
    let width = PANEL_SIZE.0 * MEASURES.len() as u32;
    drawn((width + LEGEND_WIDTH, PANEL_SIZE.1), |canvas| {
        let (panels, legend) = canvas.split_horizontally(width);
        for (area, measure) in panels.split_evenly((1, MEASURES.len())).iter().zip(&MEASURES) {
            draw(area, swept, measure)?;
        }
        name_curves(&legend, swept)
    })
}

fn draw(area: &Canvas<'_>, swept: &Swept, measure: &Measure) -> Result<(), FigureError> {
    let (from, to) = (swept.sweep.from.min(swept.sweep.to), swept.sweep.from.max(swept.sweep.to));
    let values = swept.curves.iter().flatten().filter_map(|point| (measure.value)(&point.outcome));
    let extend = |(least, most): (f64, f64), value: f64| (least.min(value), most.max(value));
    let (least, most) = values.fold((f64::INFINITY, 1.0), extend);
    let panel = Panel { area, swept, measure };
    // Equal factors where they are large; nothing has no logarithm.
    let (steep, low, high) = (least > 0.0 && most / least >= STEEP, least / 1.5, most * 1.5);
    match (swept.sweep.is_logarithmic(), steep) {
        (true, true) => panel.draw((from..to).log_scale(), (low..high).log_scale()),
        (true, false) => panel.draw((from..to).log_scale(), 0.0..most * 1.05),
        (false, true) => panel.draw(from..to, (low..high).log_scale()),
        (false, false) => panel.draw(from..to, 0.0..most * 1.05),
    }
}

struct Panel<'a, 'b> {
    area: &'a Canvas<'b>,
    swept: &'a Swept,
    measure: &'a Measure,
}

impl Panel<'_, '_> {
    fn draw<X, Y>(&self, x: X, y: Y) -> Result<(), FigureError>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let parameter = self.swept.sweep.parameter;
        let mut chart = ChartBuilder::on(self.area)
            .caption(self.measure.title, font(15))
            .margin(8)
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_labels(5)
            .x_label_formatter(&|value| parameter.unit().show(*value))
            .y_label_formatter(&|value| format!("{value}"))
            .x_desc(parameter.to_string())
            .label_style(font(11))
            .axis_desc_style(font(13))
            .draw()
            .map_err(drawing)?;
        for (curve, style) in self.swept.curves.iter().zip(styles()) {
            // A curve is interrupted where something does not end.
            for part in curve.split(|point| self.value(point).is_none()) {
                let points: Vec<_> =
                    part.iter().filter_map(|point| Some((point.value, self.value(point)?))).collect();
                let dots = points
                    .iter()
                    .map(|&point| Circle::new(point, 2, style.color.filled()))
                    .collect::<Vec<_>>();
                chart.draw_series(LineSeries::new(points, style)).map_err(drawing)?;
                chart.draw_series(dots).map_err(drawing)?;
            }
        }
        Ok(())
    }

    fn value(&self, point: &Point) -> Option<f64> {
        (self.measure.value)(&point.outcome)
    }
}

/// From wide to narrow, so that a curve can be seen below those that lie on it.
fn styles() -> impl Iterator<Item = ShapeStyle> {
    let style = |(at, colour): (usize, RGBColor)| ShapeStyle {
        color: colour.to_rgba(),
        filled: false,
        stroke_width: 1 + (COLOURS.len() - at % COLOURS.len()) as u32 / 2,
    };
    COLOURS.into_iter().cycle().enumerate().map(style)
}

fn name_curves(area: &Canvas<'_>, swept: &Swept) -> Result<(), FigureError> {
    for ((curve, style), row) in swept.curves.iter().zip(styles()).zip(0..) {
        let middle = 40 + 22 * row;
        let name = curve.first().map_or("", |point| &*point.setup.policy.name);
        area.draw(&PathElement::new([(4, middle), (24, middle)], style)).map_err(drawing)?;
        let anchored = font(13).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(name, &anchored, (30, middle)).map_err(drawing)?;
    }
    Ok(())
}
