//! Free pages go back to the system, also when the process is idle.
//!
//! The allocator looks for pages that have been free for `dirty_decay_ms` only now and
//! then, while it is called: an idle process would keep those of a burst for good. To
//! return each at once costs a small call a quarter of its CPU time, and a thread of
//! the allocator's own (`background_thread`) also keeps those of large messages for a
//! while, which `oversize_threshold` returns at once.

use std::{thread, time::Duration};
use tikv_jemalloc_ctl::{Access, AsName, Mib, Result, arenas};

/// How often free pages are returned. It costs two locks an arena, and later a page
/// fault for each page that is used again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Starts the thread that returns the free pages. If the system makes none, free pages
/// wait until the allocator is called often enough.
pub fn return_each_second() {
    let _ = thread::Builder::new()
        .name("free-pages".to_owned())
        .spawn(|| {
            loop {
                thread::sleep(INTERVAL);
                if return_all().is_err() {
                    return;
                }
            }
        });
}

/// Returns the free pages of all arenas: a decay of zero returns them at once.
fn return_all() -> Result<()> {
    let mut decay: Mib<[usize; 3]> = b"arena.0.dirty_decay_ms\0".name().mib()?;
    for arena in 0..arenas::narenas::read()? {
        decay[1] = arena as usize;
        // An arena that no thread uses yet has no pages.
        let usual: Result<isize> = decay.update(0);
        if let Ok(usual) = usual {
            decay.write(usual)?;
        }
    }
    Ok(())
}
