//! A manual page for one program: what its command line says of itself, then what only a person
//! can tell, from a file in `packaging/man/more`.

use clap::Command;
use clap_mangen::Man;

/// The whole page. `about` is what whatis(1) shows. What `more` says before its first section
/// belongs to the description, its sections to the end.
pub(crate) fn page(command: Command, section: &str, about: &'static str, more: &str) -> String {
    let description = command.get_about().map(ToString::to_string);
    let mut command = command.about(about).disable_help_subcommand(true);
    command.build();
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    let after = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command)
        .section(section)
        .source(concat!("batond ", env!("CARGO_PKG_VERSION")))
        .manual("batond");

    let mut text = rendered(|out| man.render_title(out));
    text += &rendered(|out| man.render_name_section(out));
    text += &rendered(|out| man.render_synopsis_section(out));
    text += ".SH DESCRIPTION\n";
    text += &paragraphs(&description.unwrap_or_default());
    let (lead, more) = more.split_once("\n.SH ").expect("sections to add");
    text += lead;
    text += "\n";
    text += &rendered(|out| man.render_options_section(out));
    if !subcommands.is_empty() {
        text += ".SH COMMANDS\n";
    }
    for subcommand in subcommands {
        text += &subsection(subcommand);
    }
    if let Some(after) = after {
        text += ".SH NOTES\n";
        text += &paragraphs(&after);
    }
    // Each rendering begins with the same definitions; one of them will do.
    let mut lines = Vec::new();
    for line in text.lines() {
        let definition = line.starts_with(".ie ") || line.starts_with(".el ");
        if !(definition && lines.contains(&line)) {
            lines.push(line);
        }
    }
    format!("{}\n.SH {more}", lines.join("\n"))
}

/// One subcommand: how it is called, what it does, and its own options.
fn subsection(command: Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    let about = command.get_about().map(ToString::to_string);
    let after = command.get_after_help().map(ToString::to_string);
    // What all have is told at the top.
    let command = command.mut_args(|argument| {
        let common = argument.is_global_set() || argument.get_id() == "help";
        argument.hide(common)
    });
    let mut text = format!(".SS {}\n", escaped(&usage));
    text += &paragraphs(&about.unwrap_or_default());
    let man = Man::new(command);
    let options = rendered(|out| man.render_options_section(out));
    let options = options.lines().filter(|line| !line.starts_with(".SH "));
    options.for_each(|line| text += &format!("{line}\n"));
    if let Some(after) = after {
        text += ".PP\n";
        text += &paragraphs(&after);
    }
    text
}

fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut text = Vec::new();
    render(&mut text).expect("write to memory");
    String::from_utf8(text).expect("a page is text")
}

fn paragraphs(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim() {
        "" => ".PP\n".to_owned(),
        line => format!("{}\n", escaped(line)),
    });
    lines.collect()
}

/// Text as roff(7) reads it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        _ => text,
    }
}
