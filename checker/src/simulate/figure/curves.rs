//! What a sweep comes to, as curves: freeze, total and faults against the parameter.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Canvas, FigureError, drawing, drawn, font, style};
use crate::simulate::report::{Swept, in_words};
use crate::simulate::summary::Spread;
use crate::simulate::sweep::Point;

const PANEL_SIZE: (u32, u32) = (360, 320);
const CAPTION_HEIGHT: u32 = 44;

/// From this factor between the largest and the smallest value on, the axis is logarithmic.
const STEEP: f64 = 20.0;

/// What is drawn against the parameter.
struct Measure {
    title: &'static str,
    value: fn(&Point) -> Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure { title: "Freeze in ms", value: |point| ms(point.summary.freeze_ns) },
    Measure { title: "Total in ms", value: |point| ms(point.summary.total_ns) },
    Measure { title: "Faults that wait for a page", value: |point| Some(point.summary.faults.mean) },
];

fn ms(spread: Option<Spread>) -> Option<f64> {
    spread.map(|spread| spread.mean / 1e6)
}

/// The curves of a sweep. What does not end is not drawn.
///
/// # Errors
/// They cannot be drawn.
pub fn curves(swept: &Swept) -> Result<String, FigureError> {
    let width = PANEL_SIZE.0 * MEASURES.len() as u32;
    drawn((width, PANEL_SIZE.1 + CAPTION_HEIGHT), |canvas| {
        let (panels, caption) = canvas.split_vertically(PANEL_SIZE.1);
        for (number, (area, measure)) in
            panels.split_evenly((1, MEASURES.len())).iter().zip(&MEASURES).enumerate()
        {
            draw(area, swept, measure, number == 0)?;
        }
        let first = swept.curves.first().and_then(|curve| curve.first());
        let setup = first.map_or(String::new(), |point| in_words(&point.setup));
        let anchored = font(10).pos(Pos::new(HPos::Left, VPos::Center));
        (0..).zip(setup.lines()).try_for_each(|(row, line)| {
            caption.draw_text(line, &anchored, (10, 10 + 16 * row)).map_err(drawing)
        })
    })
}

fn draw(area: &Canvas<'_>, swept: &Swept, measure: &Measure, has_legend: bool) -> Result<(), FigureError> {
    let (from, to) = (swept.sweep.from.min(swept.sweep.to), swept.sweep.from.max(swept.sweep.to));
    let values = swept.curves.iter().flatten().filter_map(measure.value);
    let extend = |(least, most): (f64, f64), value: f64| (least.min(value), most.max(value));
    let (least, most) = values.fold((f64::INFINITY, 1.0), extend);
    let panel = Panel { area, swept, measure, has_legend };
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
    has_legend: bool,
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
            .x_desc(parameter.title())
            .label_style(font(11))
            .axis_desc_style(font(13))
            .draw()
            .map_err(drawing)?;
        for (at, curve) in self.swept.curves.iter().enumerate() {
            let name = curve.first().map_or("", |point| &*point.setup.policy.name);
            let style = style(name, at);
            // A curve is interrupted where something does not end.
            for (part_number, part) in curve.split(|point| self.value(point).is_none()).enumerate() {
                let points: Vec<_> =
                    part.iter().filter_map(|point| Some((point.value, self.value(point)?))).collect();
                let dots = points
                    .iter()
                    .map(|&point| Circle::new(point, 2, style.color.filled()))
                    .collect::<Vec<_>>();
                let line = chart.draw_series(LineSeries::new(points, style)).map_err(drawing)?;
                if part_number == 0 && self.has_legend {
                    line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
                }
                chart.draw_series(dots).map_err(drawing)?;
            }
        }
        if self.has_legend {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperLeft)
                .background_style(WHITE.mix(0.8))
                .border_style(RGBColor(200, 200, 200))
                .label_font(font(10))
                .draw()
                .map_err(drawing)?;
        }
        Ok(())
    }

    fn value(&self, point: &Point) -> Option<f64> {
        (self.measure.value)(point)
    }
}
