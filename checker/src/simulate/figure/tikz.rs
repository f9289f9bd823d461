//! Figures for LaTeX: a `tikzpicture` for `\input`, in the fonts of the text around it. It needs the package `tikz`.

use std::convert::Infallible;
use std::fmt::Write as _;

use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontFamily,
    FontStyle, FontTransform,
};

use crate::sheet::latex_escaped;

/// Big points for a pixel, as browsers have it.
const BP: f64 = 0.75;

/// What draws into a text.
pub(super) struct Tikz<'a> {
    tikz: &'a mut String,
    size: (u32, u32),
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

impl<'a> Tikz<'a> {
    /// A picture of this size, in pixels.
    pub fn new(tikz: &'a mut String, size: (u32, u32)) -> Self {
        let (width, height) = size;
        // Writing to a string does not fail.
        let _ = writeln!(
            tikz,
            "\\begin{{tikzpicture}}[x={BP}bp,y=-{BP}bp,line join=round]\n\\useasboundingbox (0,0) rectangle ({width},{height});"
        );
        Self { tikz, size }
    }

    fn line(&mut self, command: &str) -> Drawn {
        self.tikz.push_str(command);
        self.tikz.push_str(";\n");
        Ok(())
    }

    fn path(&mut self, points: impl IntoIterator<Item = BackendCoord>, style: &impl BackendStyle) -> Drawn {
        let points: Vec<String> = points.into_iter().map(|(x, y)| format!("({x},{y})")).collect();
        match points.len() {
            0 | 1 => Ok(()),
            _ => self.line(&format!("\\draw[{}] {}", stroke(style), points.join(" -- "))),
        }
    }
}

fn colour(BackendColor { rgb: (red, green, blue), .. }: BackendColor) -> String {
    format!("{{rgb,255:red,{red};green,{green};blue,{blue}}}")
}

fn fill(style: &impl BackendStyle) -> String {
    let color = style.color();
    format!("fill={}{}", colour(color), opacity(color))
}

fn stroke(style: &impl BackendStyle) -> String {
    let color = style.color();
    let width = f64::from(style.stroke_width()) * BP;
    format!("draw={},line width={width}bp{}", colour(color), opacity(color))
}

fn opacity(color: BackendColor) -> String {
    if color.alpha < 1.0 { format!(",opacity={}", color.alpha) } else { String::new() }
}

fn unseen(style: &impl BackendStyle) -> bool {
    style.color().alpha == 0.0
}

impl DrawingBackend for Tikz<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        if !self.tikz.ends_with("\\end{tikzpicture}\n") {
            self.tikz.push_str("\\end{tikzpicture}\n");
        }
        Ok(())
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn {
        self.draw_rect((x, y), (x + 1, y + 1), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        if unseen(style) { Ok(()) } else { self.path([from, to], style) }
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        (left, top): BackendCoord,
        (right, bottom): BackendCoord,
        style: &S,
        filled: bool,
    ) -> Drawn {
        let how = if filled { fill(style) } else { stroke(style) };
        match unseen(style) {
            true => Ok(()),
            false => self.line(&format!("\\path[{how}] ({left},{top}) rectangle ({right},{bottom})")),
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        if unseen(style) { Ok(()) } else { self.path(path, style) }
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        (x, y): BackendCoord,
        radius: u32,
        style: &S,
        filled: bool,
    ) -> Drawn {
        let how = if filled { fill(style) } else { stroke(style) };
        let radius = f64::from(radius) * BP;
        match unseen(style) {
            true => Ok(()),
            false => self.line(&format!("\\path[{how}] ({x},{y}) circle[radius={radius}bp]")),
        }
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn {
        let corners: Vec<String> = corners.into_iter().map(|(x, y)| format!("({x},{y})")).collect();
        match unseen(style) || corners.is_empty() {
            true => Ok(()),
            false => self.line(&format!("\\path[{}] {} -- cycle", fill(style), corners.join(" -- "))),
        }
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, (x, y): BackendCoord) -> Drawn {
        let vertical = match style.anchor().v_pos {
            VPos::Top => "north",
            VPos::Center => "",
            VPos::Bottom => "south",
        };
        let horizontal = match style.anchor().h_pos {
            HPos::Left => "west",
            HPos::Center => "",
            HPos::Right => "east",
        };
        let anchor = match (vertical, horizontal) {
            ("", "") => "center".to_owned(),
            (vertical, horizontal) => format!("{vertical} {horizontal}").trim().to_owned(),
        };
        // A font that LaTeX would have to be told of stays that of the text.
        let family = match style.family() {
            FontFamily::SansSerif => "\\sffamily",
            FontFamily::Serif => "\\rmfamily",
            FontFamily::Monospace => "\\ttfamily",
            FontFamily::Name(_) => "",
        };
        let series = if matches!(style.style(), FontStyle::Bold) { "\\bfseries" } else { "" };
        let size = style.size() * BP;
        // Angles grow with the clock there, and against it here.
        let angle = match style.transform() {
            FontTransform::None => "",
            FontTransform::Rotate90 => ",rotate=-90",
            FontTransform::Rotate180 => ",rotate=180",
            FontTransform::Rotate270 => ",rotate=90",
        };
        self.line(&format!(
            "\\node[anchor={anchor},inner sep=0pt{angle},text={},font=\\fontsize{{{size}bp}}{{{}bp}}{family}{series}\\selectfont] at ({x},{y}) {{{}}}",
            colour(style.color()),
            size * 1.2,
            latex_escaped(text)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_tikz() {
        let mut tikz = String::new();
        let mut backend = Tikz::new(&mut tikz, (100, 50));
        let blue = BackendColor { alpha: 1.0, rgb: (0, 114, 178) };
        let pale = BackendColor { alpha: 0.5, ..blue };
        backend.draw_line((0, 1), (2, 3), &blue).expect("drawn");
        backend.draw_rect((0, 0), (4, 4), &pale, true).expect("drawn");
        backend.draw_circle((5, 6), 2, &blue, true).expect("drawn");
        backend.draw_path([(0, 0), (1, 1), (2, 0)], &blue).expect("drawn");
        backend.draw_line((0, 0), (9, 9), &BackendColor { alpha: 0.0, ..blue }).expect("not drawn");
        backend.present().expect("ended");
        backend.present().expect("ended once");
        assert_eq!(
            tikz,
            "\\begin{tikzpicture}[x=0.75bp,y=-0.75bp,line join=round]\n\
             \\useasboundingbox (0,0) rectangle (100,50);\n\
             \\draw[draw={rgb,255:red,0;green,114;blue,178},line width=0.75bp] (0,1) -- (2,3);\n\
             \\path[fill={rgb,255:red,0;green,114;blue,178},opacity=0.5] (0,0) rectangle (4,4);\n\
             \\path[fill={rgb,255:red,0;green,114;blue,178}] (5,6) circle[radius=1.5bp];\n\
             \\draw[draw={rgb,255:red,0;green,114;blue,178},line width=0.75bp] (0,0) -- (1,1) -- (2,0);\n\
             \\end{tikzpicture}\n"
        );
    }
}
