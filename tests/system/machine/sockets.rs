//! The kernel's table of TCP connections (proc_net(5)).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

/// The states TCP_ESTABLISHED and TCP_CLOSE_WAIT.
const OPEN: [&str; 2] = ["01", "08"];

/// The remote ports of the open connections to a local port that have been accepted. `network` is
/// the folder `net` of a process in the network in question.
pub(super) fn accepted(network: &Path, port: u16) -> io::Result<HashSet<u16>> {
    let mut found = HashSet::new();
    for table in ["tcp", "tcp6"] {
        let table = fs::read_to_string(network.join(table))?;
        found.extend(table.lines().skip(1).filter_map(|line| peer(line, port)));
    }
    Ok(found)
}

/// A connection has an inode from the moment at which a process accepts it.
fn peer(line: &str, port: u16) -> Option<u16> {
    let mut fields = line.split_whitespace().skip(1);
    let [local, remote, state] = [fields.next()?, fields.next()?, fields.next()?];
    let inode = fields.nth(5)?;
    let is_accepted = port_of(local)? == port && OPEN.contains(&state) && inode != "0";
    is_accepted.then(|| port_of(remote))?
}

/// `0100007F:01BB`, in hexadecimal.
fn port_of(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok()
}
