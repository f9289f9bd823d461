//! Figures, as SVG or TikZ: the same input gives the same bytes.
//!
//! [`cases`] shows the durations of all algorithms in the published setting, [`durations`] those of some runs,
//! [`curves`] what a sweep comes to.

mod bars;
mod curves;
mod legend;
mod tikz;

pub use bars::{cases, durations};
pub use curves::{FigureMeasure, curves};

use std::fmt;
use std::str::FromStr;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::SimulationError;

/// How a figure is to look.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureStyle {
    /// What it is written as.
    pub notation: FigureNotation,
    /// Width and height in pixels; `None`: as what is in it needs.
    pub size: Option<FigureSize>,
    /// The family of fonts.
    pub font: String,
    /// Height of the titles of axes in pixels; the rest is smaller or larger accordingly.
    pub font_size: u32,
    /// Of the parameter that is swept.
    pub x_axis: AxisScale,
    /// Of what it comes to.
    pub y_axis: AxisScale,
    /// What is drawn against the parameter, a panel for each.
    pub panels: Vec<FigureMeasure>,
    /// Whether the setting stands below.
    pub caption: bool,
}

/// What a figure is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureNotation {
    /// For browsers.
    #[default]
    Svg,
    /// For LaTeX.
    Tikz,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureSize {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// What an axis does with numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AxisScale {
    /// Equal factors are equally long where the range asks for it, otherwise equal steps.
    #[default]
    Auto,
    /// Equal steps are.
    Linear,
    /// Equal factors are.
    Logarithmic,
}

/// The height of the titles of axes, unless it is said.
pub const FONT_SIZE: u32 = 13;

impl Default for FigureStyle {
    fn default() -> Self {
        Self {
            notation: FigureNotation::default(),
            size: None,
            font: "sans-serif".to_owned(),
            font_size: FONT_SIZE,
            x_axis: AxisScale::default(),
            y_axis: AxisScale::default(),
            panels: FigureMeasure::USUAL.to_vec(),
            caption: true,
        }
    }
}

impl FigureSize {
    const MIN: u32 = 120;
    const MAX: u32 = 20_000;
}

impl FromStr for FigureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().ok().filter(|it| (Self::MIN..=Self::MAX).contains(it));
        let size = text.split_once('x').and_then(|(width, height)| Some((number(width)?, number(height)?)));
        let (width, height) = size.ok_or_else(|| {
            format!(
                "a size is written WIDTHxHEIGHT, in pixels from {} to {}, as in 720x360",
                Self::MIN,
                Self::MAX
            )
        })?;
        Ok(Self { width, height })
    }
}

impl fmt::Display for FigureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// What it was to show could not be simulated.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// It could not be drawn.
    #[error("the figure cannot be drawn: {0}")]
    Drawing(String),
    /// An axis by equal factors, and a range with nothing in it.
    #[error("{0} begins or ends at nothing, which no axis of equal factors has: draw it with a linear axis")]
    NoLogarithm(String),
    /// There is not enough room for what is in it.
    #[error(
        "{width} by {height} pixels are too few for this figure: it needs {least_width} by {least_height}"
    )]
    TooSmall {
        /// What there is.
        width: u32,
        /// What there is.
        height: u32,
        /// What it needs.
        least_width: u32,
        /// What it needs.
        least_height: u32,
    },
}

/// What is drawn, whatever it is written as.
trait Drawing {
    /// Its size in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it on a white area of that size.
    fn draw<B: DrawingBackend>(&self, area: &Canvas<B>) -> Result<(), FigureError>;
}

type Canvas<B> = DrawingArea<B, Shift>;

fn drawn(drawing: &impl Drawing, notation: FigureNotation) -> Result<String, FigureError> {
    fn on<B: DrawingBackend>(backend: B, drawing: &impl Drawing) -> Result<(), FigureError> {
        let area = backend.into_drawing_area();
        area.fill(&WHITE).map_err(wrong)?;
        drawing.draw(&area)?;
        area.present().map_err(wrong)
    }
    let mut text = String::new();
    match notation {
        FigureNotation::Svg => on(SVGBackend::with_string(&mut text, drawing.size()), drawing)?,
        FigureNotation::Tikz => on(tikz::Tikz::new(&mut text, drawing.size()), drawing)?,
    }
    Ok(text)
}

fn wrong(error: impl fmt::Display) -> FigureError {
    FigureError::Drawing(error.to_string())
}

/// Refuses a size in which there is no room for the least of this.
fn roomy(size: FigureSize, least_width: u32, least_height: u32) -> Result<FigureSize, FigureError> {
    let FigureSize { width, height } = size;
    match width >= least_width && height >= least_height {
        true => Ok(size),
        false => Err(FigureError::TooSmall { width, height, least_width, least_height }),
    }
}

impl FigureStyle {
    /// So many pixels where titles of axes have thirteen.
    fn scaled(&self, pixels: u32) -> u32 {
        (pixels * self.font_size + FONT_SIZE / 2) / FONT_SIZE
    }

    /// Text of this size, where titles of axes have thirteen pixels.
    fn text(&self, size: u32) -> TextStyle<'_> {
        (self.font.as_str(), self.scaled(size)).into_text_style(&(1, 1))
    }

    /// The same, with its left, middle or right end at a point.
    fn anchored(&self, size: u32, end: HPos) -> TextStyle<'_> {
        self.text(size).pos(Pos::new(end, VPos::Center))
    }

    /// How wide a text is, about.
    fn width_of(&self, text: &str, size: u32) -> u32 {
        text.chars().count() as u32 * self.scaled(size) * 11 / 20
    }

    /// The lines of a caption in so many pixels, where there is one.
    fn caption_lines(&self, text: &str, width: u32) -> Vec<String> {
        if !self.caption {
            return Vec::new();
        }
        let most = (width.saturating_sub(20) / (self.scaled(CAPTION_SIZE) * 11 / 20).max(1)) as usize;
        text.lines().flat_map(|line| wrapped(line, most.max(20))).collect()
    }

    /// How high so many lines of it are.
    fn caption_height(&self, lines: usize) -> u32 {
        if lines == 0 { 0 } else { lines as u32 * self.scaled(CAPTION_LEADING) + 12 }
    }

    fn draw_caption<B: DrawingBackend>(&self, area: &Canvas<B>, lines: &[String]) -> Result<(), FigureError> {
        let style = self.anchored(CAPTION_SIZE, HPos::Left);
        (0..).zip(lines).try_for_each(|(row, line)| {
            let y = 10 + row * self.scaled(CAPTION_LEADING) as i32;
            area.draw_text(line, &style, (10, y)).map_err(wrong)
        })
    }
}

const CAPTION_SIZE: u32 = 10;
const CAPTION_LEADING: u32 = 16;

/// The line in pieces of at most so many letters, cut between words.
fn wrapped(line: &str, most: usize) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() + 1 + word.chars().count() <= most => {
                piece.push(' ');
                piece.push_str(word);
            }
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// A palette that can be told apart also by those who see fewer colours: a colour for each algorithm, the same in every
/// figure.
const COLOURS: [(&str, RGBColor); 11] = [
    ("total-copy", RGBColor(0, 0, 0)),
    ("total-copy-dirty", RGBColor(130, 130, 130)),
    ("pre-copy", RGBColor(0, 114, 178)),
    ("pre-copy-unbounded", RGBColor(86, 180, 233)),
    ("lazy-copy", RGBColor(230, 159, 0)),
    ("flushing", RGBColor(120, 200, 80)),
    ("post-copy", RGBColor(0, 158, 115)),
    ("assisted-post-copy", RGBColor(204, 121, 167)),
    ("generic", RGBColor(213, 94, 0)),
    ("generic-without-working-set", RGBColor(160, 60, 20)),
    ("generic-without-prefetch", RGBColor(240, 150, 100)),
];

/// Those of algorithms of one's own, in turn: none that an algorithm above has.
const OTHERS: [RGBColor; 5] = [
    RGBColor(106, 61, 154),
    RGBColor(227, 26, 28),
    RGBColor(177, 89, 40),
    RGBColor(140, 140, 0),
    RGBColor(0, 80, 80),
];

/// The line of an algorithm, one of some in a figure: *generic* is the widest.
fn style(name: &str, all: &[&str]) -> ShapeStyle {
    let known = |name: &str| COLOURS.iter().find(|(known, _)| *known == name).map(|(_, colour)| *colour);
    let colour = known(name).unwrap_or_else(|| {
        let others = all.iter().filter(|other| known(other).is_none());
        let at = others.take_while(|other| **other != name).count();
        OTHERS[at % OTHERS.len()]
    });
    let stroke_width = if name == "generic" { 4 } else { 2 };
    ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_algorithm_has_its_colour_whoever_stands_beside_it() {
        let colour = |name, all: &[&str]| style(name, all).color.rgb();
        let all = ["mine", "generic", "yours", "post-copy"];
        assert_eq!(colour("generic", &all), colour("generic", &["generic"]));
        let mut colours: Vec<_> = all.iter().map(|name| colour(name, &all)).collect();
        colours.extend(
            COLOURS.iter().filter(|(name, _)| !all.contains(name)).map(|(name, _)| colour(name, &all)),
        );
        let count = colours.len();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), count, "no two have the same");
        assert!(style("generic", &all).stroke_width > style("mine", &all).stroke_width);
    }

    #[test]
    fn a_line_is_cut_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("one two three", 80), ["one two three"]);
        assert_eq!(wrapped("incomprehensibilities are", 5), ["incomprehensibilities", "are"]);
        assert_eq!(wrapped("", 5), [""; 0]);
    }

    #[test]
    fn sizes_are_read_and_absurd_ones_refused() {
        assert_eq!("720x360".parse(), Ok(FigureSize { width: 720, height: 360 }));
        for wrong in ["720", "0x0", "axb", "10x10", "99999999x1", "720x", "-720x360"] {
            assert!(wrong.parse::<FigureSize>().is_err(), "{wrong}");
        }
    }
}
