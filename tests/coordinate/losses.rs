//! What the clients of a lost backend are told, whatever the daemon is doing at that moment.

use std::fs::{self, File};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::client::Client;
use crate::manager::Known;
use crate::systemd::{Systemd, configuration, start};
use crate::world::{World, address, succeeded};

#[test]
fn a_loss_while_a_reload_waits_for_its_files_is_a_restart_all_the_same() {
    let listener = address();
    let world = start(listener);
    let _systemd = Systemd::on(
        &world,
        Known {
            states: vec![("activating", "auto-restart")],
            ..Known::default()
        },
    );
    let client = Client::open(listener);
    let configuration = configuration(listener, &world.backend);
    let file = world.batond.config();
    fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut reload = world.ctl_command(&["reload"]);
    let reload = reload.stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Opens when the daemon reads it.
    let mut writer = File::options().write(true).open(&file).unwrap();

    let World {
        backend,
        batond,
        bus,
    } = world;
    drop(backend);
    let (code, reason) = client.farewell();
    assert_eq!(code, 1012, "{reason}");

    std::io::Write::write_all(&mut writer, configuration.as_bytes()).unwrap();
    drop(writer);
    succeeded(&reload.wait_with_output().unwrap());
    drop((batond, bus));
}

#[test]
fn a_unit_that_stops_for_good_is_told_apart_from_one_that_restarts() {
    for (job, code) in [("stop", 1001), ("restart", 1012)] {
        let listener = address();
        let world = start(listener);
        let known = Known {
            job: Some(job),
            ..Known::default()
        };
        let _systemd = Systemd::on(&world, known);
        let client = Client::open(listener);
        let farewell = std::thread::spawn(move || client.farewell());
        // As the companion unit does it.
        succeeded(&world.ctl(&["drain", "--unit", crate::systemd::UNIT]));
        let (told, reason) = farewell.join().unwrap();
        assert_eq!(told, code, "{job}: {reason}");
    }
}
