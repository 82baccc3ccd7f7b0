//! Notices that a file may have changed: inotify(7) on every directory on the way to it, symbolic
//! links followed, since whatever replaces a file, a link or a directory changes an entry there.
//! What makes no events (network file systems, a directory that may be passed but not read) is
//! found by looking again; see [`super::keeper`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Symbolic links that are followed on one way, as the kernel does (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Events that are read at once.
const EVENTS: usize = 4 << 10;

/// What changes an entry of a directory, or what is behind it. Reading does not.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// Wakes whoever waits for changes.
#[derive(Clone, Debug)]
pub struct Bell(Arc<OwnedFd>);

impl Bell {
    /// Once or several times before somebody hears it: it is the same.
    pub fn ring(&self) {
        // It fails only when it has been rung 2^64 times.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    fn hush(&self) {
        // Nothing to read: it was not rung.
        let _ = rustix::io::read(&*self.0, &mut [0_u8; 8]);
    }
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Something has changed on the way to a file.
    Changed,
    /// [`Bell::ring`].
    Rung,
    /// The time is over.
    Late,
}

/// The directories that are watched.
#[derive(Debug)]
pub struct Watch {
    /// None: there are no events.
    inotify: Option<OwnedFd>,
    bell: Bell,
    /// By watch descriptor: the entries that matter.
    entries: BTreeMap<i32, BTreeSet<OsString>>,
    /// That a directory cannot be watched was said.
    complained: bool,
}

impl Watch {
    /// Of nothing yet.
    ///
    /// # Errors
    /// No descriptor is to be had. Where there are only no events (`fs.inotify.max_user_instances`),
    /// that is no error.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = Bell(Arc::new(eventfd(0, flags)?));
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = inotify.inspect_err(|error| {
            tracing::warn!("changes of certificates are seen late: inotify: {error}");
        });
        Ok(Self {
            inotify: inotify.ok(),
            bell,
            entries: BTreeMap::new(),
            complained: false,
        })
    }

    /// What wakes [`Self::wait`].
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Watches the way to each of these files, as it is now, and no other. To be called again
    /// after each change, since another way may lead there then.
    pub fn arrange<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let mut way = BTreeMap::new();
        for file in files {
            walk(file, &mut way);
        }
        let mut entries: BTreeMap<i32, BTreeSet<OsString>> = BTreeMap::new();
        for (directory, names) in way {
            // The same directory again has the same watch.
            match inotify::add_watch(inotify, &directory, CHANGES) {
                Ok(watch) => entries.entry(watch).or_default().extend(names),
                // Gone, or closed to this user. What is above it is watched.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS) => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.complained, true) {
                        let directory = directory.display();
                        tracing::warn!("changes in {directory} are seen late: inotify: {error}");
                    }
                }
            }
        }
        for gone in self.entries.keys().filter(|one| !entries.contains_key(one)) {
            // It may have ended by itself, with its directory.
            let _ = inotify::remove_watch(inotify, *gone);
        }
        self.entries = entries;
    }

    /// Waits until something changes, at most `within`; none: for ever.
    pub fn wait(&mut self, within: Option<Duration>) -> Woken {
        let deadline = within.map(|within| Instant::now() + within);
        loop {
            let left = deadline.map(|one| one.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut ends = vec![PollFd::new(&*self.bell.0, PollFlags::IN)];
            ends.extend(
                self.inotify
                    .iter()
                    .map(|one| PollFd::new(one, PollFlags::IN)),
            );
            match poll(&mut ends, left.as_ref()) {
                Ok(0) => return Woken::Late,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return Woken::Late,
                Ok(_) => {}
            }
            if !ends[0].revents().is_empty() {
                self.bell.hush();
                return Woken::Rung;
            }
            if self.has_changed() {
                return Woken::Changed;
            }
        }
    }

    /// Waits until nothing has changed for `quiet`, at most `longest`.
    pub fn settle(&mut self, quiet: Duration, longest: Duration) {
        let deadline = Instant::now() + longest;
        while Instant::now() < deadline && self.wait(Some(quiet)) == Woken::Changed {}
    }

    /// Takes all events, and says whether one of them matters.
    fn has_changed(&self) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        let mut room = [MaybeUninit::uninit(); EVENTS];
        let mut events = inotify::Reader::new(inotify.as_fd(), &mut room);
        let mut matters = false;
        while let Ok(event) = events.next() {
            let names = self.entries.get(&event.wd());
            matters |= match event.file_name() {
                // The directory itself, or too many events.
                None => true,
                Some(name) => {
                    let name = OsStr::from_bytes(name.to_bytes());
                    names.is_some_and(|names| names.contains(name))
                }
            };
        }
        matters
    }
}

/// Goes the way to a file, and notes each directory with the entry that leads on. Ends where it
/// cannot go on: what is missing will appear there.
fn walk(file: &Path, way: &mut BTreeMap<PathBuf, BTreeSet<OsString>>) {
    let Ok(file) = std::path::absolute(file) else {
        return;
    };
    let steps = |path: &Path| -> Vec<OsString> {
        let components = path.components();
        components.map(|one| one.as_os_str().to_owned()).collect()
    };
    let mut here = PathBuf::new();
    let mut ahead = VecDeque::from(steps(&file));
    let mut links = 0;
    while let Some(step) = ahead.pop_front() {
        if step == ".." {
            here.pop();
            continue;
        }
        let there = here.join(&step);
        if step != "/" {
            way.entry(here.clone()).or_default().insert(step);
        }
        let Ok(found) = fs::symlink_metadata(&there) else {
            return;
        };
        if !found.is_symlink() {
            here = there;
            continue;
        }
        links += 1;
        let Ok(target) = fs::read_link(&there) else {
            return;
        };
        if links > LINKS_MAX {
            return;
        }
        for step in steps(&target).into_iter().rev() {
            ahead.push_front(step);
        }
        if target.is_absolute() {
            here = PathBuf::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

    fn watching(file: &Path) -> Watch {
        let mut watch = Watch::new().unwrap();
        watch.arrange([file]);
        watch
    }

    #[test]
    fn every_directory_on_the_way_is_noted_with_what_leads_on() {
        let folder = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(folder.join("archive/x")).unwrap();
        fs::create_dir_all(folder.join("live/x")).unwrap();
        symlink("../../archive/x/key3.pem", folder.join("live/x/key.pem")).unwrap();
        symlink("live", folder.join("way")).unwrap();
        let mut way = BTreeMap::new();
        walk(&folder.join("way/x/key.pem"), &mut way);
        let names = |directory: &str| -> Vec<&str> {
            let names = &way[&folder.join(directory)];
            names.iter().map(|one| one.to_str().unwrap()).collect()
        };
        assert_eq!(names("live/x"), ["key.pem"]);
        assert_eq!(names("archive/x"), ["key3.pem"]);
        assert_eq!(names("archive"), ["x"]);
        assert_eq!(names("live"), ["x"]);
        assert_eq!(names(""), ["archive", "live", "way"]);
        assert!(way.contains_key(Path::new("/")));
    }

    #[test]
    fn what_changes_elsewhere_wakes_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chain.pem");
        fs::write(&file, "one").unwrap();
        let mut watch = watching(&file);
        fs::write(folder.path().join("other"), "").unwrap();
        fs::read(&file).unwrap();
        watch.bell().ring();
        // Had the events come to it, they would have been taken first or next.
        assert_eq!(watch.wait(PATIENCE), Woken::Rung);
        assert!(!watch.has_changed());
        fs::write(&file, "two").unwrap();
        assert_eq!(watch.wait(PATIENCE), Woken::Changed);
    }

    #[test]
    fn a_directory_that_takes_the_place_of_another_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("new/b")).unwrap();
        fs::write(at("a/b/x"), "one").unwrap();
        let file = at("a/b/x");
        let mut watch = watching(&file);
        fs::rename(at("a"), at("old")).unwrap();
        fs::rename(at("new"), at("a")).unwrap();
        assert_eq!(watch.wait(PATIENCE), Woken::Changed);
        watch.arrange([file.as_path()]);
        watch.settle(Duration::ZERO, Duration::from_secs(60));
        fs::write(at("old/b/x"), "nobody looks there").unwrap();
        watch.bell().ring();
        assert_eq!(watch.wait(PATIENCE), Woken::Rung);
        assert!(!watch.has_changed());
        fs::write(&file, "two").unwrap();
        assert_eq!(watch.wait(PATIENCE), Woken::Changed);
    }
}
