//! What Cargo.toml says about the packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// Only in one of the packages: Debian has the text of the licence already, and wants to be told
/// who holds the copyright; and lintian reads its exceptions from the package.
const DEB_ONLY: [&str; 2] = ["packaging/deb/copyright", "packaging/deb/lintian-overrides"];
const RPM_ONLY: [&str; 1] = ["LICENSE"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata(kind: &str) -> Table {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("read Cargo.toml");
    let manifest: Table = text.parse().expect("Cargo.toml is TOML");
    let metadata = &manifest["package"]["metadata"][kind];
    metadata.as_table().expect("a table").clone()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Source, place and permissions.
type Asset = (String, String, String);

fn in_deb() -> BTreeSet<Asset> {
    let assets = metadata("deb");
    let assets = assets["assets"].as_array().expect("a list").iter();
    let assets = assets.map(|asset| {
        let place = format!("/{}", text(&asset[1]));
        // Zsh's own folder for what distributions add is another in Debian.
        let place = place.replace("zsh/vendor-completions", "zsh/site-functions");
        let place = match text(&asset[0]).as_str() {
            "CHANGELOG.md" => "/usr/share/doc/batond/".to_owned(),
            _ => place,
        };
        (text(&asset[0]), place, text(&asset[2]))
    });
    assets.collect()
}

fn in_rpm() -> BTreeSet<Asset> {
    let assets = metadata("generate-rpm");
    let assets = assets["assets"].as_array().expect("a list").iter();
    let assets = assets.map(|asset| {
        let source = text(&asset["source"]);
        // Compressed by packaging/build, where cargo-deb does it itself.
        let source = match source.strip_prefix("target/release/man/") {
            Some(page) => format!("packaging/man/{}", page.trim_end_matches(".gz")),
            None => source,
        };
        (source, text(&asset["dest"]), text(&asset["mode"]))
    });
    assets.collect()
}

fn without(assets: BTreeSet<Asset>, sources: &[&str]) -> BTreeSet<Asset> {
    let kept = assets.into_iter();
    kept.filter(|(source, ..)| !sources.contains(&source.as_str()))
        .collect()
}

#[test]
fn both_packages_hold_the_same() {
    assert_eq!(without(in_deb(), &DEB_ONLY), without(in_rpm(), &RPM_ONLY));
}

#[test]
fn everything_that_is_there_is_packaged() {
    let packaged: BTreeSet<String> = in_deb().into_iter().map(|(source, ..)| source).collect();
    for folder in ["systemd", "packaging", "packaging/man"] {
        for entry in fs::read_dir(root().join(folder)).expect("read a folder") {
            let entry = entry.expect("read a folder");
            let name = entry.file_name().into_string().expect("a name");
            // The scripts that make and check the packages have no ending.
            if entry.file_type().expect("a kind").is_dir() || !name.contains('.') {
                continue;
            }
            let file = format!("{folder}/{name}");
            assert!(packaged.contains(&file), "{file} is in no package");
        }
    }
}

#[test]
fn the_changelog_of_debian_begins_with_this_version() {
    let changelog = include_str!("../../packaging/deb/changelog");
    let revision = text(&metadata("deb")["revision"]);
    let begin = format!("batond ({}-{revision}) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&begin), "not {begin:?}");
}

/// An edit of the administrator outlives an upgrade: dpkg takes what is in /etc for configuration,
/// rpm must be told.
#[test]
fn the_configuration_is_marked_as_such() {
    let assets = metadata("generate-rpm");
    let assets = assets["assets"].as_array().expect("a list").iter();
    let (in_etc, marked): (Vec<_>, Vec<_>) = assets
        .filter(|asset| text(&asset["dest"]).starts_with("/etc/"))
        .map(|asset| (text(&asset["source"]), asset.get("config")))
        .unzip();
    assert_eq!(in_etc, ["packaging/batond.toml"]);
    assert_eq!(marked, [Some(&Value::from("noreplace"))]);
}
