//! Whatever stands in the files, it is told and not died of, and told at a place that exists.

use proptest::prelude::*;

use crate::example::switched_on;
use crate::folder::Folder;

/// Pieces that mean something, in any order.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "[listener.a]\n",
        "[service.a]\n",
        "[certificate.a]\n",
        "[restart]\n",
        "[limits]\n",
        "[[service.a.backends]]\n",
        "[service.a.restart]\n",
        "[service]\n",
        "address = ",
        "chain = ",
        "key = ",
        "names = ",
        "roots = ",
        "trusted = ",
        "listeners = ",
        "hosts = ",
        "paths = ",
        "backends = ",
        "unit = ",
        "restart.retry = ",
        "deadline = ",
        "spread = ",
        "reason = ",
        "close_code = ",
        "clients = ",
        "header_bytes = ",
        "workers = ",
        "a.b.c = ",
        "\"a.b\" = ",
        "\"[::]:443\"\n",
        "\"1s-5s\"\n",
        "\"30s\"\n",
        "1012\n",
        "1006\n",
        "[\"a\", \"b\"]\n",
        "[\"/\", \"/\"]\n",
        "{ address = \"a:1\" }\n",
        "[{ address = 1 }]\n",
        "[",
        "]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "\\",
        "#",
        "\n",
        "\r\n",
        "\r",
        "\t",
        " ",
        "\u{feff}",
        "ü",
        "\u{1f600}",
        "\0",
        "\u{7f}",
        "inf\n",
        "-0x1\n",
        "99999999999999999999\n",
        "1979-05-27\n",
        "true\n",
        "\"-----BEGIN PRIVATE KEY-----\"\n",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,4}"]
}

/// The example with some bytes changed, lost or put in, and sometimes cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => b' '..b'~', 1 => any::<u8>()];
    let edit = (any::<prop::sample::Index>(), 0..3u8, byte);
    let edits = prop::collection::vec(edit, 1..6);
    let cut = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (edits, cut).prop_map(|(edits, cut)| {
        let mut bytes = switched_on().into_bytes();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

fn check(content: &[u8]) -> Result<(), TestCaseError> {
    let Err(problems) = Folder::with(content).load() else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(content);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in &problems {
        let Some((line, column)) = problem.position() else {
            continue;
        };
        prop_assert!((1..=lines.len()).contains(&line), "{problem} in {text:?}");
        // One past the last character is where something is missing.
        let width = lines[line - 1].chars().count();
        prop_assert!((1..=width + 1).contains(&column), "{problem} in {text:?}");
        if let [_, .., shown, carets] = problem.to_string().split('\n').collect::<Vec<_>>()[..] {
            prop_assert!(carets.trim_start().starts_with('^'), "{problem}");
            let shown = shown.chars().count();
            prop_assert!(carets.chars().count() <= shown + 1, "{problem}");
        }
    }
    prop_assert!(!problems.to_string().is_empty());
    Ok(())
}

proptest! {
    #[test]
    fn pieces_of_toml_in_any_order(pieces in prop::collection::vec(piece(), 0..40)) {
        check(pieces.concat().as_bytes())?;
    }

    #[test]
    fn any_text(text in "\\PC{0,80}|(?s:.{0,80})") {
        check(text.as_bytes())?;
    }

    #[test]
    fn the_example_with_some_bytes_changed(content in mutated()) {
        check(&content)?;
    }

    #[test]
    fn any_variables(
        variables in prop::collection::vec(("(LIMITS|SERVICE|RESTART|listener|X)?(__){0,2}[A-Za-z_]{0,9}", ".{0,9}"), 0..9)
    ) {
        let folder = variables.into_iter().fold(Folder::with(""), |folder, (name, value)| {
            folder.variable(&format!("BATOND_{name}"), &value)
        });
        if let Err(problems) = folder.load() {
            for problem in &problems {
                prop_assert!(problem.to_string().starts_with("BATOND_"), "{problem}");
            }
        }
    }
}
