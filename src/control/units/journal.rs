//! The last words of a unit, for the report of a restart that failed.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

/// A journal on a slow disk may take a while; a report does not wait for it.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// The most that is kept, in bytes.
const MAX: u64 = 8 << 10;

/// The last ten lines that the journal has of a unit, oldest first. Empty if there are none, or if
/// the daemon's user may not read them (group `systemd-journal`), or not within 2 s. Must be called
/// within a tokio runtime.
pub async fn last_lines(unit: &str) -> Vec<String> {
    let mut command = Command::new("journalctl");
    command
        .args(["--lines=10", "--output=cat", "--no-pager", "--quiet"])
        .arg(format!("--unit={unit}"));
    said(command).await.unwrap_or_default()
}

/// What a program says, bounded in size and time.
async fn said(mut command: Command) -> io::Result<Vec<String>> {
    let mut child = command
        // Programs of systemd's write to it as if they were the service.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().map(OwnedFd::from);
    let _ended = Ended(child);
    let Some(output) = output else {
        return Ok(Vec::new());
    };
    let mut output = pipe::Receiver::from_owned_fd(output)?.take(MAX);
    let mut bytes = Vec::new();
    if let Ok(read) = timeout(READ_TIMEOUT, output.read_to_end(&mut bytes)).await {
        read?;
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}

/// Leaves no process behind.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended, or is ended here: either way it is gone in a moment.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn what_is_said_is_bounded_in_size_and_time() {
        let lines = said(shell("echo one; echo two")).await.expect("a shell");
        assert_eq!(lines, ["one", "two"]);
        let lines = said(shell("yes")).await.expect("a shell");
        assert_eq!(lines.len(), 4_096);
        let lines = said(shell("echo one; exec sleep 600")).await;
        assert_eq!(lines.expect("a shell"), ["one"]);
        assert!(said(Command::new("/nonexistent")).await.is_err());
    }
}
