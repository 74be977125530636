//! Files of this machine.
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use iceberg::io::{FileIO, FileWrite};

use super::failed;
use crate::{Error, FolderFile, Kind, Result};

/// The path of a `file:` location, which may also be a bare path.
pub(super) fn path(location: &str) -> PathBuf {
    PathBuf::from(location.strip_prefix("file://").or_else(|| location.strip_prefix("file:")).unwrap_or(location))
}

/// Opens a new file. A folder that another job's clean-up removed in between is made again.
pub(super) async fn create(io: &FileIO, path: &str) -> Result<Box<dyn FileWrite>> {
    let mut tries = 0;
    loop {
        let opened = async { io.new_output(path)?.writer().await }.await.map_err(|e| failed("create", path, e));
        match opened {
            Err(error) if error.kind() == Kind::FileMissing && tries < 5 => tries += 1,
            Err(error) if error.kind() == Kind::FileMissing => {
                return Err(Error::new(Kind::StorageUnavailable, error.message().to_owned()));
            }
            other => return other,
        }
    }
}

/// The names of the files in a folder; none if it is not there.
pub(super) fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// Removes a folder and its parents as long as they are empty, up to the warehouse itself.
pub(super) fn prune(mut directory: Option<&Path>, warehouse: &Path) {
    while let Some(path) = directory.filter(|path| path.starts_with(warehouse) && *path != warehouse) {
        match fs::remove_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return,
        }
        directory = path.parent();
    }
}

/// Removes all files below a folder but those in `keep`, and the folders that this empties.
pub(super) fn remove_tree(directory: &Path, keep: &HashSet<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_tree(&path, keep)?;
            // Fails, as it should, when a kept file is inside.
            let _ = fs::remove_dir(&path);
        } else if !keep.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// All files below a folder, by their names from there.
pub(super) async fn list(root: PathBuf) -> io::Result<Vec<FolderFile>> {
    let walk = move || {
        let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let (path, about) = (entry.path(), entry.metadata()?);
                if about.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                    let written_at = about.modified().ok();
                    files.push(FolderFile { name: name.to_owned(), size: about.len(), written_at });
                }
            }
        }
        Ok(files)
    };
    tokio::task::spawn_blocking(walk).await.map_err(io::Error::other)?
}
