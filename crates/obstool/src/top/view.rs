//! How it is drawn.
//!
//! Colours are the terminal's own sixteen on its own background, and never alone in saying something: bold, dim and signs say
//! it too. Blue and yellow are left out, which one half of all terminals show too dark, and the other too light.

use std::time::{SystemTime, UNIX_EPOCH};

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Clear, Dataset, GraphType, Paragraph};

use super::format;
use super::keys::KEYS;
use super::layout::Labels;
use super::model::{Cell, Model, Row, Shown, Sort};
use super::overview::{Tile, Tone};

/// The narrowest tile.
const TILE: u16 = 20;
/// From this width on there is room for all three quantiles.
const WIDE: u16 = 110;
/// The widest trend: two minutes at a point a second.
const MOST_POINTS: u16 = 120;
/// From this height on there is room for the tiles' charts.
const HIGH: u16 = 24;

/// What matters less.
const DIM: Style = Style::new().dim();

/// Whether colours are wanted.
#[derive(Clone, Copy)]
pub(super) struct Theme {
    pub(super) has_colours: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.has_colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).bold()
    }

    fn trend(self) -> Style {
        self.colour(Color::Cyan)
    }

    fn heading(self) -> Style {
        self.colour(Color::Magenta).bold()
    }

    fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new().bold(),
            Tone::Good => self.good().bold(),
            Tone::Bad => self.bad(),
        }
    }
}

/// Draws everything, at a time of the model's clock.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, theme: Theme, now: f64) {
    let area = frame.area();
    let overview = if area.height >= HIGH { 5 } else { 1 };
    let [header, banner, tiles, list, footer] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(u16::from(model.fault.is_some())),
        Constraint::Length(overview),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_header(frame, header, model, theme, now);
    draw_banner(frame, banner, model, theme, now);
    if let Some(row) = model.charted() {
        draw_chart(frame, tiles.union(list), model, &row, theme, now);
    } else if model.layout().is_some() {
        draw_tiles(frame, tiles, model, theme);
        draw_list(frame, list, model, theme);
    } else {
        draw_nothing(frame, tiles.union(list), model);
    }
    if model.fault.is_some() {
        // The last values, which may be no longer so.
        let old = Style::new().dim().fg(Color::Reset).not_bold();
        frame.buffer_mut().set_style(tiles.union(list), old);
    }
    draw_footer(frame, footer, model);
    if model.shows_help {
        draw_help(frame, area, theme);
    }
}

fn draw_header(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme, now: f64) {
    let catalog = &model.catalog;
    let name = catalog
        .service
        .as_deref()
        .or_else(|| model.constant("service"));
    let environment = catalog
        .environment
        .as_deref()
        .or_else(|| model.constant("environment"));
    let mode = catalog.mode.as_deref().or_else(|| model.constant("mode"));
    let version = catalog.app.as_ref().map(|app| app.version.as_str());
    let mut about = vec![Span::styled(
        name.unwrap_or(&model.authority).to_owned(),
        Style::new().bold(),
    )];
    let settings: Vec<&str> = [version, environment, mode].into_iter().flatten().collect();
    about.push(Span::styled(format!("  {}", settings.join(" · ")), DIM));
    let state = match (&model.fault, model.layout()) {
        _ if model.is_paused => Span::styled("‖ paused", Style::new().bold()),
        (Some(fault), _) => Span::styled(format!("✗ {}", fault.what), theme.bad()),
        (None, Some(_)) => Span::styled("● up", theme.good().bold()),
        (None, None) => Span::styled("… connecting", DIM),
    };
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    let [left, right] = sides(first, state.width());
    frame.render_widget(fit(about, left.width), left);
    frame.render_widget(Line::from(state), right);
    frame.render_widget(
        fit(vec![Span::styled(facts(model, now), DIM)], second.width),
        second,
    );
}

/// Where and when it was scraped, and how much there is.
fn facts(model: &Model, now: f64) -> String {
    let mut facts = vec![if model.url.is_empty() {
        model.authority.clone()
    } else {
        model.url.clone()
    }];
    let uptime = model.single("app_uptime_seconds").map(format::span);
    match (
        model
            .single("process_start_time_seconds")
            .map(format::moment),
        uptime,
    ) {
        (Some(since), Some(uptime)) => facts.push(format!("up since {since} ({uptime})")),
        (Some(since), None) => facts.push(format!("up since {since}")),
        (None, Some(uptime)) => facts.push(format!("up for {uptime}")),
        (None, None) => {}
    }
    if let (Some(layout), Some(at)) = (model.layout(), model.history.latest_at()) {
        facts.push(format!(
            "{} series",
            format::grouped(layout.series_count() as f64, 0)
        ));
        let age = format::span((now - at).max(0.0));
        facts.push(format!(
            "scraped {age} ago in {}",
            format::number(model.took, "seconds")
        ));
    }
    if !model.catalog.warnings.is_empty() {
        let warnings = model.catalog.warnings.len();
        facts.push(format!("{warnings} warnings, see `obstool verify`"));
    }
    if model.mistakes > 0 {
        facts.push(format!("{} lines break the format", model.mistakes));
    }
    facts.join(" · ")
}

fn draw_banner(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme, now: f64) {
    let Some(fault) = &model.fault else {
        return;
    };
    let since = format::span((now - fault.since).max(0.0));
    let text = format!(" {} for {since}: {} – trying again ", fault.what, fault.why);
    let banner = fit(vec![Span::raw(text)], area.width).style(theme.bad().reversed());
    frame.render_widget(banner, area);
}

fn draw_nothing(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let lines = match &model.fault {
        Some(_) => vec![
            Line::from("Nothing to show yet."),
            Line::from(""),
            Line::from("Is the service running, and does it serve metrics there?"),
        ],
        None => vec![Line::from("waiting for the first scrape")],
    };
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let [middle] = Layout::vertical([Constraint::Length(height)])
        .flex(ratatui::layout::Flex::Center)
        .areas(area);
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Center), middle);
}

/// One series over time, with its axes.
fn draw_chart(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &mut Model,
    row: &Row,
    theme: Theme,
    now: f64,
) {
    // Braille has two points across for each character.
    let points = usize::from(area.width.saturating_sub(12)).max(1) * 2;
    let (Some(cell), Row::Series { family, series }) = (model.cell(row, points), row) else {
        return;
    };
    let times = model.history.times(points);
    let (least, most) = cell.ends();
    // What does not move is a line in the middle.
    let room = if most > least {
        (most - least) * 0.05
    } else {
        most.abs().max(1.0)
    };
    let (low, high) = if least.is_nan() {
        (0.0, 1.0)
    } else {
        (least - room, most + room)
    };
    let name = model.family(*family).map_or("", |family| &family.name);
    let labels = told_labels(&model.labels(*family, *series));
    let title = format!(" {name}  {labels} ");
    let latest = cell.trend.last().copied().unwrap_or(f64::NAN);
    let ends = [("min", least), ("max", most), ("now", latest)];
    let ends = ends.map(|(word, value)| format!("{word} {}", cell.told(value)));
    let runs = runs(&times, &cell.trend);
    let marks = marks(&times, &cell.restarts, low, high);
    let line = |data| {
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .data(data)
    };
    let of_runs = runs.iter().map(|run| line(run).style(theme.trend()));
    let of_marks = marks.iter().map(|mark| line(mark).style(DIM));
    // What came before the first scrape is nobody's.
    let first = times
        .iter()
        .zip(&cell.trend)
        .find(|(_, value)| value.is_finite());
    let to = times[points - 1];
    let from = first.map_or(times[0], |(time, _)| *time).min(to - 1.0);
    let at = |time: f64| format::clock(wall_clock() - (now - time));
    let chart = Chart::new(of_marks.chain(of_runs).collect())
        .block(
            Block::bordered()
                .title(title)
                .title_bottom(format!(" {} ", ends.join("  "))),
        )
        .x_axis(Axis::default().bounds([from, to]).style(DIM).labels([
            at(from),
            at(f64::midpoint(from, to)),
            at(to),
        ]))
        .y_axis(
            Axis::default()
                .bounds([low, high])
                .style(DIM)
                .labels([cell.told(least), cell.told(most)]),
        );
    frame.render_widget(chart, area);
}

/// Points that follow one another without a gap.
fn runs(times: &[f64], trend: &[f64]) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (time, value) in times.iter().zip(trend) {
        match runs.last_mut() {
            Some(run) if value.is_finite() => run.push((*time, *value)),
            Some(run) if !run.is_empty() => runs.push(Vec::new()),
            _ => {}
        }
    }
    runs
}

/// An upright line wherever another process began.
fn marks(times: &[f64], restarts: &[bool], low: f64, high: f64) -> Vec<Vec<(f64, f64)>> {
    let at = times.iter().zip(restarts).filter(|(_, began)| **began);
    at.map(|(time, _)| vec![(*time, low), (*time, high)])
        .collect()
}

/// Seconds since 1970.
fn wall_clock() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(f64::NAN, |since| since.as_secs_f64())
}

fn draw_tiles(frame: &mut Frame<'_>, area: Rect, model: &mut Model, theme: Theme) {
    if area.height == 1 {
        draw_figures(frame, area, model, theme);
        return;
    }
    let most = (area.width / TILE).max(1);
    let tiles = model
        .tiles(
            usize::from(most),
            usize::from((area.width / most).saturating_sub(2)),
        )
        .to_vec();
    let columns = Layout::horizontal(vec![Constraint::Fill(1); tiles.len()]).split(area);
    for (tile, column) in tiles.iter().zip(columns.iter()) {
        let inner = Rect {
            y: column.y + 1,
            width: column.width.saturating_sub(2),
            height: 3,
            ..*column
        };
        draw_tile(frame, inner, tile, theme);
    }
}

fn draw_tile(frame: &mut Frame<'_>, area: Rect, tile: &Tile, theme: Theme) {
    let [top, figure, trend] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let heading = vec![Span::styled(tile.title.clone(), DIM)];
    frame.render_widget(fit(heading, top.width), top);
    let mut figures = vec![Span::styled(tile.figure.clone(), theme.tone(tile.tone))];
    let note = Span::styled(format!("  {}", tile.note), DIM);
    if figures[0].width() + note.width() <= usize::from(figure.width) {
        figures.push(note);
    }
    frame.render_widget(fit(figures, figure.width), figure);
    let points = usize::from(trend.width).min(tile.trend.len());
    let from = tile.trend.len() - points;
    let line = sparkline(&tile.trend[from..], &tile.restarts[from..]);
    frame.render_widget(Line::styled(line, theme.trend()), trend);
}

/// The tiles' figures in one line.
fn draw_figures(frame: &mut Frame<'_>, area: Rect, model: &mut Model, theme: Theme) {
    let mut spans = Vec::new();
    let mut room = usize::from(area.width);
    for tile in model.tiles(8, 0) {
        let title = Span::styled(format!("{} ", tile.title), DIM);
        let figure = Span::styled(tile.figure.clone(), theme.tone(tile.tone));
        let width = title.width() + figure.width();
        if width > room {
            break;
        }
        room = room.saturating_sub(width + 3);
        spans.extend([title, figure, Span::raw("   ")]);
    }
    frame.render_widget(Line::from(spans), area);
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &mut Model, theme: Theme) {
    if model.rows.is_empty() {
        let text = format!("nothing matches \"{}\"", model.filter);
        frame.render_widget(Line::styled(text, DIM), area);
        return;
    }
    let height = usize::from(area.height);
    model.page = height;
    // What is selected is in sight, and so is the group's heading above the first line.
    let lowest = (model.selected + 1).saturating_sub(height);
    let highest = if model.selected <= 1 {
        0
    } else {
        model.selected
    };
    model.top = model
        .top
        .clamp(lowest, highest.max(lowest))
        .min(model.rows.len().saturating_sub(height));
    let columns = Columns::of(area.width);
    let rows: Vec<_> = model
        .rows
        .iter()
        .skip(model.top)
        .take(height)
        .cloned()
        .collect();
    for (index, (row, area)) in rows.iter().zip(area.rows()).enumerate() {
        draw_row(frame, area, row, model, columns, theme);
        if model.top + index == model.selected {
            let selected = Style::new()
                .fg(Color::Reset)
                .remove_modifier(Modifier::DIM)
                .reversed();
            frame.buffer_mut().set_style(area, selected);
        }
    }
}

/// How a line is divided.
#[derive(Clone, Copy)]
struct Columns {
    values: u16,
    trend: u16,
    is_wide: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        let is_wide = width >= WIDE;
        // Names come first: without them numbers say nothing.
        let (values, trend) = match width {
            0..50 => (13, 0),
            50..80 => (20, 8),
            80..WIDE => (20, 12),
            WIDE..140 => (46, 20),
            // Names and values take so much; the rest is the past's.
            _ => (46, (width - 108).min(MOST_POINTS)),
        };
        Self {
            values,
            trend,
            is_wide,
        }
    }
}

impl Columns {
    /// Whether there is room for a name and a number, and for nothing else.
    fn is_narrow(self) -> bool {
        self.trend == 0
    }
}

/// A name of which the middle is left out where it does not fit: the beginning says whose it is, and the end what.
fn shortened(mut spans: Vec<Span<'static>>, width: u16) -> Vec<Span<'static>> {
    let Some(name) = spans.first_mut() else {
        return spans;
    };
    let (indent, text) = name
        .content
        .split_at(name.content.len() - name.content.trim_start().len());
    // One column each is enough for what the indent says.
    let indent = &indent[..indent.len().min(1)];
    let letters: Vec<char> = text.chars().collect();
    let room = usize::from(width).saturating_sub(indent.len());
    if letters.len() > room && room > 1 {
        let (begin, end) = ((room - 1) / 2, (room - 1).div_ceil(2));
        let cut = letters[..begin].iter().chain(&['…']);
        let cut = cut.chain(&letters[letters.len() - end..]);
        name.content = format!("{indent}{}", cut.collect::<String>()).into();
        spans.truncate(1);
    } else {
        name.content = format!("{indent}{text}").into();
    }
    spans
}

fn draw_row(
    frame: &mut Frame<'_>,
    area: Rect,
    row: &Row,
    model: &mut Model,
    columns: Columns,
    theme: Theme,
) {
    let Some(cell) = model.cell(row, usize::from(columns.trend)) else {
        frame.render_widget(fit(name_of(row, model, theme), area.width), area);
        return;
    };
    let shown = Line::from(values_of(&cell, columns));
    let width = if columns.is_narrow() {
        u16::try_from(shown.width()).unwrap_or(columns.values)
    } else {
        columns.values
    };
    let [name, _, values, _, trend] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(width),
        Constraint::Length(if columns.trend > 0 { 2 } else { 0 }),
        Constraint::Length(columns.trend),
    ])
    .areas(area);
    let spans = name_of(row, model, theme);
    let spans = if columns.is_narrow() {
        shortened(spans, name.width)
    } else {
        spans
    };
    frame.render_widget(fit(spans, name.width), name);
    frame.render_widget(shown.right_aligned(), values);
    frame.render_widget(
        Line::styled(sparkline(&cell.trend, &cell.restarts), theme.trend()),
        trend,
    );
}

/// What stands at the beginning of a line.
fn name_of(row: &Row, model: &Model, theme: Theme) -> Vec<Span<'static>> {
    let count = |count: usize| format::grouped(count as f64, 0);
    match row {
        Row::Group {
            group,
            families,
            series,
            is_open,
        } => {
            let mark = if *is_open { "▾" } else { "▸" };
            let metrics = if *families == 1 { "metric" } else { "metrics" };
            let told = format!(
                "  {} {metrics}, {} series",
                count(*families),
                count(*series)
            );
            let title = Span::styled(format!("{mark} {}", group.title), theme.heading());
            vec![title, Span::styled(told, DIM)]
        }
        Row::Family {
            family,
            series,
            is_open,
        } => {
            let (mark, more) = match (series.as_slice(), is_open) {
                ([one], _) => (' ', told_labels(&model.labels(*family, *one))),
                (all, true) => (
                    '▾',
                    format!(
                        "×{}  {}",
                        count(all.len()),
                        told_labels(&model.common(*family))
                    ),
                ),
                (all, false) => (
                    '▸',
                    format!(
                        "×{}  {}",
                        count(all.len()),
                        told_labels(&model.common(*family))
                    ),
                ),
            };
            let name = model.family(*family).map_or("", |family| &family.name);
            vec![
                Span::raw(format!("  {mark} {name}")),
                Span::styled(format!("  {}", more.trim_end()), DIM),
            ]
        }
        Row::Series { family, series } => {
            // What all of them have stands beside the family's name.
            let (mut labels, common) = (model.labels(*family, *series), model.common(*family));
            labels.retain(|label| !common.contains(label));
            vec![Span::raw(format!("      {}", told_labels(&labels)))]
        }
        Row::Rest { shown, of, .. } => {
            let by = match model.sort {
                Sort::Declared => Sort::Value,
                sort => sort,
            };
            let told = format!(
                "      {shown} of {}, by {} – Enter shows more",
                count(*of),
                by.word()
            );
            vec![Span::styled(told, DIM)]
        }
    }
}

fn told_labels(labels: &Labels) -> String {
    let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join(" ")
}

/// What stands in the column of values.
fn values_of(cell: &Cell, columns: Columns) -> Vec<Span<'static>> {
    let number = |value| format::number(value, &cell.unit);
    let is_wide = columns.is_wide;
    match &cell.shown {
        Shown::Rate { rate, .. } if columns.is_narrow() => {
            vec![Span::raw(format::rate(*rate, &cell.unit))]
        }
        Shown::Rate { total, rate } => {
            let total = Span::styled(format!("{} in all", number(*total)), DIM);
            let rate = Span::raw(format!("{:>11}", format::rate(*rate, &cell.unit)));
            if is_wide {
                vec![total, rate]
            } else {
                vec![rate]
            }
        }
        Shown::Value(value) => vec![Span::raw(format::number(*value, &cell.unit))],
        Shown::Range(low, high) if low >= high || high.is_nan() => {
            vec![Span::raw(number(*high))]
        }
        Shown::Range(low, high) => {
            let (low, high) = (number(*low), Span::raw(number(*high)));
            let both = vec![Span::raw(low), Span::styled(" to ", DIM), high.clone()];
            let is_room =
                both.iter().map(Span::width).sum::<usize>() <= usize::from(columns.values);
            if is_room {
                both
            } else {
                vec![Span::styled("at most ", DIM), high]
            }
        }
        Shown::Quantiles(quantiles) => {
            let main = quantiles.len() / 2;
            if columns.is_narrow() {
                let value = quantiles.get(main).map_or(f64::NAN, |(_, value)| *value);
                return vec![Span::raw(number(value))];
            }
            let told = |(level, value): &(f64, f64)| {
                let name = format!("  p{} ", (level * 1e6).round() / 1e4);
                // So wide that it stays in its place.
                [
                    Span::styled(name, DIM),
                    Span::raw(format!("{:>9}", number(*value))),
                ]
            };
            let three: Vec<_> = quantiles.iter().take(3).flat_map(told).collect();
            let width: usize = three.iter().map(Span::width).sum();
            if is_wide && width <= usize::from(columns.values) {
                three
            } else {
                quantiles.get(main).into_iter().flat_map(told).collect()
            }
        }
    }
}

/// Between what the trend of the selected line is drawn.
fn ends(model: &mut Model, columns: Columns) -> Option<String> {
    let row = model.rows.get(model.selected)?.clone();
    let cell = model.cell(&row, usize::from(columns.trend))?;
    let (least, most) = cell.ends();
    let (least, most) = (!least.is_nan()).then(|| (cell.told(least), cell.told(most)))?;
    Some(if least == most {
        format!("steady at {least} · ")
    } else {
        format!("min {least}, max {most} · ")
    })
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, model: &mut Model) {
    let ends = ends(model, Columns::of(area.width)).unwrap_or_default();
    let model = &*model;
    let (shown, of) = model.found();
    let (keys, told) = if model.is_typing {
        (
            format!("/{}▏", model.filter),
            format!("{shown} of {of} metrics"),
        )
    } else if model.filter.is_empty() {
        (
            "q quit  ↑↓ move  Enter open  s sort  / filter  ? help".to_owned(),
            format!("{ends}sorted: {}", model.sort.word()),
        )
    } else {
        (
            format!("/{}  Esc clears", model.filter),
            format!("{shown} of {of} metrics · sorted: {}", model.sort.word()),
        )
    };
    let told = Span::styled(told, DIM);
    let [left, right] = sides(area, told.width());
    let style = if model.is_typing {
        Style::new().bold()
    } else {
        DIM
    };
    frame.render_widget(fit(vec![Span::styled(keys, style)], left.width), left);
    frame.render_widget(Line::from(told), right);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let keys = KEYS.iter().map(|(key, what)| {
        Line::from(vec![
            Span::styled(format!(" {key:<14} "), Style::new().bold()),
            Span::raw(*what),
        ])
    });
    let lines: Vec<_> = keys.collect();
    let (width, height) = (
        62.min(area.width),
        u16::try_from(lines.len() + 2)
            .unwrap_or(u16::MAX)
            .min(area.height),
    );
    let middle = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, middle);
    let block = Block::bordered().title(Line::styled(" Keys ", theme.heading()));
    frame.render_widget(Paragraph::new(lines).block(block), middle);
}

/// What is left, and so many columns at the right with a space between.
fn sides(area: Rect, right: usize) -> [Rect; 2] {
    let right = u16::try_from(right).unwrap_or(u16::MAX);
    let [left, _, right] = Layout::horizontal([
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Max(right),
    ])
    .areas(area);
    [left, right]
}

/// As much as fits; what does not ends with a sign that there is more.
fn fit(mut spans: Vec<Span<'static>>, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let line = Line::from(spans.clone());
    if line.width() <= width {
        return line;
    }
    while let Some(mut last) = spans.pop() {
        let before: usize = spans.iter().map(Span::width).sum();
        if before + 1 >= width {
            continue;
        }
        let mut text = last.content.trim_end().to_owned();
        while before + Span::raw(text.as_str()).width() + 1 > width {
            text.pop();
        }
        last.content = format!("{}…", text.trim_end()).into();
        spans.push(last);
        break;
    }
    Line::from(spans)
}

/// A point at which another process began.
const RESTART: char = '┊';

/// Eight heights between the least and the most, or from 0 where it is not far below. What is undefined is left empty.
fn sparkline(points: &[f64], restarts: &[bool]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || points.iter().copied().filter(|point| point.is_finite());
    let (least, most) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let height = |point: f64| {
        if !point.is_finite() {
            ' '
        } else if least >= most {
            // What does not move is a line: at the bottom where it is nothing.
            if point == 0.0 { HEIGHTS[0] } else { '─' }
        } else {
            let share = (point - least) / (most - least);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is from 0 to 7"
            )]
            let place = (share * 7.0).round() as usize;
            HEIGHTS[place.min(7)]
        }
    };
    let sign = |(point, restart): (&f64, &bool)| if *restart { RESTART } else { height(*point) };
    points.iter().zip(restarts).map(sign).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::top::model::tests::{desk, model, refused, scraped};

    const COLOURS: Theme = Theme { has_colours: true };

    fn drawn(model: &mut Model, (width, height): (u16, u16), theme: Theme) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let now = model.history.latest_at().unwrap_or(0.0) + 7.0;
        terminal
            .draw(|frame| draw(frame, model, theme, now))
            .unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let rows = buffer.area.rows();
        let line = |row: Rect| {
            row.positions()
                .map(|at| buffer[at].symbol())
                .collect::<String>()
        };
        rows.map(|row| line(row).trim_end().to_owned()).collect()
    }

    /// The line that has this text.
    fn find<'a>(lines: &'a [String], text: &str) -> &'a str {
        let line = lines.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text:?} is not in\n{}", lines.join("\n")))
    }

    fn filled() -> Model {
        let at = |second: f64| desk(second, &[("alpaca", second * 2.0), ("ibkr", second * 10.0)]);
        model(
            &(0..8)
                .map(|second| at(f64::from(second)))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_header_says_what_it_is_and_how_it_is() {
        let lines = lines(&drawn(&mut filled(), (120, 30), COLOURS));
        assert!(
            lines[0].starts_with("trading-desk  0.1.0 · test · paper"),
            "{}",
            lines[0]
        );
        assert!(lines[0].ends_with("● up"));
        assert_eq!(
            lines[1],
            "http://127.0.0.1:9464/live · up for 7 s · 7 series · scraped 7 s ago in 12 ms"
        );
    }

    #[test]
    fn groups_have_their_families_with_values_in_their_units() {
        let mut model = filled();
        let lines = lines(&drawn(&mut model, (120, 30), COLOURS));
        let groups = lines
            .iter()
            .filter(|line| line.starts_with('▾'))
            .collect::<Vec<_>>();
        assert_eq!(
            groups,
            [
                "▾ Trading  3 metrics, 4 series",
                "▾ System  1 metric, 1 series",
                "▾ Third-party  1 metric, 2 series"
            ]
        );
        let orders = find(&lines, "trading_orders_total");
        assert!(
            orders.starts_with("  ▸ trading_orders_total  ×2 "),
            "{orders}"
        );
        assert!(orders.contains("84 in all       12/s  "), "{orders}");
        assert!(
            find(&lines, "fill_seconds").contains("p50     50 ms  p95     95 ms  p99     99 ms")
        );
        assert!(find(&lines, "win_ratio").ends_with('–'));
        assert!(find(&lines, "third_party").contains("1 to 7"));
    }

    #[test]
    fn a_family_opens_by_label_with_a_sparkline_for_each() {
        let mut model = filled();
        model.down(1);
        model.toggle();
        let lines = lines(&drawn(&mut model, (120, 30), COLOURS));
        assert!(find(&lines, "venue=alpaca").contains(" 2/s "));
        let ibkr = find(&lines, "venue=ibkr");
        assert!(ibkr.contains("10/s") && ibkr.ends_with("───────"), "{ibkr}");
    }

    #[test]
    fn what_is_narrow_and_low_keeps_the_most_important() {
        for size in [(60, 15), (80, 24), (200, 60), (20, 5), (1, 1)] {
            let buffer = drawn(&mut filled(), size, COLOURS);
            assert_eq!((buffer.area.width, buffer.area.height), size);
        }
        let lines = lines(&drawn(&mut filled(), (60, 15), COLOURS));
        assert!(lines[0].starts_with("trading-desk") && lines[0].ends_with("● up"));
        assert!(find(&lines, "fill_seconds").contains("p95     95 ms"));
        assert!(!find(&lines, "fill_seconds").contains("p50"));
        assert!(lines[14].starts_with("q quit"));
    }

    #[test]
    fn thirty_columns_keep_the_names() {
        let lines = lines(&drawn(&mut filled(), (30, 24), COLOURS));
        for (name, value) in [
            ("▸ trading_orders_total", "12/s"),
            ("trading_fill_seconds", "95 ms"),
            ("app_uptime_seconds", "7 s"),
        ] {
            let line = find(&lines, name);
            assert!(line.ends_with(value), "{line}");
        }
        let eighty = super::tests::lines(&drawn(&mut filled(), (80, 24), COLOURS));
        for name in [
            "trading_orders_total",
            "trading_fill_seconds",
            "app_uptime_seconds",
        ] {
            find(&eighty, name);
        }
    }

    #[test]
    fn of_a_name_that_does_not_fit_the_middle_is_left_out() {
        let cut = |text: &str, width| {
            Line::from(shortened(vec![Span::raw(text.to_owned())], width)).to_string()
        };
        assert_eq!(
            cut("    http_request_duration_seconds", 18),
            " http_req…_seconds"
        );
        assert_eq!(cut("    up", 18), " up");
        assert_eq!(cut("  ▸ température_intérieure", 12), " ▸ tem…ieure");
    }

    #[test]
    fn a_gap_and_a_restart_are_in_the_trend_and_the_chart() {
        let at = |uptime: f64| desk(uptime, &[("a", uptime * 2.0)]);
        let mut model = model(&[at(10.0), at(11.0), at(12.0)]);
        model.failed(3.0, &refused("gone"));
        model.failed(4.0, &refused("gone"));
        model.scraped(6.0, scraped(&at(1.0)));
        model.scraped(7.0, scraped(&at(2.0)));
        let screen = lines(&drawn(&mut model, (120, 30), COLOURS));
        let uptime = find(&screen, "app_uptime_seconds");
        find(&screen, "┊");
        assert!(
            uptime.ends_with("   ┊▁") || uptime.contains("  ┊"),
            "{uptime}"
        );
        let place = |row: &Row| matches!(row, Row::Family { series, .. } if series.len() == 1);
        model.selected = model.rows.iter().rposition(place).unwrap();
        assert!(model.open_chart());
        let chart = lines(&drawn(&mut model, (100, 30), COLOURS));
        // The axis has times of day at both ends and in the middle.
        let is_axis = |line: &&String| line.matches(':').count() == 6;
        assert!(
            chart.iter().any(|line| is_axis(&line)),
            "{}",
            chart.join("\n")
        );
        find(&chart, "min 1 s  max 12 s  now 2 s");
    }

    #[test]
    fn an_unreachable_target_is_told_and_its_last_values_are_dimmed() {
        let mut model = filled();
        model.failed(9.0, &refused("Connection refused"));
        let buffer = drawn(&mut model, (120, 30), COLOURS);
        let lines = lines(&buffer);
        assert!(lines[0].ends_with("✗ unreachable"));
        assert_eq!(
            lines[2],
            " unreachable for 5 s: Connection refused – trying again"
        );
        let orders = lines
            .iter()
            .position(|line| line.contains("trading_orders_total"))
            .unwrap();
        let at = (4, u16::try_from(orders).unwrap());
        assert!(buffer[at].modifier.contains(Modifier::DIM) && buffer[at].fg == Color::Reset);
        model.scraped(20.0, scraped(&desk(20.0, &[])));
        let recovered = drawn(&mut model, (120, 30), COLOURS);
        let [first, .., third] = &super::tests::lines(&recovered)[..3] else {
            panic!("there are more lines than three");
        };
        assert!(first.ends_with("● up") && !third.contains("unreachable"));
    }

    #[test]
    fn one_that_never_answered_says_what_to_do() {
        let mut model = Model::new("127.0.0.1:9464".to_owned());
        assert!(lines(&drawn(&mut model, (80, 24), COLOURS))[0].ends_with("connecting"));
        model.failed(0.0, &refused("refused"));
        let lines = lines(&drawn(&mut model, (80, 24), COLOURS));
        find(&lines, "unreachable for 7 s: refused");
        find(&lines, "Is the service running");
    }

    const FIGURES: &str = r#"{ "schema": 2, "families": [], "groups": [{ "id": "a", "title": "A", "figures": [
        { "title": "Heat", "shows": "furnace", "rank": 0 },
        { "title": "Files", "shows": "bar", "rank": 9,
          "value": { "read": "sum", "families": ["process_open_fds"] }, "limit": { "read": "constant", "number": 16 } },
        { "title": "Profit", "shows": "value", "rank": 1,
          "value": { "read": "sum", "families": ["desk_pnl"], "labels": { "period": "total" } },
          "facts": [{ "name": "day", "value": { "read": "sum", "families": ["desk_pnl"], "labels": { "period": "day" } } }],
          "alarms": [{ "value": { "read": "sum", "families": ["desk_pnl"], "labels": { "period": "total" } }, "is": "below", "than": 0.0 }] },
        { "title": "Absent", "shows": "value", "rank": 0, "value": { "read": "sum", "families": ["desk_absent"] } }
    ] }] }"#;

    #[test]
    fn the_first_figures_are_those_of_the_catalogue_for_which_there_are_series() {
        let pnl = |value: f64| {
            format!(
                "# TYPE desk_pnl gauge\ndesk_pnl{{period=\"total\"}} {value}\ndesk_pnl{{period=\"day\"}} -5\n# TYPE process_open_fds gauge\nprocess_open_fds 12\n"
            )
        };
        let mut model = model(&[pnl(1.0)]);
        model.catalog = obs_verify::Catalog::read("here", FIGURES).unwrap();
        model.scraped(1.0, scraped(&pnl(-1_500.0)));
        let buffer = drawn(&mut model, (120, 30), COLOURS);
        let high = lines(&buffer);
        assert_eq!(
            high[3].split_whitespace().collect::<Vec<_>>(),
            ["Profit", "Files"]
        );
        assert!(high[4].starts_with("−1,500  day −5"), "{}", high[4]);
        assert!(high[4].contains("12  of 16"), "{}", high[4]);
        assert!(high[5].contains("█▁"), "{}", high[5]);
        assert_eq!(buffer[(0, 4)].fg, Color::Red);
        assert_eq!(
            lines(&drawn(&mut model, (80, 15), COLOURS))[2],
            "Profit −1,500   Files 12"
        );
    }

    #[test]
    fn without_figures_it_is_the_process_that_is_shown() {
        let text = "# TYPE process_open_fds gauge\nprocess_open_fds 12\n";
        let mut model = model(&[text.to_owned(), text.to_owned()]);
        let high = lines(&drawn(&mut model, (120, 30), COLOURS));
        assert!(high[3].starts_with("File descriptors"), "{}", high[3]);
    }

    #[test]
    fn only_base_colours_are_used_and_none_where_none_is_wanted() {
        let mut model = filled();
        model.failed(1.0, &refused("gone"));
        let colours = |theme, model: &mut Model| {
            let buffer = drawn(model, (120, 30), theme);
            buffer
                .content
                .iter()
                .flat_map(|cell| [cell.fg, cell.bg])
                .collect::<std::collections::HashSet<_>>()
        };
        let used = colours(COLOURS, &mut model);
        assert!(used.contains(&Color::Red));
        let base = [
            Color::Reset,
            Color::Red,
            Color::Green,
            Color::Cyan,
            Color::Magenta,
        ];
        assert!(used.iter().all(|colour| base.contains(colour)), "{used:?}");
        let none = colours(Theme { has_colours: false }, &mut model);
        assert_eq!(none.into_iter().collect::<Vec<_>>(), [Color::Reset]);
    }

    #[test]
    fn the_filter_and_the_help_are_seen() {
        let mut model = filled();
        model.is_typing = true;
        model.search("nowhere".to_owned());
        let typing = lines(&drawn(&mut model, (80, 24), COLOURS));
        assert!(
            typing[23].starts_with("/nowhere▏") && typing[23].ends_with("0 of 5 metrics"),
            "{}",
            typing[23]
        );
        find(&typing, "nothing matches \"nowhere\"");
        model.shows_help = true;
        let help = lines(&drawn(&mut model, (80, 24), COLOURS));
        for (key, what) in KEYS {
            find(&help, &format!(" {key:<14} {what}"));
        }
    }

    #[test]
    fn what_is_selected_is_in_sight() {
        let mut model = filled();
        for down in [0, 1, 5, 7, usize::MAX] {
            model.up(usize::MAX);
            model.down(down);
            let buffer = drawn(&mut model, (60, 8), COLOURS);
            let selected = buffer.area.rows().filter(|row| {
                buffer[row.as_position()]
                    .modifier
                    .contains(Modifier::REVERSED)
            });
            assert_eq!(selected.count(), 1, "{down}");
        }
    }

    #[test]
    fn texts_are_cut_between_letters_and_say_so() {
        let cut = |text: &str, width| {
            fit(vec![Span::raw("ab"), Span::raw(text.to_owned())], width).to_string()
        };
        assert_eq!(cut("cd", 4), "abcd");
        assert_eq!(cut("cdef", 4), "abc…");
        assert_eq!(cut("東京都", 6), "ab東…");
        assert_eq!(cut("cdef", 2), "a…");
        assert_eq!(cut("cdef", 0), "");
    }

    #[test]
    fn a_series_is_drawn_over_the_whole_screen_with_its_axes() {
        let mut model = model(&[
            desk(0.0, &[("a", 0.0)]),
            desk(1.0, &[("a", 4.0)]),
            desk(2.0, &[("a", 40.0)]),
        ]);
        let place = model
            .rows
            .iter()
            .position(|row| matches!(row, Row::Family { series, .. } if series.len() == 1));
        model.selected = place.unwrap();
        assert!(model.open_chart());
        let chart = lines(&drawn(&mut model, (100, 30), COLOURS));
        find(&chart, "trading_orders_total");
        find(&chart, "min ");
        find(&chart, "now ");
        model.is_paused = true;
        model.scraped(3.0, scraped(&desk(3.0, &[("a", 900.0)])));
        find(&lines(&drawn(&mut model, (100, 30), COLOURS)), "paused");
        assert_eq!(model.history.len(), 3, "it stands still");
        model.close_chart();
        find(&lines(&drawn(&mut model, (100, 30), COLOURS)), "▾ Trading");
    }

    #[test]
    fn trends_go_from_the_least_to_the_most() {
        let sparkline = |points: &[f64]| super::sparkline(points, &vec![false; points.len()]);
        assert_eq!(sparkline(&[f64::NAN, 0.0, 1.0, 3.5, 7.0]), " ▁▂▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[5.0, 5.0]), "──");
        assert_eq!(sparkline(&[]), "");
        let restarted = super::sparkline(&[1.0, f64::NAN, 2.0, 3.0], &[false, false, true, false]);
        assert_eq!(restarted, "▁ ┊█");
    }
}
