//! What a sweep comes to, as curves: freeze, total, faults and others against the parameter.

use std::fmt;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::legend::{self, LegendEntry, LegendKey};
use super::{AxisScale, Canvas, Drawing, FigureError, FigureSize, FigureStyle, drawn, roomy, style, wrong};
use crate::simulate::report::{Swept, in_words};
use crate::simulate::summary::Spread;
use crate::simulate::sweep::Point;

/// Pixels, where titles of axes have thirteen.
const PANEL_WIDTH: u32 = 360;
const PANEL_HEIGHT: u32 = 320;
const MARGIN: u32 = 10;
const RIGHT_MARGIN: u32 = 28;
const X_LABELS: u32 = 44;
const Y_LABELS: u32 = 66;

/// From this factor between the largest and the smallest value on, the axis is logarithmic.
const STEEP: f64 = 20.0;

/// What is drawn against the parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureMeasure {
    /// For how long the process is frozen.
    Freeze,
    /// From the start until it is back at rest.
    Total,
    /// Accesses that wait for a page.
    Faults,
    /// For how long it waits for pages, in all.
    Stall,
    /// The share of its time that it loses, apart from the freeze.
    Slowdown,
    /// Bytes of all messages.
    Traffic,
}

impl FigureMeasure {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Freeze, Self::Total, Self::Faults, Self::Stall, Self::Slowdown, Self::Traffic];

    /// Those that are drawn unless others are asked for.
    pub const USUAL: [Self; 3] = [Self::Freeze, Self::Total, Self::Faults];

    fn title(self) -> &'static str {
        match self {
            Self::Freeze => "Freeze in ms",
            Self::Total => "Total in ms",
            Self::Faults => "Faults that wait for a page",
            Self::Stall => "Waited for pages in ms",
            Self::Slowdown => "Slowed down by, in %",
            Self::Traffic => "Sent in MB",
        }
    }

    fn value(self, point: &Point) -> Option<f64> {
        let ms = |spread: Option<Spread>| spread.map(|spread| spread.mean / 1e6);
        let summary = &point.summary;
        match self {
            Self::Freeze => ms(summary.freeze_ns),
            Self::Total => ms(summary.total_ns),
            Self::Faults => Some(summary.faults.mean),
            Self::Stall => ms(Some(summary.stall_ns)),
            Self::Slowdown => Some(summary.slowdown.mean * 100.0),
            Self::Traffic => ms(Some(summary.bytes)),
        }
    }
}

impl fmt::Display for FigureMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Freeze => "freeze",
            Self::Total => "total",
            Self::Faults => "faults",
            Self::Stall => "stall",
            Self::Slowdown => "slowdown",
            Self::Traffic => "traffic",
        })
    }
}

/// The curves of a sweep. What does not end is not drawn.
///
/// # Errors
/// They cannot be drawn.
pub fn curves(swept: &Swept, style: &FigureStyle) -> Result<String, FigureError> {
    let first = swept.curves.first().and_then(|curve| curve.first());
    let setup = first.map_or(String::new(), |point| in_words(&point.setup));
    let count = style.panels.len() as u32;
    let width = style.size.map_or(style.scaled(PANEL_WIDTH) * count, |size| size.width);
    let caption = style.caption_lines(&setup, width);
    let below = style.caption_height(caption.len());
    let usual = FigureSize { width, height: style.scaled(PANEL_HEIGHT) + below };
    let labels = (style.scaled(Y_LABELS) + 2 * MARGIN, style.scaled(X_LABELS) + 2 * MARGIN);
    let size = roomy(style.size.unwrap_or(usual), 2 * labels.0 * count, 2 * labels.1 + below)?;
    drawn(&Curves { swept, style, size, caption }, style.notation)
}

struct Curves<'a> {
    swept: &'a Swept,
    style: &'a FigureStyle,
    size: FigureSize,
    caption: Vec<String>,
}

impl Drawing for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (self.size.width, self.size.height)
    }

    fn draw<B: DrawingBackend>(&self, area: &Canvas<B>) -> Result<(), FigureError> {
        let below = self.style.caption_height(self.caption.len());
        let (panels, caption) = area.split_vertically(self.size.height - below);
        let areas = panels.split_evenly((1, self.style.panels.len()));
        for (number, (area, measure)) in areas.iter().zip(&self.style.panels).enumerate() {
            let Curves { swept, style, .. } = *self;
            Panel { area, swept, style, measure: *measure, has_legend: number == 0 }.draw()?;
        }
        self.style.draw_caption(&caption, &self.caption)
    }
}

struct Panel<'a, B: DrawingBackend> {
    area: &'a Canvas<B>,
    swept: &'a Swept,
    style: &'a FigureStyle,
    measure: FigureMeasure,
    has_legend: bool,
}

/// Where a point is in a panel, from nothing to one, from the left and from below.
type Place = (f64, f64);

impl<B: DrawingBackend> Panel<'_, B> {
    fn draw(&self) -> Result<(), FigureError> {
        let sweep = &self.swept.sweep;
        let (from, to) = (sweep.from.min(sweep.to), sweep.from.max(sweep.to));
        let across = match self.style.x_axis {
            AxisScale::Auto => sweep.is_logarithmic(),
            AxisScale::Linear => false,
            AxisScale::Logarithmic if from > 0.0 => true,
            AxisScale::Logarithmic => return Err(FigureError::NoLogarithm(sweep.parameter.to_string())),
        };
        let values = || self.swept.curves.iter().flatten().filter_map(|point| self.measure.value(point));
        let most = values().fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let positive = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min).min(most);
        let up = match self.style.y_axis {
            // Equal factors where they are large; nothing has no logarithm.
            AxisScale::Auto => values().all(|value| value > 0.0) && most / positive >= STEEP,
            AxisScale::Linear => false,
            AxisScale::Logarithmic => true,
        };
        let (low, high) = if up { (positive / 1.5, most * 1.5) } else { (0.0, most * 1.05) };
        let part = |value: f64, (from, to): (f64, f64), logarithmic: bool| match logarithmic {
            true => (value / from).ln() / (to / from).ln(),
            false => (value - from) / (to - from),
        };
        let place = |x: f64, y: f64| (part(x, (from, to), across), part(y, (low, high), up));
        match (across, up) {
            (true, true) => self.plot((from..to).log_scale(), (low..high).log_scale(), up, &place),
            (true, false) => self.plot((from..to).log_scale(), low..high, up, &place),
            (false, true) => self.plot(from..to, (low..high).log_scale(), up, &place),
            (false, false) => self.plot(from..to, low..high, up, &place),
        }
    }

    fn plot<X, Y>(&self, x: X, y: Y, up: bool, place: &dyn Fn(f64, f64) -> Place) -> Result<(), FigureError>
    where
        X: AsRangedCoord<Value = f64>,
        Y: AsRangedCoord<Value = f64>,
        X::CoordDescType: ValueFormatter<f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let parameter = self.swept.sweep.parameter;
        let mut chart = ChartBuilder::on(self.area)
            .margin(MARGIN)
            // Half of the last value of the axis.
            .margin_right(self.style.scaled(RIGHT_MARGIN))
            .x_label_area_size(self.style.scaled(X_LABELS))
            .y_label_area_size(self.style.scaled(Y_LABELS))
            .build_cartesian_2d(x, y)
            .map_err(wrong)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_labels(5)
            .x_label_formatter(&|value| parameter.unit().show(*value))
            .y_label_formatter(&|value| format!("{value}"))
            .x_desc(parameter.title())
            .y_desc(self.measure.title())
            .label_style(self.style.text(11))
            .axis_desc_style(self.style.text(13))
            .draw()
            .map_err(wrong)?;
        let names: Vec<&str> = self.swept.curves.iter().map(|curve| name(curve)).collect();
        let mut places = Vec::new();
        let mut entries = Vec::new();
        for curve in &self.swept.curves {
            let style = style(name(curve), &names);
            // A curve is interrupted where something does not end, and where nothing has no logarithm.
            let value = |point: &Point| self.measure.value(point).filter(|value| !up || *value > 0.0);
            let mut is_drawn = false;
            for part in curve.split(|point| value(point).is_none()) {
                let points: Vec<_> =
                    part.iter().filter_map(|point| Some((point.value, value(point)?))).collect();
                is_drawn |= !points.is_empty();
                let corners: Vec<Place> = points.iter().map(|&(x, y)| place(x, y)).collect();
                places.extend(corners.windows(2).flat_map(|ends| between(ends[0], ends[1])));
                let dots: Vec<_> =
                    points.iter().map(|&point| Circle::new(point, 2, style.color.filled())).collect();
                chart.draw_series(LineSeries::new(points, style)).map_err(wrong)?;
                chart.draw_series(dots).map_err(wrong)?;
            }
            // One that is drawn nowhere is not pointed at.
            if is_drawn || self.is_drawn_elsewhere(curve) {
                entries.push(LegendEntry { key: LegendKey::Line(style), text: name(curve).to_owned() });
            }
        }
        if self.has_legend {
            let plotting = chart.plotting_area().strip_coord_spec();
            legend::draw(&plotting, &entries, self.style, self.corner(&plotting, &entries, &places))?;
        }
        Ok(())
    }

    fn is_drawn_elsewhere(&self, curve: &[Point]) -> bool {
        self.style.panels.iter().any(|measure| curve.iter().any(|point| measure.value(point).is_some()))
    }

    /// Where the least of any line is hidden: in a corner, or in the middle of a side.
    fn corner(&self, area: &Canvas<B>, entries: &[LegendEntry], places: &[Place]) -> (i32, i32) {
        let (width, height) = legend::size(entries, self.style);
        let (across, down) = area.dim_in_pixel();
        let (across, down) = (across as i32, down as i32);
        let (right, bottom) = ((across - width - 6).max(0), (down - height - 6).max(0));
        let hidden = |&(left, top): &(i32, i32)| {
            let is_in = |&&(x, y): &&Place| {
                let (x, y) = ((x * f64::from(across)) as i32, ((1.0 - y) * f64::from(down)) as i32);
                (left - 4..left + width + 4).contains(&x) && (top - 4..top + height + 4).contains(&y)
            };
            places.iter().filter(is_in).count()
        };
        let (centre, middle) = (right / 2, bottom / 2);
        let corners = [(6, 6), (right, 6), (6, bottom), (right, bottom)];
        let sides = [(6, middle), (right, middle), (centre, 6), (centre, bottom)];
        corners.into_iter().chain(sides).min_by_key(hidden).unwrap_or((6, 6))
    }
}

/// Places on the line from one to the other.
fn between((x, y): Place, (to_x, to_y): Place) -> impl Iterator<Item = Place> {
    const STEPS: u32 = 8;
    (0..=STEPS).map(move |step| {
        let share = f64::from(step) / f64::from(STEPS);
        (x + (to_x - x) * share, y + (to_y - y) * share)
    })
}

fn name(curve: &[Point]) -> &str {
    curve.first().map_or("", |point| &point.setup.policy.name)
}
