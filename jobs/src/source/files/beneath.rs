//! Opening below a folder, and never outside of it: whatever is swapped for a link while we look, the kernel itself
//! resolves each path beneath the root (`openat2`).
use std::{
    ffi::OsString,
    fs::File,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::{Component, Path},
    sync::OnceLock,
};

use rustix::{
    fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, openat, openat2},
    io::Errno,
};

use crate::{Code, Error, Result, config::Beneath};

/// How often a path is resolved again when folders move under it.
const TRIES: usize = 16;

/// What a folder holds under a name.
pub(super) struct Entry {
    pub name: OsString,
    pub kind: FileType,
}

/// What lies at a place, looked at without opening it: a device or FIFO is not touched.
pub(super) fn look(at: &Beneath) -> Result<Stat> {
    let fd = resolve(at, OFlags::PATH)?;
    fstat(&fd).map_err(|errno| failed(at, errno))
}

/// Opens an ordinary file to be read.
///
/// # Errors
/// [`Code::NotAFile`], [`Code::PathNotAllowed`], [`Code::SourceNotFound`], [`Code::PermissionDenied`].
pub(super) fn open_file(at: &Beneath) -> Result<(File, Stat)> {
    check_kind(at, &look(at)?)?;
    // Should it be a FIFO by now, opening it does not wait for a writer.
    let fd = resolve(at, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = fstat(&fd).map_err(|errno| failed(at, errno))?;
    check_kind(at, &stat)?;
    Ok((File::from(fd), stat))
}

/// Refuses what is no ordinary file.
pub(super) fn check_kind(at: &Beneath, stat: &Stat) -> Result<()> {
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => return Ok(()),
        FileType::Directory => "a folder; `/*` behind it means the files in it",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        _ => "a device",
    };
    Err(Error::new(Code::NotAFile, format!("`{}` is {what}, not an ordinary file", name(at))))
}

/// The entries of a folder, in no order.
pub(super) fn entries(at: &Beneath) -> Result<Vec<Entry>> {
    let fd = resolve(at, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let listed = |errno| failed(at, errno);
    let mut entries = Vec::new();
    for entry in Dir::new(fd).map_err(listed)? {
        let entry = entry.map_err(listed)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            entries.push(Entry { name: OsString::from_vec(name.to_vec()), kind: entry.file_type() });
        }
    }
    Ok(entries)
}

/// The whole path, for messages.
pub(super) fn name(at: &Beneath) -> String {
    at.root.join(&at.rest).display().to_string()
}

fn resolve(at: &Beneath, flags: OFlags) -> Result<OwnedFd> {
    let found = open(&at.root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = found.map_err(|errno| failed(at, errno))?;
    let rest = if at.rest.as_os_str().is_empty() { Path::new(".") } else { at.rest.as_path() };
    let flags = flags | OFlags::CLOEXEC;
    if !kernel_resolves() {
        return step_by_step(at, root, rest, flags);
    }
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match openat2(&root, rest, flags, Mode::empty(), how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(failed(at, errno)),
            Ok(fd) => return Ok(fd),
        }
    }
    Err(failed(at, Errno::AGAIN))
}

/// Whether there is `openat2`: Linux has it since 5.6, some sandboxes forbid it.
fn kernel_resolves() -> bool {
    static RESOLVES: OnceLock<bool> = OnceLock::new();
    *RESOLVES.get_or_init(|| {
        let found = openat2(CWD, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH);
        if let Err(errno) = found {
            tracing::warn!(%errno, "this system has no openat2: symbolic links below `file_roots` are not followed");
        }
        found.is_ok()
    })
}

/// Without `openat2`: name by name from the root, and no link is followed at all.
fn step_by_step(at: &Beneath, root: OwnedFd, rest: &Path, flags: OFlags) -> Result<OwnedFd> {
    let mut here = root;
    let mut names = rest.components().peekable();
    while let Some(name) = names.next() {
        if !matches!(name, Component::Normal(_) | Component::CurDir) {
            return Err(failed(at, Errno::XDEV));
        }
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let step = |flags| openat(&here, name.as_os_str(), flags, Mode::empty()).map_err(|errno| failed(at, errno));
        let found = step(look)?;
        let kind = fstat(&found).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind.map_err(|errno| failed(at, errno))? == FileType::Symlink {
            return Err(failed(at, Errno::LOOP));
        }
        here = match names.peek() {
            Some(_) => found,
            None if flags.contains(OFlags::PATH) => found,
            None => step(flags | OFlags::NOFOLLOW)?,
        };
    }
    Ok(here)
}

/// What the system's refusal means for the load.
fn failed(at: &Beneath, errno: Errno) -> Error {
    let name = name(at);
    let (code, why) = match errno {
        Errno::XDEV => (
            Code::PathNotAllowed,
            "a link leads out of the folder that may be read, or is absolute: links within it must be relative"
                .to_owned(),
        ),
        Errno::LOOP => (Code::PathNotAllowed, "its symbolic links cannot be followed here".to_owned()),
        Errno::NOENT | Errno::NOTDIR => (Code::SourceNotFound, "there is no such file".to_owned()),
        Errno::NAMETOOLONG => (Code::SourceNotFound, "no name is that long".to_owned()),
        Errno::ACCESS | Errno::PERM => (Code::PermissionDenied, "the worker may not read it".to_owned()),
        Errno::NXIO | Errno::NODEV => (Code::NotAFile, "it is not an ordinary file".to_owned()),
        errno => (Code::SourceUnreachable, std::io::Error::from(errno).to_string()),
    };
    Error::new(code, format!("`{name}` cannot be read: {why}")).caused_by(std::io::Error::from(errno))
}

#[cfg(test)]
mod tests;
