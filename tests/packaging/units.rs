//! The units say where to read on.

use std::fs;
use std::path::Path;

use crate::generated::packaging;

#[test]
fn each_unit_says_where_its_documentation_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let mut units = 0;
    for entry in fs::read_dir(folder).expect("read the folder of the units") {
        let path = entry.expect("read the folder of the units").path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if !matches!(kind, Some("service" | "socket" | "target")) {
            continue;
        }
        units += 1;
        let text = fs::read_to_string(&path).expect("read a unit");
        let documented = text
            .lines()
            .find_map(|line| line.strip_prefix("Documentation="))
            .unwrap_or_else(|| panic!("{} has no Documentation=", path.display()));
        for page in documented.split(' ') {
            let page = page.strip_prefix("man:").expect("a manual page");
            let file = page.replace('(', ".").replace(')', "");
            let exists = packaging().join("man").join(file).exists();
            assert!(exists, "{}: there is no {page}", path.display());
        }
    }
    assert!(units >= 3, "only {units} units");
}
