//! A memory cgroup, in whichever version of cgroups the machine has.

use std::{fs, path::PathBuf};

/// A cgroup with a memory limit. Removed when it is dropped, after its last
/// process.
pub struct MemoryCgroup {
    directory: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl MemoryCgroup {
    /// A new cgroup; `None` where none can be made.
    pub fn new(name: &str, limit: u64) -> Option<MemoryCgroup> {
        let unified = PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists();
        let (root, version, file) = if unified {
            ("/sys/fs/cgroup", Version::Two, "memory.max")
        } else {
            (
                "/sys/fs/cgroup/memory",
                Version::One,
                "memory.limit_in_bytes",
            )
        };
        let directory = PathBuf::from(root).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        let cgroup = MemoryCgroup { directory, version };
        fs::write(cgroup.directory.join(file), limit.to_string()).ok()?;
        // Where there is swap: the limit is one of memory.
        if version == Version::Two {
            let _ = fs::write(cgroup.directory.join("memory.swap.max"), "0");
        }
        Some(cgroup)
    }

    /// The file that a process writes its id to, to enter.
    pub fn entrance(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }

    /// How many of its processes the kernel killed since they needed more.
    pub fn kills(&self) -> u64 {
        let file = match self.version {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        };
        let text = fs::read_to_string(self.directory.join(file)).unwrap();
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.map_or(0, |kills| kills.trim().parse().unwrap())
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        // The kernel may need a moment after the end of the last process.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
