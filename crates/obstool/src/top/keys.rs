//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Model;

/// What there is to press, as the help has it.
pub(super) const KEYS: [(&str, &str); 11] = [
    ("↑ ↓  j k", "move by a line"),
    ("PgUp PgDn", "move by a page"),
    ("Home End  g G", "to the first and the last line"),
    ("Enter Space", "open or close a group or a family"),
    ("Enter", "on a series: a chart of it, and back"),
    ("p", "pause, and go on"),
    ("s", "sort: as declared, by name, by value, …"),
    ("/", "filter by words in names, helps and labels"),
    ("Esc", "clear the filter, or else quit"),
    ("?", "this help"),
    ("q Ctrl-C", "quit"),
];

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Quit,
}

/// Does what a key stands for.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> Next {
    if key.kind == KeyEventKind::Release {
        return Next::Go;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return if key.code == KeyCode::Char('c') {
            Next::Quit
        } else {
            Next::Go
        };
    }
    if model.shows_help {
        model.shows_help = false;
        return Next::Go;
    }
    if model.charted().is_some() {
        match key.code {
            KeyCode::Char('q') => return Next::Quit,
            KeyCode::Char('p') => model.is_paused = !model.is_paused,
            _ => model.close_chart(),
        }
        return Next::Go;
    }
    if model.is_typing {
        type_filter(model, key.code);
        return Next::Go;
    }
    command(model, key.code)
}

fn type_filter(model: &mut Model, code: KeyCode) {
    let mut filter = model.filter.clone();
    match code {
        KeyCode::Char(letter) => filter.push(letter),
        KeyCode::Backspace => drop(filter.pop()),
        KeyCode::Esc => {
            filter.clear();
            model.is_typing = false;
        }
        KeyCode::Enter => model.is_typing = false,
        KeyCode::Up => model.up(1),
        KeyCode::Down => model.down(1),
        _ => {}
    }
    if filter != model.filter {
        model.search(filter);
    }
}

fn command(model: &mut Model, code: KeyCode) -> Next {
    // A line stays in sight, so that one does not lose one's place.
    let page = model.page.saturating_sub(1).max(1);
    match code {
        KeyCode::Char('q') => return Next::Quit,
        KeyCode::Esc if model.filter.is_empty() => return Next::Quit,
        KeyCode::Esc => model.search(String::new()),
        KeyCode::Up | KeyCode::Char('k') => model.up(1),
        KeyCode::Down | KeyCode::Char('j') => model.down(1),
        KeyCode::PageUp => model.up(page),
        KeyCode::PageDown => model.down(page),
        KeyCode::Home | KeyCode::Char('g') => model.up(usize::MAX),
        KeyCode::End | KeyCode::Char('G') => model.down(usize::MAX),
        KeyCode::Enter if model.open_chart() => {}
        KeyCode::Enter | KeyCode::Char(' ') => model.toggle(),
        KeyCode::Char('p') => model.is_paused = !model.is_paused,
        KeyCode::Char('s') => model.next_sort(),
        KeyCode::Char('/') => model.is_typing = true,
        KeyCode::Char('?') => model.shows_help = true,
        _ => {}
    }
    Next::Go
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::model::Sort;
    use crate::top::model::tests::{desk, model};

    fn type_in(model: &mut Model, keys: &str) {
        for key in keys.chars() {
            assert_eq!(press(model, KeyCode::Char(key).into()), Next::Go, "{key}");
        }
    }

    fn filled() -> Model {
        let mut model = model(&[desk(1.0, &[("a", 1.0), ("b", 2.0)])]);
        model.page = 4;
        model
    }

    #[test]
    fn three_keys_quit() {
        let mut model = filled();
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for key in [KeyCode::Char('q').into(), KeyCode::Esc.into(), control_c] {
            assert_eq!(press(&mut model, key), Next::Quit);
        }
        // While one types, only one of them does.
        type_in(&mut model, "/q");
        assert_eq!(model.filter, "q");
        assert_eq!(press(&mut model, control_c), Next::Quit);
    }

    #[test]
    fn a_filter_is_typed_kept_and_cleared() {
        let mut model = filled();
        type_in(&mut model, "/fills");
        press(&mut model, KeyCode::Backspace.into());
        press(&mut model, KeyCode::Enter.into());
        assert_eq!((model.filter.as_str(), model.rows.len()), ("fill", 2));
        type_in(&mut model, "s");
        assert_eq!(model.sort, Sort::Name, "keys are commands again");
        assert_eq!(press(&mut model, KeyCode::Esc.into()), Next::Go);
        assert_eq!((model.filter.as_str(), model.rows.len()), ("", 8));
        type_in(&mut model, "/z");
        press(&mut model, KeyCode::Esc.into());
        assert_eq!((model.filter.as_str(), model.is_typing), ("", false));
    }

    #[test]
    fn moving_stops_at_both_ends() {
        let mut model = filled();
        let mut after = |key: KeyCode| {
            press(&mut model, key.into());
            model.selected
        };
        assert_eq!(after(KeyCode::Up), 0);
        assert_eq!(after(KeyCode::Char('j')), 1);
        assert_eq!(after(KeyCode::PageDown), 4);
        assert_eq!(after(KeyCode::End), 7);
        assert_eq!(after(KeyCode::Down), 7);
        assert_eq!(after(KeyCode::PageUp), 4);
        assert_eq!(after(KeyCode::Char('g')), 0);
    }

    #[test]
    fn any_key_closes_the_help() {
        let mut model = filled();
        type_in(&mut model, "?");
        assert!(model.shows_help);
        type_in(&mut model, "q");
        assert!(!model.shows_help);
    }
}
