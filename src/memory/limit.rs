//! How much memory the process may use.

use std::{fs, path::Path};

/// The limit of the memory cgroup or of one above it, or else the memory of the
/// machine, in bytes; `None` where the system does not say.
pub fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| total_of(&text));
    let group = limit_of_groups(Path::new("/sys/fs/cgroup"), &groups);
    group.into_iter().chain(machine).min()
}

/// The least limit of the groups in `/proc/self/cgroup`. A container sees its own
/// group at the root.
fn limit_of_groups(root: &Path, groups: &str) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (folder, file) = match controllers {
            "" => ("", "memory.max"),
            controllers if controllers.split(',').any(|it| it == "memory") => {
                ("memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let folder = root.join(folder);
        let path = Path::new(path.trim_start_matches('/'));
        let limits = path.ancestors().filter_map(|it| {
            let text = fs::read_to_string(folder.join(it).join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        });
        limits.min()
    });
    limits.min()
}

fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(limit_of_groups(root.path(), "0::/a/b\n"), None);
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "268435456\n");
        assert_eq!(limit_of_groups(root.path(), "0::/a/b\n"), Some(268_435_456));
        write("memory/c/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "134217728\n");
        let old = "5:cpu,cpuacct:/c\n4:memory:/c\n";
        assert_eq!(limit_of_groups(root.path(), old), Some(134_217_728));
        // The group of the host, of which the container sees nothing.
        let hidden = "4:memory:/docker/0123\n";
        assert_eq!(limit_of_groups(root.path(), hidden), Some(134_217_728));
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(
            total_of("MemTotal:       24689764 kB\nMemFree: 1 kB\n"),
            Some(24_689_764 * 1024)
        );
        assert_eq!(total_of("MemFree: 1 kB"), None);
    }
}
