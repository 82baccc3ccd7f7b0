//! Tables on a terminal or in a pipe: columns that stand under each other, and colour where
//! somebody sees it.

use std::env;
use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

/// How something looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Head,
    Good,
    Warning,
    Bad,
}

impl Style {
    /// ECMA-48 SGR.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// Where the output goes.
pub(super) struct Page<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) json: bool,
    color: bool,
}

impl<'a> Page<'a> {
    /// In colour only on a terminal that knows it, and not against the user's wish
    /// (<https://no-color.org>).
    pub(super) fn new(out: &'a mut (impl Write + IsTerminal), json: bool) -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = out.is_terminal() && !unwanted && !dumb;
        Self { out, json, color }
    }

    /// One value as JSON, on one line.
    pub(super) fn json(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        writeln!(self.out, "{text}")
    }

    /// One line.
    pub(super) fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        let text = self.painted(style, text);
        writeln!(self.out, "{text}")
    }

    pub(super) fn painted(&self, style: Style, text: &str) -> String {
        if self.color && style != Style::Plain {
            format!("{}{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// A text, which stands left.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            style: Style::Plain,
            right: false,
        }
    }

    /// A number, which stands right.
    pub(super) fn number(number: impl ToString) -> Self {
        Self {
            right: true,
            ..Self::text(number.to_string())
        }
    }

    /// Several, or what stands for none of them.
    pub(super) fn list(all: &[String], none: &str) -> Self {
        Self::text(if all.is_empty() {
            none.to_owned()
        } else {
            all.join(" ")
        })
    }

    pub(super) fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Writes rows under a head.
pub(super) fn write(page: &mut Page<'_>, head: &[&str], rows: &[Vec<Cell>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.text.chars().count()).max();
        longest.unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let is_right = |column: usize| {
        let first = rows.first().and_then(|row| row.get(column));
        first.is_some_and(|cell| cell.right)
    };
    let titles: Vec<Cell> = head
        .iter()
        .enumerate()
        .map(|(column, title)| Cell {
            text: (*title).to_owned(),
            style: Style::Head,
            right: is_right(column),
        })
        .collect();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.text.chars().count());
            let text = page.painted(cell.style, &cell.text);
            line.push_str(if column > 0 { "  " } else { "" });
            if cell.right {
                line.push_str(&padding);
                line.push_str(&text);
            } else {
                line.push_str(&text);
                line.push_str(&padding);
            }
        }
        writeln!(page.out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// How long something is away, in one unit: `3 s`, `12 min`, `5 h`, `89 days`.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.as_second().saturating_sub(from.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut out = Vec::new();
        let mut page = Page {
            out: &mut out,
            json: false,
            color: false,
        };
        let rows = [
            vec![Cell::text("chat"), Cell::number(7), Cell::text("x")],
            vec![Cell::text("a"), Cell::number(12_345), Cell::text("")],
        ];
        write(&mut page, &["NAME", "CLIENTS", "UNIT"], &rows).expect("a vector takes all");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "NAME  CLIENTS  UNIT\nchat        7  x\na       12345\n"
        );
    }

    #[test]
    fn colour_does_not_move_columns() {
        let mut out = Vec::new();
        let mut page = Page {
            out: &mut out,
            json: false,
            color: true,
        };
        let rows = [vec![
            Cell::text("bad").styled(Style::Bad),
            Cell::text("end"),
        ]];
        write(&mut page, &["SEVERITY", "WHAT"], &rows).expect("a vector takes all");
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("\x1b[31mbad\x1b[0m       end"), "{text:?}");
    }

    #[test]
    fn a_span_has_one_unit() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        for (seconds, text) in [
            (-5, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(at(1_000), at(1_000 + seconds)), text);
        }
    }
}
