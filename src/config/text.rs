//! The text of one configuration file: offsets in it become line, column and an excerpt.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// Most characters of a line that an excerpt shows.
const EXCERPT_MAX: usize = 120;

/// A file as it was read, without a byte order mark.
#[derive(Debug)]
pub(super) struct Text {
    path: PathBuf,
    content: String,
}

/// A line of a file with carets below the part that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub(super) line: String,
    pub(super) carets: String,
}

impl Text {
    pub(super) fn new(path: PathBuf, content: String) -> Self {
        Self { path, content }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// Line and column of an offset, both from 1, the column in characters. The end of the file
    /// counts as the end of its last line.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let (start, offset) = self.locate(offset);
        let line = self.content[..start].matches('\n').count() + 1;
        let column = self.content[start..offset].chars().count() + 1;
        (line, column)
    }

    /// The first line that `span` touches, with carets below what it touches of that line. None
    /// if the file holds a private key: whatever is wrong with it, no part of it is shown.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Option<Excerpt> {
        if holds_private_key(&self.content) {
            return None;
        }
        let (start, offset) = self.locate(span.start);
        let line = self.line_from(start);
        let before = &line[..offset - start];
        let end = self.boundary(span.end.clamp(offset, start + line.len()));
        let marked = self.content[offset..end].chars().count().max(1);

        let skipped = before.chars().count().saturating_sub(EXCERPT_MAX / 2);
        let shown: Vec<char> = line.chars().skip(skipped).take(EXCERPT_MAX).collect();
        let before: Vec<char> = before.chars().skip(skipped).collect();
        let room = shown.len().saturating_sub(before.len()).max(1);
        Some(Excerpt {
            line: shown.into_iter().map(printable).collect(),
            carets: before
                .into_iter()
                // A tab stays a tab, so that the carets stand where the terminal puts the text.
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .chain(std::iter::repeat_n('^', marked.min(room)))
                .collect(),
        })
    }

    /// Where the line of `offset` begins, and the offset moved to where something can be shown:
    /// onto a character's first byte, and not past the end of the line or the last line.
    fn locate(&self, offset: usize) -> (usize, usize) {
        let mut offset = self.boundary(offset);
        if offset == self.content.len() && self.content.ends_with('\n') {
            offset -= 1;
        }
        let start = self.content[..offset].rfind('\n').map_or(0, |at| at + 1);
        (start, offset.min(start + self.line_from(start).len()))
    }

    /// The line that begins at `start`, without its end.
    fn line_from(&self, start: usize) -> &str {
        let rest = &self.content[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// The nearest character boundary at or before `offset`.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.content.len());
        while !self.content.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// Whether a text holds the beginning or the end of a private key in PEM.
pub(super) fn holds_private_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// A value from a configuration in quotes, as a message shows it: cut where it is long, and
/// never a private key.
pub(super) fn quoted(value: &str) -> String {
    const MOST: usize = 80;
    if holds_private_key(value) {
        return "(a private key)".to_owned();
    }
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// Control characters could move the terminal's cursor or change its colours.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Text {
        Text::new(PathBuf::from("x.toml"), content.to_owned())
    }

    #[test]
    fn counts_lines_and_characters_from_one() {
        let text = text("a = 1\r\nü = 2\nlast");
        assert_eq!(text.position(0), (1, 1));
        assert_eq!(text.position(4), (1, 5));
        // On the line's end, and between its two bytes.
        assert_eq!(text.position(5), (1, 6));
        assert_eq!(text.position(6), (1, 6));
        // The second byte of the ü is still the ü.
        assert_eq!(text.position(8), (2, 1));
        assert_eq!(text.position(9), (2, 2));
        assert_eq!(text.position(18), (3, 5));
        assert_eq!(text.position(usize::MAX), (3, 5));
    }

    #[test]
    fn the_end_of_the_file_is_the_end_of_its_last_line() {
        assert_eq!(text("a\nbc\n").position(5), (2, 3));
        assert_eq!(text("a\nbc\r\n").position(6), (2, 3));
        assert_eq!(text("").position(0), (1, 1));
        assert_eq!(text("\n").position(1), (1, 1));
    }

    #[test]
    fn carets_stand_below_what_is_meant() {
        let text = text("\tkey = \"ü\" # \u{1b}[31m\nnext = 1\n");
        let excerpt = text.excerpt(&(7..11)).expect("nothing secret");
        assert_eq!(excerpt.line, "\tkey = \"ü\" # \u{fffd}[31m");
        assert_eq!(excerpt.carets, "\t      ^^^");
        // Of a span over several lines, the first line's part.
        let excerpt = text.excerpt(&(1..30)).expect("nothing secret");
        assert_eq!(excerpt.carets, format!("\t{}", "^".repeat(17)));
    }

    #[test]
    fn a_long_line_is_cut_around_what_is_meant() {
        let text = text(&format!("{}HERE{}", "x".repeat(1000), "y".repeat(1000)));
        let excerpt = text.excerpt(&(1000..1004)).expect("nothing secret");
        assert_eq!(excerpt.line.chars().count(), EXCERPT_MAX);
        let at = excerpt.carets.find('^').expect("carets");
        assert_eq!(&excerpt.line[at..at + 4], "HERE");
        assert_eq!(excerpt.carets.len(), at + 4);
        let excerpt = text.excerpt(&(1000..2004)).expect("nothing secret");
        assert_eq!(excerpt.carets.len(), EXCERPT_MAX);
    }

    #[test]
    fn no_part_of_a_private_key_is_shown() {
        let pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----\n";
        assert_eq!(text(pem).excerpt(&(31..40)), None);
        assert_eq!(quoted(pem), "(a private key)");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
    }
}
