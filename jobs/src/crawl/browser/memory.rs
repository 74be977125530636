//! How much memory a process takes for itself.
use std::{fs, path::Path};

/// The proportional share (PSS) of a process, in bytes; of one that lets nobody look, its pages without the shared ones.
pub(super) fn of(proc: &Path, process: u64) -> u64 {
    let folder = proc.join(process.to_string());
    let share = fs::read_to_string(folder.join("smaps_rollup")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    });
    if let Some(kilobytes) = share {
        return kilobytes << 10;
    }
    let pages = fs::read_to_string(folder.join("statm")).unwrap_or_default();
    let pages: Vec<u64> = pages.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match pages[..] {
        [_, resident, shared, ..] => resident.saturating_sub(shared) * 4096,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured_as_far_as_it_lets_us() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("1/smaps_rollup", "00-ff ---p 00:00 0 [rollup]\nRss:  5000 kB\nPss:    1234 kB\nPss_Dirty: 9 kB\n");
        write("1/statm", "9 9 9 9 0 9 0");
        write("2/statm", "1000 300 100 5 0 9 0");
        assert_eq!(of(folder.path(), 1), 1234 << 10);
        assert_eq!(of(folder.path(), 2), 200 * 4096);
        assert_eq!(of(folder.path(), 3), 0);
    }
}
