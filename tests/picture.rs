//! A terminal's screen as a page, to take pictures of.

use std::fmt::Write;

use obs_tests::{Color, Screen};

/// The colours of a terminal: the background, the text, and the first eight that programs choose from.
pub(crate) struct Palette {
    background: &'static str,
    text: &'static str,
    colours: [&'static str; 8],
}

/// Those of GNOME's terminal, on light and on dark.
pub(crate) const LIGHT: Palette = Palette {
    background: "#ffffff",
    text: "#1e1e1e",
    colours: COLOURS,
};
pub(crate) const DARK: Palette = Palette {
    background: "#1e1e1e",
    text: "#e6e6e6",
    colours: COLOURS,
};
const COLOURS: [&str; 8] = [
    "#1e1e1e", "#c01c28", "#26a269", "#a2734c", "#12488b", "#a347ba", "#2aa1b3", "#cfcfcf",
];

/// A page that shows a screen, in an element as large as it.
pub(crate) fn page(screen: &Screen, palette: &Palette) -> String {
    let (lines, columns) = screen.size();
    let (background, text) = (palette.background, palette.text);
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><style>
        body {{ margin: 0; background: {background}; color: {text}; }}
        pre {{ margin: 0; padding: 12px 16px; width: max-content; font: 14px/19px 'DejaVu Sans Mono', monospace; }}
        i {{ display: inline-block; width: 1ch; height: 19px; font-style: normal; vertical-align: top; text-align: center; }}
        </style><pre id=screen>"
    );
    for line in 0..lines.get() {
        for column in 0..columns.get() {
            add_cell(&mut page, screen, (line, column), palette);
        }
        page.push('\n');
    }
    page.push_str("</pre>");
    page
}

/// Each is as wide as every other, whatever font its letter comes from.
fn add_cell(page: &mut String, screen: &Screen, (line, column): (u16, u16), palette: &Palette) {
    let Some(cell) = screen.cell(line, column) else {
        return;
    };
    if cell.is_wide_continuation() {
        return;
    }
    let colour = |colour, otherwise| match colour {
        Color::Idx(index) => palette.colours[usize::from(index) % 8],
        _ => otherwise,
    };
    let mut text = colour(cell.fgcolor(), palette.text);
    let mut background = colour(cell.bgcolor(), palette.background);
    if cell.inverse() {
        (text, background) = (background, text);
    }
    let weight = if cell.bold() { 700 } else { 400 };
    // Half way to the background, as terminals have it.
    let strength = if cell.dim() { 55 } else { 100 };
    let width = if cell.is_wide() { 2 } else { 1 };
    let letter = match cell.contents() {
        "" => " ".to_owned(),
        letter => letter.replace('&', "&amp;").replace('<', "&lt;"),
    };
    // Writing into a text cannot fail.
    let _ = write!(
        page,
        "<i style=\"width:{width}ch;font-weight:{weight};background:{background};\
         color:color-mix(in srgb,{text} {strength}%,{background})\">{letter}</i>"
    );
}
